"""The strict stand-in's checks of a request, called in-process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pointsman.surface import Translating, surfaces, translates
from provider.anthropic import betas, rules, structure, thinking
from provider.gemini import checks
from provider.openai import chat_rules, items, parameters, responses_rules
from provider.openai.store import Store

Json = dict[str, Any]
ACCOUNT = "one"


def anthropic(path: str, body: Json, model: str) -> None:
    rules.check_schema(body, counting=False)
    assert (path, body["model"]) == ("/v1/messages", model)
    known = rules.find_model(body)
    structure.check_structure(body)
    betas.check_betas(body, None)
    rules.check_parameters(body, known, zero_retention=False)
    thinking.check_thinking(body, known, ACCOUNT)


def openai_chat(path: str, body: Json, model: str) -> None:
    assert (path, body["model"]) == ("/chat/completions", model)
    chat_rules.check(body, parameters.find_model(body))


def openai_responses(path: str, body: Json, model: str) -> None:
    assert (path, body["model"]) == ("/responses", model)
    known, store = parameters.find_model(body), Store()
    responses_rules.check(body, known, ACCOUNT, store, lite=False)
    items.check_conversation(items.read(body["input"], known, ACCOUNT, store), ACCOUNT, store)


def gemini(path: str, body: Json, model: str) -> None:
    name, _, verb = path.removeprefix("/models/").partition(":")
    assert name == model
    checks.check(body, name, ACCOUNT, verb=verb.partition("?")[0])


CHECKS: Mapping[str, Callable[[str, Json, str], None]] = {
    "anthropic": anthropic,
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "gemini": gemini,
}
"""Each raises the provider's refusal of a request (path behind the base URL, body) for a model."""

MODELS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("claude-haiku-4-5", "claude-opus-4-8", "claude-sonnet-5-5", "claude-opus-5"),
    "openai_chat": ("gpt-4.1", "gpt-5", "gpt-5.1", "gpt-5-mini"),
    "openai_responses": ("gpt-4.1", "gpt-5", "gpt-5.4", "gpt-6.1-sol"),
    "gemini": ("gemini-2.5-pro", "gemini-3.5-flash", "gemini-3.8-flash"),
}


def writer(name: str) -> Translating:
    surface = surfaces()[name]
    assert translates(surface)
    return surface
