"""What is said between a client and its provider, and what goes wrong there: scripts for the stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from provider.answers import Answer, Call, Fault, Step, Text


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and the provider's answers to it. `resume`: "" begins a session, "latest" and "id" go on."""

    prompt: str
    steps: tuple[Step, ...]
    resume: str = "latest"
    cancel: bool = False  # Ctrl-C once the answer has begun and hangs


@dataclass(frozen=True, slots=True)
class Scenario:
    """`races`: facts that depend on how much the client has read, or written down, before the break."""

    name: str
    turns: tuple[Turn, ...]
    environment: Mapping[str, str] | None = None
    races: tuple[str, ...] = ()


def look(call: Call) -> Answer:
    return Answer((Text("Let me look."), call))


def say(text: str) -> Answer:
    return Answer((Text(text),))


def broken(after: int, kind: str | None = None) -> Answer:
    """A stream that ends with an error after so many events."""
    said = say("This sentence is never finished by the provider.")
    return replace(said, overload_after=after, overload_kind=kind)


def hanging(after: int) -> Answer:
    return replace(say("Hanging for good."), hang_after=after)


def cut(after: int) -> Answer:
    return replace(say("Never seen as a whole by anybody."), cut_after=after)


def unthought(answer: Answer) -> Answer:
    """The answer of a model that does not think, whatever the request says."""
    return replace(answer, think=None)


def limited(retry_after: int | None = None) -> Fault:
    """Too many requests."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Fault(429, "Rate limit reached for requests", headers=headers)


# The shipped bundle has another model for it than those that Claude Code asks for by itself.
ASK = "Answer with the time only. Which train in timetable.txt leaves first? A) 09:12 B) 09:40"
PLAN = (
    "Prove that the greedy schedule of the trains in timetable.txt is optimal for weighted lateness with "
    "precedence constraints, or give a counterexample, and derive the complexity of the exact algorithm."
)
THANKS = "thanks, and the second one?"

REFUSED = Scenario(
    "refused",
    (
        Turn(ASK, (Fault(400, "This request is refused by a policy"),), resume=""),
        Turn(THANKS, (Fault(403, "Your account does not have access"),), resume=""),
    ),
)
