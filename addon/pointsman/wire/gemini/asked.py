"""A router's own parameters (see wire/asked.py) in the words of the Gemini API: all in `generationConfig`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pointsman.values import EMPTY, Adaptation, Model
from pointsman.wire.asked import note, set_member, stops
from pointsman.wire.gemini.facts import inner_request
from pointsman.wire.gemini.rules import thinking_for
from pointsman.wire.gemini.spelling import spelled
from pointsman.wire.json_spans import Body

_NAMES: Final = MappingProxyType({
    "temperature": "temperature", "top_p": "topP", "top_k": "topK", "max_tokens": "maxOutputTokens",
    "presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty", "seed": "seed",
    "stop": "stopSequences",
})  # fmt: skip


def set_parameters(body: Body, parameters: Mapping[str, Any], model: Model | None) -> list[Adaptation]:
    """Ask for them in place of what the client said."""
    if not parameters:
        return []
    inner = inner_request(body)
    request = inner or body
    name = spelled(request, "generationConfig")
    raw = request.raw(name)
    if raw is not None and raw != b"null" and not raw.startswith(b"{"):
        return []  # the provider has an answer to that
    config = Body.parse(raw if raw and raw != b"null" else b"{}")
    done: list[Adaptation] = []
    for parameter, value in parameters.items():
        if parameter in _NAMES:
            wanted = (stops(value) or None) if parameter == "stop" else value
            member = spelled(config, _NAMES[parameter])
            set_member(config, member, wanted, done, f"generationConfig.{_NAMES[parameter]}")
    if "reasoning_effort" in parameters:
        _set_thinking(config, parameters["reasoning_effort"], model.capabilities if model else EMPTY, done)
    if config.changed:
        request.set_raw(name, config.render())
    if inner is not None and inner.changed:
        body.set_raw(spelled(body, "generateContentRequest"), inner.render())
    return done


def _set_thinking(config: Body, effort: str | None, row: Mapping[str, Any], done: list[Adaptation]) -> None:
    """A level where the model has levels, else a budget; whether thoughts are shown stays the client's."""
    name = spelled(config, "thinkingConfig")
    before = config.get(name)
    raw = config.raw(name)
    thinking = Body.parse(raw if raw and raw.startswith(b"{") else b"{}")
    for member in ("thinkingLevel", "thinkingBudget"):
        thinking.delete(spelled(thinking, member))
    for member, value in ({} if effort is None else thinking_for(effort, row)).items():
        thinking.set(spelled(thinking, member), value)
    if thinking.names():
        config.set_raw(name, thinking.render())
    else:
        config.delete(name)
    note(done, "generationConfig.thinkingConfig", before, config.get(name))
