"""A router's own parameters reach the provider in the words of each API, in place of the client's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pointsman.catalogue import Catalogue
from pointsman.surface import surfaces
from pointsman.wire.asked import asked_for
from pointsman.wire.json_spans import Body
from pointsman.wire.neutral import Message, Reasoning, Request, TextPart

CATALOGUE = Catalogue.load()
KIMI = {"temperature": 1.0}
MINIMAX = {"temperature": 1.0, "top_p": 0.95}
GPT = {"reasoning_effort": "high"}


def after(
    surface: str, body: dict[str, Any], parameters: dict[str, Any], model: str = ""
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The body with the parameters in it, and which adaptations say so."""
    row = CATALOGUE.resolve(model) if model else None
    parsed = Body.parse(json.dumps(body).encode())
    done = surfaces()[surface].set_parameters(parsed, parameters, row)
    again = Body.parse(parsed.render())
    repeated = surfaces()[surface].set_parameters(again, parameters, row)
    assert {item.verb for item in repeated} <= {"drop"}  # what the API has no word for is said each time
    assert again.render() == parsed.render()
    assert {item.rule for item in done} <= {"router"}
    return json.loads(parsed.render()), [(item.parameter, item.verb) for item in done]


@pytest.mark.parametrize(
    ("surface", "parameters", "client", "expected", "said"),
    [
        ("openai_chat", KIMI, {}, {"temperature": 1.0}, [("temperature", "map")]),
        ("openai_chat", MINIMAX, {"temperature": 0, "seed": 7},
         {"temperature": 1.0, "seed": 7, "top_p": 0.95},
         [("temperature", "map"), ("top_p", "map")]),
        ("openai_chat", GPT, {"reasoning_effort": "high"}, {"reasoning_effort": "high"}, []),
        ("openai_chat", {"top_p": None}, {"top_p": 0.5, "n": 1}, {"n": 1}, [("top_p", "drop")]),
        ("openai_chat", {"max_tokens": 9}, {"max_completion_tokens": 50}, {"max_completion_tokens": 9},
         [("max_completion_tokens", "map")]),
        ("openai_chat", {"max_tokens": 9}, {}, {"max_tokens": 9}, [("max_tokens", "map")]),
        ("openai_chat", {"top_k": 4, "stop": "x", "seed": 1}, {}, {"top_k": 4, "stop": "x", "seed": 1},
         [("top_k", "map"), ("stop", "map"), ("seed", "map")]),
        ("openai_responses", GPT, {"reasoning": {"summary": "auto"}},
         {"reasoning": {"summary": "auto", "effort": "high"}}, [("reasoning.effort", "map")]),
        ("openai_responses", GPT, {}, {"reasoning": {"effort": "high"}}, [("reasoning.effort", "map")]),
        ("openai_responses", GPT, {"reasoning": None}, {"reasoning": {"effort": "high"}},
         [("reasoning.effort", "map")]),
        ("openai_responses", {"reasoning_effort": None}, {"reasoning": {"effort": "low"}}, {},
         [("reasoning.effort", "drop")]),
        ("openai_responses", {"reasoning_effort": None}, {}, {}, []),
        ("openai_responses", MINIMAX | {"max_tokens": 9, "seed": 1}, {},
         {"temperature": 1.0, "top_p": 0.95, "max_output_tokens": 9},
         [("temperature", "map"), ("top_p", "map"), ("max_output_tokens", "map"), ("seed", "drop")]),
        ("anthropic", MINIMAX | {"top_k": 5, "stop": "x", "seed": None}, {"max_tokens": 10},
         {"max_tokens": 10, "temperature": 1.0, "top_p": 0.95, "top_k": 5, "stop_sequences": ["x"]},
         [("temperature", "map"), ("top_p", "map"), ("top_k", "map"), ("stop_sequences", "map")]),
        ("anthropic", {"max_tokens": None, "frequency_penalty": 1}, {"max_tokens": 10}, {"max_tokens": 10},
         [("frequency_penalty", "drop")]),
        ("gemini", MINIMAX | {"top_k": 3, "max_tokens": 9, "stop": ["a"], "seed": 1}, {},
         {"generationConfig": {"temperature": 1.0, "topP": 0.95, "topK": 3, "maxOutputTokens": 9,
                               "stopSequences": ["a"], "seed": 1}},
         [(f"generationConfig.{name}", "map")
          for name in ("temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "seed")]),
        ("gemini", {"top_p": None}, {"generation_config": {"top_p": 0.1, "max_output_tokens": 5}},
         {"generation_config": {"max_output_tokens": 5}}, [("generationConfig.topP", "drop")]),
        ("gemini", {}, {"generationConfig": {"topP": 1}}, {"generationConfig": {"topP": 1}}, []),
        ("gemini", KIMI, {"generationConfig": 7}, {"generationConfig": 7}, []),
        ("gemini", KIMI, {"generationConfig": None}, {"generationConfig": {"temperature": 1.0}},
         [("generationConfig.temperature", "map")]),
    ],
)  # fmt: skip
def test_in_each_apis_own_words(
    surface: str,
    parameters: dict[str, Any],
    client: dict[str, Any],
    expected: dict[str, Any],
    said: list[tuple[str, str]],
) -> None:
    assert after(surface, client, parameters) == (expected, said)


def test_the_limit_is_called_as_the_model_wants_it() -> None:
    body, said = after("openai_chat", {"max_tokens": 50}, {"max_tokens": 9}, "gpt-5.5")
    assert body == {"max_completion_tokens": 9}
    assert said == [("max_tokens", "drop"), ("max_completion_tokens", "map")]


@pytest.mark.parametrize(
    ("model", "effort", "client", "expected"),
    [
        ("claude-opus-4-8", "high", {},
         {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-opus-4-8", "minimal", {"output_config": {"format": "json"}},
         {"thinking": {"type": "adaptive"}, "output_config": {"format": "json", "effort": "low"}}),
        ("claude-opus-4-8", "none", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
         {"thinking": {"type": "disabled"}}),
        ("claude-haiku-4-5", "medium", {"max_tokens": 64_000},
         {"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 10_000}}),
        ("claude-haiku-4-5", "high", {"max_tokens": 1000},
         {"max_tokens": 1000, "thinking": {"type": "disabled"}}),
        ("claude-opus-4-8", None, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
         {"thinking": {"type": "adaptive"}}),
        ("", "high", {}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
    ],
)  # fmt: skip
def test_effort_for_anthropic(
    model: str, effort: str | None, client: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert after("anthropic", client, {"reasoning_effort": effort}, model)[0] == expected


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3.8-flash", "high", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3.8-flash", "xhigh", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "none", {"includeThoughts": True, "thinkingBudget": 0}),
        ("", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-3.8-flash", None, {"includeThoughts": True}),
    ],
)
def test_effort_for_gemini(model: str, effort: str | None, thinking: dict[str, Any]) -> None:
    for wrapped in (False, True):
        inner = {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 99}}}
        client = {"generateContentRequest": inner} if wrapped else inner
        body, said = after("gemini", client, {"reasoning_effort": effort}, model)
        request = body["generateContentRequest"] if wrapped else body
        assert request == {"generationConfig": {"thinkingConfig": thinking}}
        assert said == [("generationConfig.thinkingConfig", "map")]


def test_on_the_way_to_another_api() -> None:
    request = Request(
        "m",
        (Message("user", (TextPart("hello"),)),),
        top_p=0.5,
        seed=3,
        reasoning=Reasoning(on=True, budget_tokens=9000, shown=True),
    )
    asked = asked_for(request, MINIMAX | {"max_tokens": 9, "stop": "x", "seed": None})
    assert (asked.temperature, asked.top_p, asked.max_tokens, asked.stop, asked.seed) == (
        1,
        0.95,
        9,
        ("x",),
        None,
    )
    assert (asked.messages, asked.reasoning) == (request.messages, request.reasoning)
    assert asked_for(request, GPT).reasoning == Reasoning(on=True, effort="high", shown=True)
    assert asked_for(request, {"reasoning_effort": "none"}).reasoning == Reasoning(False, "none", None, True)
    assert asked_for(request, {"reasoning_effort": None}).reasoning == Reasoning(shown=True)
    assert asked_for(request, {}) == request
