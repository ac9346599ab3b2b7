"""What a router asks for in place of the client, by names that every API has a word of its own for:

    temperature, top_p, top_k, reasoning_effort, max_tokens, presence_penalty, frequency_penalty, seed, stop

None takes out what the client said. Each surface has a `set_parameters` that writes them into a body in its
own words; `asked_for` is the same for a request on its way to another API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pointsman.values import Adaptation
from pointsman.wire.edits import short
from pointsman.wire.json_spans import Body
from pointsman.wire.neutral import Reasoning, Request

RULE: Final = "router"
"""The rule that adaptations name which come from here."""

_PLAIN: Final = (
    "temperature", "top_p", "top_k", "max_tokens", "presence_penalty", "frequency_penalty", "seed",
)  # fmt: skip


def asked_for(request: Request, parameters: Mapping[str, Any]) -> Request:
    """The request with the parameters in it."""
    changes: dict[str, Any] = {name: value for name, value in parameters.items() if name in _PLAIN}
    if "stop" in parameters:
        changes["stop"] = tuple(stops(parameters["stop"]))
    if "reasoning_effort" in parameters:
        effort = parameters["reasoning_effort"]
        on = None if effort is None else effort != "none"
        changes["reasoning"] = Reasoning(on=on, effort=effort, shown=request.reasoning.shown)
    return replace(request, **changes)


def stops(value: str | Sequence[str] | None) -> list[str]:
    """Stop sequences, which may be given as one text."""
    return [value] if isinstance(value, str) else list(value or ())


def set_member(body: Body, name: str, value: Any, done: list[Adaptation], place: str = "") -> None:
    """Set a member, or take it out for None, and note what changed. `place` is its full name."""
    before = body.get(name)
    if value is None:
        body.delete(name)
    else:
        body.set(name, value)
    note(done, place or name, before, value)


def note(done: list[Adaptation], place: str, before: Any, after: Any) -> None:
    if before != after:
        done.append(Adaptation(place, "drop" if after is None else "map", short(before), short(after), RULE))


def has_no(names: Mapping[str, Any], parameters: Mapping[str, Any], done: list[Adaptation]) -> None:
    """Note which parameters an API has no word for; `names` are those that it has."""
    for name, value in parameters.items():
        if name not in names and value is not None:
            done.append(Adaptation(name, "drop", short(value), "", RULE))
