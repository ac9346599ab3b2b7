"""What a model can take over Chat Completions, and how a request is made to fit one.

`ineligible` comes before scoring, `adapt` after it, once another model than the requested one was picked.
Both follow the capability rows of the catalogue (keys: see catalogue.py), never a model's name. What is not
adapted stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.edits import clamp_output, short
from pointsman.wire.json_spans import Body
from pointsman.wire.limits import lacks_input, lacks_room
from pointsman.wire.openai.parameters import (
    drop,
    drop_cache_lifetime,
    drop_sampling,
    fitting_effort,
    lacks_tier,
    wanted_effort,
)

_LIMITS: Final = ("max_completion_tokens", "max_tokens")
# What every model takes unless its row refuses it; all else of `Facts.needs` must be in the row's `needs`.
_PLAIN: Final = frozenset({"stop", "n"})
# Without these the answer is still one to the question.
_DROPPABLE: Final = ("presence_penalty", "frequency_penalty", "logit_bias", "parallel_tool_calls", "seed")
# Responses has it, Chat Completions refuses it on the same models (BerriAI/litellm-docs#1173).
_NOT_HERE: Final = "max"

type Row = Mapping[str, Any]


# --- before scoring -----------------------------------------------------------------------


def ineligible(facts: Facts, model: Model) -> str:
    """Why this model cannot serve the request, in a few words; "" if it can (perhaps adapted)."""
    row = model.capabilities
    if "tools" not in row:
        return "what it can take is not known"
    if row.get("chat") is False:
        return "is not served over Chat Completions"
    return (
        lacks_input(facts, row)
        or _lacks_tools(facts, row)
        or _lacks_feature(facts, row)
        or lacks_tier(facts, row)
        or lacks_room(facts, model)
    )


def _lacks_tools(facts: Facts, row: Row) -> str:
    """Newer models call functions over Chat Completions without reasoning only, or not at all."""
    how = row.get("chat_tools", "always")
    if not facts.tools or how == "always":
        return ""
    if how in ("effort_none", "effort_absent"):
        return "" if wanted_effort(facts) == "none" else "takes tools here only without reasoning"
    return "takes no tools here"


def _lacks_feature(facts: Facts, row: Row) -> str:
    refused = set(row.get("rejects") or ())
    taken = (_PLAIN | set(row.get("needs") or ())) - refused
    missing = (facts.needs - taken) | (facts.tool_types - set(row.get("tool_types") or ()))
    return f"has no {min(missing)}" if missing else ""


# --- after the decision -------------------------------------------------------------------


def adapt(body: Body, facts: Facts, model: Model) -> list[Adaptation]:
    """Make the request fit `model`, in place. What was changed, in order; nothing the second time.

    Only for a model that is not the requested one and for which `ineligible` says "". Raises BodyError.
    """
    row = model.capabilities
    done: list[Adaptation] = []
    _rename_limit(body, row, done)
    for name in _LIMITS:
        clamp_output(body, name, model.max_output_tokens, done)
    _fit_effort(body, facts, row, done)
    effort = body.get("reasoning_effort")
    drop_sampling(body, effort if isinstance(effort, str) else None, row, done)
    drop(body, [name for name in _DROPPABLE if name in (row.get("rejects") or ())], "rejects", done)
    _fit_verbosity(body, row, done)
    drop_cache_lifetime(body, row, done)
    return done


def _rename_limit(body: Body, row: Row, done: list[Adaptation]) -> None:
    """Reasoning models want `max_completion_tokens`, some gateways the older name; nobody takes both."""
    name = row.get("max_tokens_name")
    if name not in _LIMITS:
        return
    other = next(limit for limit in _LIMITS if limit != name)
    value = body.get(other)
    if value is None:
        return
    if body.get(name) is not None:
        drop(body, (other,), "max_tokens_name", done)
        return
    body.delete(other)
    body.set(name, value)
    done.append(Adaptation(other, "map", short(value), name, "max_tokens_name"))


def _fit_effort(body: Body, facts: Facts, row: Row, done: list[Adaptation]) -> None:
    """The asked effort, as near as the model has it; written out where leaving it out says something else."""
    given = body.get("reasoning_effort")
    asked = given if isinstance(given, str) else None
    fitting = _fitting(asked, facts, row)
    if fitting == asked:
        return
    if fitting is None:
        body.delete("reasoning_effort")
        verb = "drop"
    else:
        body.set("reasoning_effort", fitting)
        verb = "clamp" if asked else "map"
    done.append(Adaptation("reasoning_effort", verb, short(asked), short(fitting), "effort"))


def _fitting(asked: str | None, facts: Facts, row: Row) -> str | None:
    if "effort" not in row:
        return asked  # how this model is told is not known
    accepted = [word for word in row["effort"] or () if word != _NOT_HERE]
    if not accepted or (facts.tools and row.get("chat_tools") == "effort_absent"):
        return None
    wanted = asked or wanted_effort(facts)
    if wanted is None or (asked is None and wanted == row.get("effort_default")):
        return None
    return fitting_effort(wanted, accepted)


def _fit_verbosity(body: Body, row: Row, done: list[Adaptation]) -> None:
    if body.get("verbosity") not in (row.get("verbosity") or ("medium",)):
        drop(body, ("verbosity",), "verbosity", done)
