"""What can go wrong between Claude Code and its provider, as scripts for the stand-in."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clients.claude_code import Ran
from clients.line import Exchange, Line
from provider.answers import Answer, Call, Fault, Step, Text, overloaded, rate_limited
from provider.standin import Record

STREAMING_SECONDS = 60.0
SETTLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and the provider's answers to it. `resume` is an option of Claude Code, "" a new session."""

    prompt: str
    steps: tuple[Step, ...]
    resume: str = "--continue"
    cancel: bool = False  # Ctrl-C once the answer has begun and hangs


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    turns: tuple[Turn, ...]
    environment: Mapping[str, str] | None = None
    races: bool = False  # whether the client streams again depends on how much it has read before the cut


def look(command: str = "cat timetable.txt") -> Answer:
    return Answer((Text("Let me look."), Call("Bash", {"command": command, "description": "Look"})))


def say(text: str) -> Answer:
    return Answer((Text(text),))


def broken(after: int) -> Answer:
    """A stream that is overloaded after so many events."""
    return replace(say("This sentence is never finished by the provider."), overload_after=after)


def unthought(answer: Answer) -> Answer:
    """The answer of a model that does not think, whatever the request says."""
    return replace(answer, think=None)


CALL = Answer((Call("Bash", {"command": "date", "description": "Look at the clock"}),))
THOUGHTLESS = unthought(say("09:40"))

# The shipped bundle has another model for it than those that Claude Code asks for by itself.
ASK = "Answer with the time only. Which train in timetable.txt leaves first? A) 09:12 B) 09:40"
PLAN = (
    "Prove that the greedy schedule of the trains in timetable.txt is optimal for weighted lateness with "
    "precedence constraints, or give a counterexample, and derive the complexity of the exact algorithm."
)
THANKS = "thanks, and the second one?"

SCENARIOS = (
    Scenario(
        "plain", (Turn(ASK, (look(), say("09:12")), resume=""), Turn(THANKS, (look("date"), say("09:40"))))
    ),
    Scenario(
        "429 with retry-after",
        (
            Turn(ASK, (rate_limited(1), look(), rate_limited(1), rate_limited(2), say("09:12")), resume=""),
            Turn(THANKS, (rate_limited(1), say("09:40"))),
        ),
    ),
    Scenario(
        "529",
        (
            Turn(ASK, (overloaded(), overloaded(), look(), overloaded(1), say("09:12")), resume=""),
            Turn(PLAN, (overloaded(), look(), say("It is not."))),
        ),
    ),
    Scenario(
        "overload in the stream",
        (
            Turn(ASK, (broken(1), look(), broken(4), say("09:12")), resume=""),
            Turn(THANKS, (broken(8),)),  # too late: something of the answer has been shown
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "overload in every stream",
        (
            Turn(ASK, (*[broken(5)] * 2, look(), *[broken(5)] * 3, say("09:12")), resume=""),
            Turn(THANKS, (say("09:40"),)),
        ),
    ),
    Scenario(
        "overload without thinking",
        (
            Turn(
                ASK, (unthought(broken(2)), unthought(look()), unthought(broken(3)), THOUGHTLESS), resume=""
            ),
            Turn(THANKS, (unthought(replace(look(), overload_after=2)), THOUGHTLESS)),
            Turn(ASK, (unthought(replace(CALL, overload_after=5)), unthought(CALL), THOUGHTLESS)),
        ),
        # Claude Code 2.1.329 asks for a model that cannot go without thinking.
        {"MAX_THINKING_TOKENS": "0", "ANTHROPIC_MODEL": "claude-opus-4-8"},
    ),
    Scenario(
        "connection cut",
        (
            Turn(ASK, (replace(say("Never seen."), cut_after=4), look(), say("09:12")), resume=""),
            Turn(THANKS, (say("09:40"),)),
        ),
        races=True,
    ),
    Scenario(
        "cancel",
        (
            Turn(ASK, (replace(say("Hanging for good."), hang_after=6),), resume="", cancel=True),
            Turn(THANKS, (look(), say("09:40"))),
            Turn(PLAN, (look(), replace(say("Hanging again."), hang_after=6)), cancel=True),
            Turn(ASK, (say("09:12"),)),
        ),
    ),
    Scenario(
        "resume",
        (
            Turn(ASK, (look(), say("09:12")), resume=""),
            Turn(PLAN, (look("ls"), look(), say("It is not.")), resume="--continue"),
            Turn(THANKS, (look("date"), say("09:40")), resume="--resume"),
            Turn(ASK, (say("As I said, 09:12."),), resume="--resume"),
        ),
    ),
    Scenario(
        "refused",
        (
            Turn(ASK, (Fault(400, "This request is refused by a policy"),), resume=""),
            Turn(THANKS, (Fault(403, "Your account does not have access"),), resume=""),
        ),
    ),
    Scenario(
        "out of retries",
        (Turn(ASK, (overloaded(), rate_limited(1), overloaded()), resume=""),),
        {"CLAUDE_CODE_MAX_RETRIES": "2"},
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that one scenario left behind on one line."""

    runs: tuple[Ran, ...]
    main: tuple[Record, ...]
    all: tuple[Record, ...]
    exchanges: tuple[Exchange, ...] | None  # None on the direct line
    unused: int  # scripted answers that nobody fetched


def play(scenario: Scenario, line: Line, program: Path, folder: Path) -> Seen:
    """Run a scenario with a client of its own and collect what it left."""
    provider = line.provider
    provider.steps.clear()
    first = len(provider.records)
    # An account of its own: what the provider has cached must not depend on the scenarios before.
    environment = {"ANTHROPIC_API_KEY": f"sk-ant-api03-{uuid.uuid4().hex}", **(scenario.environment or {})}
    with line.recorded() as front:
        client = front.client(program, folder, **environment)
        session = str(uuid.uuid4())
        runs: list[Ran] = []
        for turn in scenario.turns:
            provider.script(*turn.steps)
            if not turn.resume:
                session = str(uuid.uuid4())
            runs.append(client.prompt(turn.prompt, *_resume(turn, session), cancel=_cancel(turn, line)))
        _settle(scenario, line, first)
    return Seen(
        tuple(runs),
        tuple(provider.main(first)),
        tuple(provider.records[first:]),
        tuple(front.recorder.exchanges) if front.recorder else None,
        len(provider.steps),
    )


def _resume(turn: Turn, session: str) -> list[str]:
    if not turn.resume:
        return ["--session-id", session]
    return ["--resume", session] if turn.resume == "--resume" else [turn.resume]


def _cancel(turn: Turn, line: Line) -> Callable[[subprocess.Popen[bytes]], bool] | None:
    """Wait until the stand-in hangs in the middle of the scripted answer."""
    if not turn.cancel:
        return None

    def hanging(process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + STREAMING_SECONDS
        before = -1
        while time.monotonic() < deadline and process.poll() is None:
            last = line.provider.main()[-1:] if not line.provider.steps else []
            sent = last[0].sent if last and not last[0].complete else 0
            if sent and sent == before:
                return True
            before = sent
            time.sleep(0.25)
        return False

    return hanging


def _settle(scenario: Scenario, line: Line, since: int) -> None:
    """Wait until the stand-in has seen the peers of cancelled requests leave."""
    cancelled = sum(turn.cancel for turn in scenario.turns)
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if sum(record.gone for record in line.provider.main(since)) >= cancelled:
            return
        time.sleep(0.05)
