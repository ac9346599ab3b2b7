"""What a Gemini model can take, and how a request is made to fit one.

`ineligible` comes before scoring, `adapt` after it, once another model than the requested one was picked;
`remedy` comes after a refusal. The first two follow the capability rows of the catalogue (keys: see
catalogue.py), never a model's name. What is not adapted stays byte for byte. Signatures of thoughts stay: the
account is the same, and `remedy` replaces them only once the provider has refused one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Adaptation, Facts, Model
from pointsman.wire.edits import clamp_output, is_count, short
from pointsman.wire.gemini import signatures
from pointsman.wire.gemini.facts import inner_request
from pointsman.wire.gemini.spelling import spelled
from pointsman.wire.json_spans import Body
from pointsman.wire.limits import lacks_feature, lacks_input, lacks_room

LEVELS: Final = ("minimal", "low", "medium", "high")

# Google's own table for those who come with an effort (its page on OpenAI compatibility, November 2026).
_BUDGET_OF: Final = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_NAMED: Final = {"none": "minimal", "xhigh": "high", "max": "high"}  # efforts that it has no level for
_LEVEL_UP_TO: Final = ((1_024, "low"), (8_192, "medium"))
_DYNAMIC: Final = -1  # a budget that leaves it to the model
_SIGNATURE: Final = re.compile(rb"thought[ _]?signature", re.IGNORECASE)

type Row = Mapping[str, Any]


# --- before scoring -----------------------------------------------------------------------


def ineligible(facts: Facts, model: Model) -> str:
    """Why this model cannot serve the request, in a few words; "" if it can (perhaps adapted)."""
    row = model.capabilities
    if "thinking_level" not in row:
        return "what it can take is not known"
    return (
        lacks_input(facts, row)
        or _lacks_shape(facts, row)
        or lacks_feature(facts, row)
        or lacks_room(facts, model)
    )


def _lacks_shape(facts: Facts, row: Row) -> str:
    if facts.prefill and not row.get("prefill"):
        return "takes no prefilled answer"
    if facts.choices > (row.get("candidates") or 1):
        return f"gives no {facts.choices} candidates"
    tier = (facts.service_tier or "").lower()
    if tier and tier not in (row.get("service_tier") or ()):
        return f"takes no service_tier {tier}"
    return ""


# --- after the decision -------------------------------------------------------------------


def adapt(body: Body, facts: Facts, model: Model) -> list[Adaptation]:
    """Make the request fit `model`, in place. What was changed, in order; nothing the second time.

    Only for a model that is not the requested one and for which `ineligible` says "". Raises BodyError.
    """
    inner = inner_request(body)
    request = inner or body
    done: list[Adaptation] = []
    _fit_config(request, model, done)
    required = model.capabilities.get("thought_signature") == "required"
    if required and (count := signatures.sign_current(request)):
        done.append(_signed(count, ""))
    if inner is not None and done:
        body.set_raw(spelled(body, "generateContentRequest"), inner.render())
    return done


def _signed(count: int, before: str) -> Adaptation:
    after = f"{count} × {short(signatures.SKIP)}"
    return Adaptation("contents[].parts[].thoughtSignature", "map", before, after, "thought_signature")


def _fit_config(request: Body, model: Model, done: list[Adaptation]) -> None:
    name = spelled(request, "generationConfig")
    raw = request.raw(name)
    if raw is None or not raw.startswith(b"{"):
        return
    config = Body.parse(raw)
    limit = spelled(config, "maxOutputTokens")
    clamp_output(config, limit, model.max_output_tokens, done, "generationConfig.maxOutputTokens")
    _fit_thinking(config, model.capabilities, done)
    if config.changed:
        request.set_raw(name, config.render())


# --- thinking -----------------------------------------------------------------------------


def _fit_thinking(config: Body, row: Row, done: list[Adaptation]) -> None:
    """One of level and budget, whichever the model has, within what it takes. Nothing said stays unsaid."""
    name = spelled(config, "thinkingConfig")
    raw = config.raw(name)
    if raw is None or not raw.startswith(b"{"):
        return
    thinking = Body.parse(raw)
    if row.get("thinking_level"):
        _write_level(thinking, row, done)
    else:
        _write_budget(thinking, row, done)
    if not thinking.changed:
        return
    if thinking.names():
        config.set_raw(name, thinking.render())
    else:
        config.delete(name)


def _write_level(thinking: Body, row: Row, done: list[Adaptation]) -> None:
    level_name, budget_name = spelled(thinking, "thinkingLevel"), spelled(thinking, "thinkingBudget")
    budget, given = thinking.get(budget_name), thinking.get(level_name)
    level = _level(given)
    if thinking.has(budget_name):
        thinking.delete(budget_name)
        _note(done, "thinkingBudget", "drop", budget, None, "thinking_level")
        wanted = None if thinking.has(level_name) else _level_for(budget)
        if wanted is not None:
            word = _fitting(wanted, row).upper()
            thinking.set(level_name, word)
            _note(done, "thinkingLevel", "map", None, word, "thinking_level")
    if level and (fitting := _fitting(level, row)) != level:
        word = fitting.upper() if given.isupper() else fitting
        thinking.set(level_name, word)
        _note(done, "thinkingLevel", "clamp", given, word, "thinking_level")


def _write_budget(thinking: Body, row: Row, done: list[Adaptation]) -> None:
    level_name, budget_name = spelled(thinking, "thinkingLevel"), spelled(thinking, "thinkingBudget")
    level, budget = thinking.get(level_name), thinking.get(budget_name)
    if thinking.has(level_name):
        thinking.delete(level_name)
        _note(done, "thinkingLevel", "drop", level, None, "thinking_budget")
        wanted = None if thinking.has(budget_name) else _BUDGET_OF.get(_level(level) or "")
        if wanted is not None:
            tokens = _within(wanted, row)
            thinking.set(budget_name, tokens)
            _note(done, "thinkingBudget", "map", None, tokens, "thinking_budget")
    if is_count(budget) and (fitting := _within(budget, row)) != budget:
        thinking.set(budget_name, fitting)
        _note(done, "thinkingBudget", "clamp", budget, fitting, "thinking_budget")


def _note(done: list[Adaptation], name: str, verb: str, before: Any, after: Any, rule: str) -> None:
    parameter = f"generationConfig.thinkingConfig.{name}"
    done.append(Adaptation(parameter, verb, short(before), short(after), rule))


def _level(value: Any) -> str | None:
    """The level in lower case; None for no level or none of Google's, which it is left to refuse."""
    word = value.lower() if isinstance(value, str) else ""
    return word if word in LEVELS else None


def _level_for(budget: Any) -> str | None:
    """None where the model decides by itself; too little for a thought is as little as there is."""
    if not is_count(budget) or budget == _DYNAMIC:
        return None
    if budget <= 0:
        return LEVELS[0]
    return next((level for limit, level in _LEVEL_UP_TO if budget <= limit), "high")


def _fitting(level: str, row: Row) -> str:
    """The level itself, else the next weaker that the model has, else its weakest."""
    accepted = [word for word in LEVELS if word in row["thinking_level"]]
    if not accepted:
        return level
    weaker = [word for word in accepted if LEVELS.index(word) <= LEVELS.index(level)]
    return max(weaker, key=LEVELS.index) if weaker else accepted[0]


def thinking_for(effort: str, row: Row) -> dict[str, Any]:
    """Members of `thinkingConfig` that say an effort in OpenAI's words to a model."""
    level = _NAMED.get(effort, effort)
    if row.get("thinking_level") or "thinking_level" not in row:
        return {"thinkingLevel": _fitting(level, row).upper() if level in LEVELS and row else level.upper()}
    return {"thinkingBudget": _within(0 if effort == "none" else _BUDGET_OF.get(level, _DYNAMIC), row)}


def _within(budget: int, row: Row) -> int:
    """The budget within the model's range; 0 only where thinking can be switched off, -1 everywhere."""
    limits = row.get("thinking_budget")
    if not isinstance(limits, tuple) or len(limits) != 2 or budget == _DYNAMIC:
        return budget
    if budget == 0 and row.get("thinking_off"):
        return 0
    least, most = limits
    return int(min(max(budget, least), most))


# --- after a refusal ----------------------------------------------------------------------


def remedy(body: Body, refusal: bytes) -> list[Adaptation]:
    """After a 400: what takes its cause out of the client's own body, in place; [] where that is not known.

    A refused signature of thoughts gives way to the word that Google documents for calls of other models.
    """
    if not _SIGNATURE.search(refusal):
        return []
    inner = inner_request(body)
    request = inner or body
    done: list[Adaptation] = []
    if count := signatures.replace_all(request):
        done.append(_signed(count, f"{count} signatures"))
    if count := signatures.sign_current(request):
        done.append(_signed(count, ""))
    if inner is not None and done:
        body.set_raw(spelled(body, "generateContentRequest"), inner.render())
    return done
