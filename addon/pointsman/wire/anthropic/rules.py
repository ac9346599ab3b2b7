"""What an Anthropic model can take, and how a request is made to fit one.

`ineligible` comes before scoring, `adapt` after it, once another model than the requested one was picked.
Both follow the capability rows of the catalogue (keys: see catalogue.py), never a model's name. What is not
adapted stays byte for byte. Thinking blocks in the history are never touched: the API drops what a model
cannot read, and a missing one fails its check of the prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.anthropic.disowning import close_loop
from pointsman.wire.anthropic.fold import asked_effort, drop_efforts, fold_system, lasting
from pointsman.wire.edits import clamp_output, edit, is_count, short
from pointsman.wire.json_spans import Body, edit_array
from pointsman.wire.limits import lacks_feature, lacks_input, lacks_room

EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
MIN_BUDGET_TOKENS: Final = 1024  # the API's own lower bound of thinking.budget_tokens

# Thinking budgets and efforts have no documented correspondence. These steps follow the budgets that clients
# had for their levels (4,000, 10,000 and 32,000); a switch of model never asks for more than high.
_BUDGET_OF: Final = {"low": 4_000, "medium": 10_000, "high": 16_000, "xhigh": 24_000, "max": 32_000}
_EFFORT_FROM: Final = ((10_000, "high"), (4_096, "medium"), (0, "low"))
_DEFAULT_EFFORT: Final = "high"  # what the API takes where effort is left out

_ON: Final = ("enabled", "adaptive")
_OFF: Final = ("disabled", "between_tools")
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_CLEAR_THINKING: Final = "clear_thinking_"

type Row = Mapping[str, Any]


# --- before scoring -----------------------------------------------------------------------


def ineligible(facts: Facts, model: Model) -> str:
    """Why this model cannot serve the request, in a few words; "" if it can (perhaps adapted)."""
    row = model.capabilities
    if "thinking" not in row:
        return "what it can take is not known"
    return (
        lacks_input(facts, row)
        or _lacks_shape(facts, row)
        or lacks_feature(facts, row)
        or _lacks_value(facts, row)
        or _lacks_thinking(facts, row)
        or lacks_room(facts, model)
    )


def _lacks_shape(facts: Facts, row: Row) -> str:
    if facts.prefill and not row.get("prefill"):
        return "takes no prefilled answer"
    if facts.forced_tool and not row.get("forced_tool"):
        return "takes no forced tool_choice"
    return ""


def _lacks_value(facts: Facts, row: Row) -> str:
    for name, value in (("speed", facts.speed), ("service_tier", facts.service_tier)):
        if value is not None and value not in row.get(name, ()):
            return f"takes no {name} {value}"
    return ""


def _lacks_thinking(facts: Facts, row: Row) -> str:
    wanted = facts.thinking or _absent_meaning(facts)
    if wanted is None or _fitting(wanted, row) is not None:
        return ""
    return f"takes no thinking {facts.thinking}" if facts.thinking else "cannot go without thinking"


# --- after the decision -------------------------------------------------------------------


def adapt(body: Body, facts: Facts, model: Model) -> list[Adaptation]:
    """Make the request fit `model`, in place. What was changed, in order; nothing the second time.

    Only for a model that is not the requested one and for which `ineligible` says "". Raises BodyError.
    """
    row = model.capabilities
    done: list[Adaptation] = []
    _clamp_max_tokens(body, model, done)
    if not row.get("effort_per_message"):
        _hoist_effort(body, done)
    _map_thinking(body, facts, row, done)
    _close_loop(body, facts, done)
    _clamp_effort(body, row, done)
    if not _thinks(body, row):
        _drop_clear_thinking(body, done)
    _drop_sampling(body, row, done)
    if not row.get("system_role"):
        _fold_system(body, done)
    return done


def _clamp_max_tokens(body: Body, model: Model, done: list[Adaptation]) -> None:
    limit = model.max_output_tokens
    if not clamp_output(body, "max_tokens", limit, done) or limit is None:
        return
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if is_count(budget) and budget >= limit:
        edit(body, "thinking", {"budget_tokens": limit // 2})
        before, after = short(budget), short(limit // 2)
        done.append(Adaptation("thinking.budget_tokens", "clamp", before, after, "max_output_tokens"))


# --- thinking -----------------------------------------------------------------------------


def _absent_meaning(facts: Facts) -> str | None:
    """The word for what leaving `thinking` out means on the requested model; None if unknown.

    With a forced tool or a prefilled answer no model thinks, whatever its default.
    """
    if facts.forced_tool or facts.prefill or facts.thinking_default == "off":
        return "disabled"
    return "adaptive" if facts.thinking_default == "on" else None


def _fitting(word: str, row: Row) -> str | None:
    """The word that says the same to the target: itself where that is taken, else its nearest relative."""
    accepted = row["thinking"]
    related = _ON if word in _ON else _OFF if word in _OFF else ()
    return next((candidate for candidate in (word, *related) if candidate in accepted), None)


def _map_thinking(body: Body, facts: Facts, row: Row, done: list[Adaptation]) -> None:
    given = body.get("thinking")
    word = given.get("type") if isinstance(given, dict) else None
    if given is not None and not isinstance(word, str):
        return
    wanted = word or _absent_meaning(facts)
    if wanted is None or _default_says(wanted, row, absent=word is None):
        return
    fitting = _fitting(wanted, row)
    if fitting is None or fitting == word:
        return
    before = short(given)
    if fitting == "enabled":
        fitting = _write_budget(body)
    elif fitting == "adaptive":
        _write_adaptive(body, given, row, done)
    if fitting in _OFF:
        body.set("thinking", {"type": fitting})
    done.append(Adaptation("thinking", "map", before, short(body.get("thinking")), "thinking"))


def _close_loop(body: Body, facts: Facts, done: list[Adaptation]) -> None:
    """With a budget, an open tool loop has to begin with its thinking; a translated history has none."""
    before = short(body.get("thinking"))
    if facts.tool_loop and close_loop(body):
        done.append(Adaptation("thinking", "map", before, short(body.get("thinking")), "thinking"))


def _default_says(wanted: str, row: Row, *, absent: bool) -> bool:
    """Leaving it out says the same to the target: nothing need be written."""
    return absent and row.get("thinking_default") == ("on" if wanted in _ON else "off")


def _write_budget(body: Body) -> str:
    """Adaptive thinking for a model that wants a budget below max_tokens; too little room turns it off."""
    budget = budget_within(_effort(body) or _DEFAULT_EFFORT, body.get("max_tokens"))
    if not budget:
        return "disabled"
    edit(body, "thinking", {"type": "enabled", "budget_tokens": budget})
    return "enabled"


def budget_within(effort: str, max_tokens: Any) -> int:
    """Tokens to think with for an effort and a length of the answer; 0 where there is too little room."""
    budget = _BUDGET_OF.get(effort, _BUDGET_OF[_DEFAULT_EFFORT])
    if is_count(max_tokens):
        budget = min(budget, max_tokens // 2)
    return budget if budget >= MIN_BUDGET_TOKENS else 0


def _write_adaptive(body: Body, given: Any, row: Row, done: list[Adaptation]) -> None:
    edit(body, "thinking", {"type": "adaptive", "budget_tokens": None})
    budget = given.get("budget_tokens") if isinstance(given, dict) else None
    if not is_count(budget) or _effort(body) is not None or not row.get("effort"):
        return
    effort = next(effort for least, effort in _EFFORT_FROM if budget >= least)
    edit(body, "output_config", {"effort": effort})
    done.append(Adaptation("output_config.effort", "map", "", short(effort), "thinking"))


def _thinks(body: Body, row: Row) -> bool:
    thinking = body.get("thinking")
    if isinstance(thinking, dict):
        return thinking.get("type") in _ON
    return row.get("thinking_default") != "off"


def _drop_clear_thinking(body: Body, done: list[Adaptation]) -> None:
    """Without thinking there is nothing to clear, and the API says 400 to the attempt."""
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return
    gone = [index for index, edit in enumerate(edits) if _clears_thinking(edit)]
    if not gone:
        return
    before = short(management)
    if len(gone) < len(edits):
        inner = Body.parse(body.raw("context_management") or b"{}")
        inner.set_raw("edits", edit_array(inner.raw("edits") or b"[]", dict.fromkeys(gone)))
        body.set_raw("context_management", inner.render())
    else:
        edit(body, "context_management", {"edits": None})
    after = short(body.get("context_management"))
    done.append(Adaptation("context_management", "drop", before, after, "thinking"))


def _clears_thinking(edit: Any) -> bool:
    kind = edit.get("type") if isinstance(edit, dict) else None
    return isinstance(kind, str) and kind.startswith(_CLEAR_THINKING)


# --- effort and sampling ------------------------------------------------------------------


def _effort(body: Body) -> str | None:
    config = body.get("output_config")
    effort = config.get("effort") if isinstance(config, dict) else None
    return effort if isinstance(effort, str) else None


def _hoist_effort(body: Body, done: list[Adaptation]) -> None:
    """Efforts of single turns, for a model that has one for the request: the one that would hold now."""
    wanted, before = asked_effort(body), _effort(body)
    if not (count := drop_efforts(body)):
        return
    if wanted is not None and wanted != before:
        edit(body, "output_config", {"effort": wanted})
        done.append(
            Adaptation("output_config.effort", "map", short(before), short(wanted), "effort_per_message")
        )
    dropped = f"{count} × {short(wanted)}" if wanted else f"{count} ×"
    done.append(Adaptation("messages[].output_config", "drop", dropped, "", "effort_per_message"))


def _clamp_effort(body: Body, row: Row, done: list[Adaptation]) -> None:
    effort, accepted = _effort(body), row.get("effort", ())
    if not _thinks(body, row):
        accepted = row.get("effort_unthinking", accepted)
    if effort is None or effort in accepted or effort not in EFFORTS:
        return
    fitting = _nearest(effort, accepted)
    edit(body, "output_config", {"effort": fitting})
    verb = "clamp" if fitting else "drop"
    after = short(fitting) if fitting else ""
    done.append(Adaptation("output_config.effort", verb, short(effort), after, "effort"))


def nearest_effort(effort: str, row: Row) -> str:
    """An effort in OpenAI's words as this model has it, or as it is where that is not known."""
    word = EFFORTS[0] if effort == "minimal" else effort
    accepted = row.get("effort", EFFORTS)
    if word in accepted or word not in EFFORTS:
        return word
    return _nearest(word, accepted) or word


def _nearest(effort: str, accepted: Sequence[str]) -> str | None:
    """The strongest accepted effort below `effort`, else the weakest; None where none is accepted."""
    weaker = [word for word in accepted if EFFORTS.index(word) < EFFORTS.index(effort)]
    return max(weaker, key=EFFORTS.index) if weaker else min(accepted, key=EFFORTS.index, default=None)


def _drop_sampling(body: Body, row: Row, done: list[Adaptation]) -> None:
    accepted = row.get("sampling", "all")
    given = [name for name in _SAMPLING if body.has(name)]
    if accepted == "one":
        given = ["top_p"] if {"temperature", "top_p"} <= set(given) else []
    elif accepted != "none":
        given = []
    for name in given:
        done.append(Adaptation(name, "drop", short(body.get(name)), "", "sampling"))
        body.delete(name)


# --- role system --------------------------------------------------------------------------


def _fold_system(body: Body, done: list[Adaptation]) -> None:
    stay = lasting(body)
    if not (count := fold_system(body)):
        return
    done.append(
        Adaptation("messages[].role", "map", '"system"', f"{count} × <system-reminder>", "system_role")
    )
    if stay:
        before = f'{stay} × "next_user_message"'
        done.append(Adaptation("messages[].clear_at", "drop", before, "", "system_role"))
