"""The stand-in refuses what real Gemini models refuse, in the service's words."""

from __future__ import annotations

from typing import Any

import pytest
from provider.gemini.checks import check
from provider.gemini.errors import Refusal
from provider.gemini.samples import ASK, HI, SAID, TOOLS, accept, config, refused, thinking


@pytest.mark.parametrize(
    ("model", "extra", "named"),
    [
        ("gemini-2.5-pro", thinking(thinkingLevel="HIGH"), "Thinking level is not supported"),
        ("gemini-2.5-flash", thinking(thinkingLevel="low"), "Thinking level is not supported"),
        ("gemini-3.7-flash", thinking(thinkingLevel="minimal"), "Thinking level MINIMAL is not supported"),
        ("gemini-3.8-flash", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL is not supported"),
        ("gemini-3.1-pro-preview", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL"),
        ("gemini-3.5-flash", thinking(thinkingLevel="LOW", thinkingBudget=0), "only set only one"),
        ("gemini-2.5-flash", thinking(thinkingLevel="LOW", thinkingBudget=9), "only set only one"),
        ("gemini-3.5-flash", thinking(thinkingLevel="XHIGH"), "ThinkingConfig.ThinkingLevel"),
        ("gemini-2.5-pro", thinking(thinkingBudget=0), "Budget 0 is invalid"),
        ("gemini-2.5-pro", thinking(thinkingBudget=100), "between 128 and 32768"),
        ("gemini-2.5-flash", thinking(thinkingBudget=24_577), "between 1 and 24576"),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=1), "between 512 and 24576"),
        ("gemini-3.8-flash", config(candidateCount=2), "Multiple candidates is not enabled"),
        ("gemini-3.6-flash", config(candidateCount=9), "candidate_count"),
        ("gemini-3.6-flash", config(maxOutputTokens=65_537), "maxOutputTokens value of 65537"),
        ("gemini-3.6-flash", config(temperature=2.1), "temperature"),
        ("gemini-3.6-flash", config(topP=1.1), "top_p"),
        ("gemini-3.6-flash", config(stopSequences=list("abcdef")), "stop_sequences"),
        ("gemini-3.6-flash", config(responseMimeType="text/html"), "response_mime_type"),
        ("gemini-3.6-flash", config(responseSchema={"type": "OBJECT"}), "response_mime_type"),
        ("gemini-2.5-flash", config(responseMimeType="application/json") | TOOLS, "Function calling with"),
        (
            "gemini-2.5-flash",
            config(responseMimeType="application/json") | {"tools": [{"googleSearch": {}}]},
            "Tool use with a response mime type",
        ),
        ("gemini-3.5-flash", {"tools": [{"computerUse": {}}]}, "computerUse"),
        ("gemini-3.8-flash", {"tools": [{"functionDeclarations": []}]}, "tools[0].tool_type"),
        ("gemini-3.8-flash", {"tools": [{}]}, "tools[0].tool_type"),
        ("gemini-3.8-flash", {"tools": TOOLS["tools"] * 2}, "Duplicate function declaration found: ls"),
        (
            "gemini-2.5-flash",
            {"tools": [*TOOLS["tools"], {"googleSearch": {}}]},
            "function calling is unsupported",
        ),
        (
            "gemini-3.8-flash",
            {"tools": [*TOOLS["tools"], {"googleSearch": {}}]},
            "server_side_tool_invocations",
        ),
        (
            "gemini-3.8-flash",
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "Function calling config",
        ),
        ("gemini-3.8-flash", {"contents": [HI, SAID]}, "ending with a model turn"),
        (
            "gemini-3.8-flash",
            {"contents": [HI, {"role": "assistant", "parts": [{"text": "x"}]}]},
            "valid role",
        ),
        ("gemini-3.6-flash", {"contents": [{"role": "function", "parts": [{"text": "x"}]}]}, "'function'"),
        ("gemini-3.8-flash", {"model": "models/gemini-2.5-flash"}, "URL"),
        ("gemini-3.8-flash", {"x_router": {}}, 'Unknown name "x_router": Cannot find field.'),
        ("gemini-3.8-flash", {"messages": []}, 'Unknown name "messages"'),
        ("gemini-3.8-flash", config(reasoning=1), "Unknown name \"reasoning\" at 'generation_config'"),
        ("gemini-3.8-flash", thinking(level="LOW"), "at 'generation_config.thinking_config'"),
        ("gemini-3.8-flash", {"contents": [{"role": "user", "content": "x"}]}, "at 'contents[0]'"),
        ("gemini-3.8-flash", config(temperature="warm"), "Invalid value at 'generation_config.temperature'"),
        ("gemini-3.8-flash", {"cachedContent": 1}, "Invalid value at 'cached_content' (TYPE_STRING)"),
        ("gemini-3.8-flash", config(topP=1, top_p=1), "more than once"),
    ],
)
def test_a_parameter_that_the_model_cannot_take_is_refused_by_name(
    model: str, extra: dict[str, Any], named: str
) -> None:
    assert named in refused({**ASK, **extra}, model)


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("gemini-2.5-pro", thinking(thinkingBudget=-1, includeThoughts=True)),
        ("gemini-2.5-flash", thinking(thinkingBudget=0)),
        ("gemini-2.5-flash-lite", thinking(thinkingBudget=512)),
        ("gemini-3.5-flash-lite", thinking(thinkingLevel="minimal")),
        ("gemini-3.6-flash", thinking(thinkingLevel="MINIMAL")),
        ("gemini-3.8-flash", thinking(thinkingLevel="LOW")),
        ("gemini-3.8-flash", thinking(thinkingBudget=1024)),
        ("gemini-3.8-flash", config(temperature=1, topP=0.95, topK=64)),
        ("gemini-3.6-flash", config(candidateCount=3)),
        ("gemini-3.6-flash", {"contents": [HI, SAID]}),
        ("gemini-3.5-flash", {"contents": [{"role": "function", "parts": [{"text": "x"}]}]}),
        ("gemini-3.8-flash", config(responseMimeType="application/json") | TOOLS),
        (
            "gemini-3.8-flash",
            config(response_mime_type="application/json", response_schema={"type": "object"}),
        ),
        ("gemini-3.8-flash", {"system_instruction": {"parts": [{"text": "be kind"}]}}),
        (
            "gemini-3.8-flash",
            {"contents": {"parts": {"text": "one of each"}}, "model": "models/gemini-3.8-flash"},
        ),
        ("gemini-flash-latest", {"safetySettings": [{"category": "A", "threshold": "OFF"}]}),
        ("gemini-3.8-flash", {"serviceTier": "flex", "toolConfig": None}),
    ],
)
def test_what_the_model_can_take_is_accepted(model: str, extra: dict[str, Any]) -> None:
    accept({**ASK, **extra}, model)


def test_counting_asks_less() -> None:
    assert accept({"contents": [HI, SAID]}, verb="countTokens").body == {"contents": [HI, SAID]}
    whole = {"generateContentRequest": {"model": "models/gemini-3.8-flash", **ASK, **TOOLS}}
    assert accept(whole, verb="countTokens").body["tools"] == TOOLS["tools"]
    assert 'Unknown name "tools"' in refused({**ASK, **TOOLS}, verb="countTokens")
    assert "contents is not specified" in refused({}, verb="countTokens")


def test_unknown_models_are_a_404() -> None:
    for name in ("gemini-9", "claude-haiku-4-5", "models/gemini-3.8-flash"):
        with pytest.raises(Refusal, match="is not found for API version v1,") as caught:
            check(ASK, name, "a", version="v1")
        assert caught.value.status == 404
