"""Clients and the providers that serve them instead of their own: another API, another key, other models."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace

from clients.claude_code import ClaudeCode
from clients.client import Client
from clients.codex import Codex
from clients.script import look
from provider import keys
from provider.answers import Answer, Call, Part, Step
from provider.record import Record

# A board of departures, 2 by 2 pixels.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP438AARAwQCgAt7gX9iz9uhAAAAABJRU5ErkJggg=="
)
BOARD = "board.png"
ROUTE = """\
routes:
  - name: everything elsewhere
    requested: "{requested}"
    turn: any
    strategy: fixed
    model: {model}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """`model` is served to a client that asks for `requested`, by the provider of that family."""

    kind: type[Client]
    requested: str
    model: str  # as router.yaml names it
    family: str
    variable: str  # where the proxy finds the key

    @property
    def name(self) -> str:
        return f"{self.kind.name} by {self.model.partition('/')[0]}"

    @property
    def served(self) -> str:
        """What the provider calls the model."""
        return self.model.partition("/")[2]

    @property
    def config(self) -> str:
        return ROUTE.format(requested=self.requested, model=self.model)

    @property
    def key(self) -> str:
        return keys.key_of(self.family, "proxy")

    def said(self, *steps: Step) -> list[Step]:
        """The same answers by a model that has functions only: free text is the one text of a function."""
        free = self.family == "openai"
        return [step if free or not isinstance(step, Answer) else _functions(step) for step in steps]

    def picture(self) -> Answer:
        """Has a look at a picture."""
        if self.kind is ClaudeCode:
            return look(Call("Read", {"file_path": BOARD}))
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        return look(Call("exec", f"text('The board:'); image({json.dumps(url)})"))

    def further(self) -> tuple[Answer, ...]:
        """What this client has besides: tools in namespaces, patches, words of a script that still runs."""
        if self.kind is not Codex:
            return ()
        patch = "*** Begin Patch\n*** Add File: patched.txt\n+platform 9\n*** End Patch\n"
        return (
            Answer((Call("clock__sleep", {"duration_ms": 5}),)),
            Answer((Call("exec", f"text(await tools.apply_patch({json.dumps(patch)}))"),)),
            Answer((Call("exec", "notify(`half of it ${4 * 5}`); text(`all of it ${8 * 5}`)"),)),
        )


def _functions(answer: Answer) -> Answer:
    return replace(answer, blocks=tuple(_function(block) for block in answer.blocks))


def _function(block: Part) -> Part:
    if isinstance(block, Call) and isinstance(block.input, str):
        return replace(block, input={"input": block.input})
    return block


CHIEF = (
    Way(ClaudeCode, "claude-*", "openrouter/moonshotai/kimi-k2.6", "openrouter", "OPENROUTER_API_KEY"),
    Way(Codex, "gpt-*", "anthropic/claude-opus-4-8", "anthropic", "ANTHROPIC_API_KEY"),
)
WAYS = (
    *CHIEF,
    Way(ClaudeCode, "claude-*", "openai/gpt-5.5", "openai", "OPENAI_API_KEY"),
    Way(ClaudeCode, "claude-*", "gemini/gemini-3.5-flash", "gemini", "GEMINI_API_KEY"),
    Way(Codex, "gpt-*", "openrouter/moonshotai/kimi-k2.6", "openrouter", "OPENROUTER_API_KEY"),
)


def content(record: Record) -> str:
    """All that a request says."""
    return json.dumps(record.body, ensure_ascii=False)
