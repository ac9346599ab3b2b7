"""What OpenAI's models take of effort, sampling, cache lifetimes and service tiers.

Rules follow the capability rows of the catalogue (keys: see catalogue.py), never a model's name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pointsman.values import Adaptation, Facts
from pointsman.wire.edits import short
from pointsman.wire.json_spans import Body
from pointsman.wire.loose import as_dict

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SAMPLING: Final = (
    "temperature", "top_p", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "logit_bias",
)  # fmt: skip
_FREE_CHOICES: Final = ("auto", "none")
_PLAIN_TIERS: Final = ("auto", "default")  # every model has these
_DEFAULT_EFFORT: Final = "medium"  # of models that reason by themselves (OpenAI's API reference)

type Row = Mapping[str, Any]


def fitting_effort(effort: str, accepted: Sequence[str]) -> str | None:
    """The strongest accepted effort that is not above `effort`, else the weakest; None if none is accepted.

    An effort that is not OpenAI's own stays: what it means is not known.
    """
    if effort in accepted or effort not in EFFORTS:
        return effort
    known = sorted((word for word in accepted if word in EFFORTS), key=EFFORTS.index)
    weaker = [word for word in known if EFFORTS.index(word) < EFFORTS.index(effort)]
    return next(iter(weaker[-1:] or known[:1]), None)


def wanted_effort(facts: Facts) -> str | None:
    """The effort that the request asks for, or gets from the requested model by saying nothing."""
    if facts.effort is not None or facts.thinking_default is None:
        return facts.effort
    return "none" if facts.thinking_default == "off" else _DEFAULT_EFFORT


def forces_tool(choice: Any) -> bool:
    """Whether `tool_choice` demands a call: of any tool, or of a named one, be it out of a list.

    Chat Completions has the list in a member of its own, Responses beside `type`.
    """
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            return (as_dict(choice.get("allowed_tools")) or choice).get("mode") == "required"
        return choice.get("type") not in _FREE_CHOICES
    return isinstance(choice, str) and choice not in _FREE_CHOICES


def lacks_tier(facts: Facts, row: Row) -> str:
    """Whether the model is not served in the wanted service tier; "" if it is."""
    tier = facts.service_tier
    if tier is None or tier in _PLAIN_TIERS or tier in row.get("service_tier", ()):
        return ""
    return f"takes no service_tier {tier}"


def drop_sampling(
    body: Body, effort: str | None, row: Row, done: list[Adaptation], names: Collection[str] = SAMPLING
) -> None:
    """Drop what a reasoning model refuses unless its effort, `effort` or its default, is none."""
    if not row.get("sampling_needs_effort_none") or (effort or row.get("effort_default")) == "none":
        return
    drop(body, names, "sampling_needs_effort_none", done)


def drop_cache_lifetime(body: Body, row: Row, done: list[Adaptation]) -> None:
    """Drop wishes about the prompt cache that the model is not known to take."""
    retention = body.get("prompt_cache_retention")
    if retention is not None and retention not in row.get("prompt_cache_retention", ()):
        drop(body, ("prompt_cache_retention",), "prompt_cache_retention", done)
    if not row.get("prompt_cache_options"):
        drop(body, ("prompt_cache_options",), "prompt_cache_options", done)


def drop(body: Body, names: Collection[str], rule: str, done: list[Adaptation]) -> None:
    """Drop those of the members that are there; null is as good as absent, and stays."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        body.delete(name)
        done.append(Adaptation(name, "drop", short(value), "", rule))
