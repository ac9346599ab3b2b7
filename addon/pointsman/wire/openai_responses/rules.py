"""What a model can take of a Responses request, and how a request is made to fit one.

`ineligible` comes before scoring, `adapt` after it, once another model than the requested one was picked;
`remedy` comes after a refusal. The first two follow the capability rows of the catalogue (keys: see
catalogue.py), never a model's name. On the provider's own account what a model has thought and compacted
stays in the input as it is: `remedy` takes it out only once the provider has refused it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.edits import clamp_output, edit, short
from pointsman.wire.json_spans import Body, decode, edit_array
from pointsman.wire.limits import lacks_feature, lacks_input, lacks_room
from pointsman.wire.openai.parameters import (
    drop,
    drop_cache_lifetime,
    drop_sampling,
    fitting_effort,
    lacks_tier,
    wanted_effort,
)
from pointsman.wire.openai_responses.facts import LOGPROBS, SAMPLING

_ENCRYPTED: Final = "reasoning.encrypted_content"

type Row = Mapping[str, Any]


# --- before scoring -----------------------------------------------------------------------


def ineligible(facts: Facts, model: Model) -> str:
    """Why this model cannot serve the request, in a few words; "" if it can (perhaps adapted)."""
    row = model.capabilities
    if "effort" not in row:
        return "what it can take is not known"
    return (
        lacks_input(facts, row)
        or lacks_feature(facts, row)
        or lacks_tier(facts, row)
        or lacks_room(facts, model)
    )


# --- after the decision -------------------------------------------------------------------


def adapt(body: Body, facts: Facts, model: Model) -> list[Adaptation]:
    """Make the request fit `model`, in place. What was changed, in order; nothing the second time.

    Only for a model that is not the requested one and for which `ineligible` says "". Raises BodyError.
    """
    row = model.capabilities
    done: list[Adaptation] = []
    clamp_output(body, "max_output_tokens", model.max_output_tokens, done)
    _fit_effort(body, facts, row, done)
    effort = _effort(body)
    drop_sampling(body, effort, row, done, SAMPLING)
    if row.get("sampling_needs_effort_none") and (effort or row.get("effort_default")) != "none":
        _drop_included(body, LOGPROBS, "sampling_needs_effort_none", done)
    if not row["effort"]:
        _drop_included(body, _ENCRYPTED, "effort", done)
    _fit_verbosity(body, row, done)
    drop_cache_lifetime(body, row, done)
    return done


def _effort(body: Body) -> str | None:
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if isinstance(reasoning, dict) else None
    return effort if isinstance(effort, str) else None


def _fit_effort(body: Body, facts: Facts, row: Row, done: list[Adaptation]) -> None:
    """The asked effort, as near as the model has it; written out where leaving it out says something else.

    A model that does not reason refuses the whole member.
    """
    accepted, reasoning = row["effort"] or (), body.get("reasoning")
    if not accepted:
        drop(body, ("reasoning",), "effort", done)
        return
    asked = _effort(body)
    wanted = asked or wanted_effort(facts)
    if wanted is None or (asked is None and wanted == row.get("effort_default")):
        return
    fitting = fitting_effort(wanted, accepted)
    if fitting == asked or not isinstance(reasoning, dict | None):
        return
    if reasoning is None:
        body.set("reasoning", {"effort": fitting})
    else:
        edit(body, "reasoning", {"effort": fitting})
    verb = "clamp" if asked else "map"
    done.append(Adaptation("reasoning.effort", verb, short(asked), short(fitting), "effort"))


def _fit_verbosity(body: Body, row: Row, done: list[Adaptation]) -> None:
    text = body.get("text")
    wanted = text.get("verbosity") if isinstance(text, dict) else None
    if wanted is None or wanted in (row.get("verbosity") or ("medium",)):
        return
    edit(body, "text", {"verbosity": None})
    done.append(Adaptation("text.verbosity", "drop", short(wanted), "", "verbosity"))


def _drop_included(body: Body, name: str, rule: str, done: list[Adaptation]) -> None:
    """Take one name out of `include`; an empty list is as good as none."""
    raw = body.raw("include")
    wanted = decode(raw) if raw is not None else None
    if raw is None or not isinstance(wanted, list) or name not in wanted:
        return
    if set(map(str, wanted)) == {name}:
        body.delete("include")
    else:
        gone = dict.fromkeys(at for at, word in enumerate(wanted) if word == name)
        body.set_raw("include", edit_array(raw, gone))
    done.append(Adaptation("include", "drop", short(wanted), short(body.get("include")), rule))
