"""Parts, turns, calls with their results, and signatures: which histories the stand-in takes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from provider.gemini.samples import ASK, CALL, HI, RESULT, SAID, SKIP, accept, refused, results, signed, step
from provider.gemini.signatures import CORRUPTED, INVALID


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"role": "user"}]}, "contents[0].parts: contents.parts must not be empty."),
        ({"contents": [HI, {"role": "user", "parts": [{}]}]}, "contents[1].parts[0].data: required oneof"),
        ({"contents": [{"parts": [{"text": ""}]}]}, "contents[0].parts[0].data: required oneof"),
        ({"contents": [{"parts": [{"thought": True}]}]}, "contents[0].parts[0].data: required oneof"),
        ({**ASK, "systemInstruction": {"parts": []}}, "system_instruction.parts"),
        ({"contents": [{"parts": [{"text": "x", **RESULT}]}]}, "Cannot set 'function_response'"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "Name cannot be empty"),
        ([], "Invalid value"),
        ("hi", "Invalid value"),
    ],
)
def test_what_says_nothing_is_refused(body: Any, named: str) -> None:
    assert named in refused(body)


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        ([HI, step(signed()), results(RESULT, RESULT)], "number of function response parts"),
        ([HI, step(signed()), HI], "number of function response parts"),
        ([HI, step(signed(), CALL), results(RESULT), results(RESULT)], "number of function response parts"),
        ([HI, step(signed())], "number of function response parts"),
        ([HI, results(RESULT)], "function response turn comes immediately after"),
        ([results(RESULT), HI], "function response turn comes immediately after"),
        ([step(signed()), results(RESULT)], "function call turn comes immediately after"),
        ([{"role": "user", "parts": [CALL]}], "the model's"),
        (
            [HI, step(signed()), results({"functionResponse": {**RESULT["functionResponse"], "id": "c2"}})],
            "number",
        ),
    ],
)
def test_calls_and_results_belong_together(contents: list[Any], named: str) -> None:
    assert named in refused({"contents": contents})


def test_repeated_results_are_a_switch() -> None:
    body = {"contents": [HI, step(signed()), results(RESULT, RESULT)]}
    accept(body, repeated_results=True)
    other = {"functionResponse": RESULT["functionResponse"] | {"response": {"output": "b"}}}
    body["contents"][2] = results(RESULT, other)
    assert "number of function response parts" in refused(body, repeated_results=True)


def test_pieces_of_one_turn_of_the_model_belong_together() -> None:
    """The Python SDK keeps each chunk of a stream as a content of its own."""
    accept({"contents": [HI, SAID, step(signed()), step(CALL), results(RESULT, RESULT)]})


@pytest.mark.parametrize(
    ("model", "contents", "named"),
    [
        ("gemini-3.8-flash", [HI, step(CALL), results(RESULT)], "`default_api:ls` , position 2."),
        ("gemini-3-flash-preview", [HI, step(CALL), results(RESULT)], "missing a thought_signature"),
        (
            "gemini-3.8-flash",
            [HI, step(signed()), results(RESULT), step(CALL), results(RESULT)],
            "position 4",
        ),
        ("gemini-3.8-flash", [HI, step(CALL, signed()), results(RESULT, RESULT)], "position 2"),
        ("gemini-3.8-flash", [HI, step(signed("gemini-3.6-flash")), results(RESULT)], INVALID),
        ("gemini-2.5-flash", [HI, step(signed()), results(RESULT)], INVALID),
        ("gemini-3.8-flash", [HI, step(signed(account="b")), results(RESULT)], CORRUPTED),
        ("gemini-3.8-flash", [HI, step(signed(account="b")), results(RESULT), SAID, HI], CORRUPTED),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": "AAAA"}), results(RESULT)], CORRUPTED),
        (
            "gemini-3.8-flash",
            [
                HI,
                step(CALL | {"thoughtSignature": signed(part=SAID["parts"][0])["thoughtSignature"]}),
                results(RESULT),
            ],
            CORRUPTED,
        ),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": "%"}), results(RESULT)], "Base64"),
    ],
)
def test_signatures_are_checked(model: str, contents: list[Any], named: str) -> None:
    assert named in refused({"contents": contents}, model)


@pytest.mark.parametrize(
    ("model", "contents"),
    [
        ("gemini-2.5-flash", [HI, step(CALL), results(RESULT)]),
        ("gemini-3.8-flash", [HI, step(CALL), results(RESULT), SAID, HI]),
        ("gemini-3.8-flash", [HI, step(signed(), CALL), results(RESULT, RESULT)]),
        ("gemini-3.8-flash", [HI, step(CALL | {"thoughtSignature": SKIP}), results(RESULT)]),
        (
            "gemini-3.8-flash",
            [
                HI,
                step(CALL | {"thoughtSignature": base64.b64encode(SKIP.encode()).decode()}),
                results(RESULT),
            ],
        ),
        ("gemini-3.8-flash", [HI, step(signed(part={"text": ""})), HI]),
        ("gemini-3.8-flash", [HI, step(signed(part={"text": "hello"}) | {"text": "merged"}), HI]),
    ],
)
def test_signatures_that_may_stand_are_accepted(model: str, contents: list[Any]) -> None:
    assert accept({"contents": contents}, model).foreign == 0


def test_a_signature_of_another_model_in_an_older_turn_is_a_switch() -> None:
    body = {"contents": [HI, step(signed("gemini-3.6-flash")), results(RESULT), SAID, HI]}
    assert accept(body).foreign == 1
    assert refused(body, strict_history=True) == INVALID
