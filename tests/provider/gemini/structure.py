"""Rules about the shape of a conversation: roles, parts, function calls and their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider.gemini.capabilities import Takes
from provider.gemini.errors import Refusal
from provider.gemini.shape import snake

Json = Mapping[str, Any]

DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
ROLE_WORDS = (
    "SYSTEM, SYSTEM_1, USER, ASSISTANT, DEVELOPER, CONTEXT, USER_CONTEXT, MODEL"  # as the error says it
)
COUNTS = (
    "Please ensure that the number of function response parts is equal to the number of function call parts "
    "of the function call turn."
)


def check_structure(body: Json, model: Takes, *, repeated_results: bool = False) -> None:
    """Refuse what no Gemini model takes, and what this one does not. `body` has passed the schema.

    `repeated_results`: a response that says the same for the same call counts once. Gemini CLI 0.61.0 sends
    each twice after --resume (google-gemini/gemini-cli#29365).
    """
    check_parts(body)
    for content in body["contents"]:
        _check_role(content.get("role", "user"), model)
    turns = turns_of(body["contents"])
    _check_turns(turns, repeated_results)
    if turns[-1][0] == "model" and not model.prefill:
        raise Refusal("Requests ending with a model turn are not supported.")


def check_parts(body: Json) -> None:
    """Refuse what says nothing. All that counting tokens asks of a conversation."""
    contents = body.get("contents")
    if not contents:
        raise Refusal("* GenerateContentRequest.contents: contents is not specified\n")
    problems = [
        problem
        for index, content in enumerate(contents)
        for problem in _of_parts(f"contents[{index}]", content)
    ]
    if "systemInstruction" in body:
        problems += _of_parts("system_instruction", body["systemInstruction"])
    if problems:
        raise Refusal("".join(f"* GenerateContentRequest.{problem}\n" for problem in problems))


def turns_of(contents: Sequence[Json]) -> list[tuple[str, list[Json]]]:
    """(role, contents) in order; neighbours of the model are one turn, each of the user's is its own."""
    turns: list[tuple[str, list[Json]]] = []
    for content in contents:
        role = "model" if content.get("role") == "model" else "user"
        if role == "model" and turns and turns[-1][0] == "model":
            turns[-1][1].append(content)
        else:
            turns.append((role, [content]))
    return turns


def parts_of(content: Json, kind: str) -> list[Json]:
    """The values of all parts of one kind, such as functionCall."""
    return [part[kind] for part in content.get("parts", []) if kind in part]


def current_turn(contents: Sequence[Json]) -> int:
    """Index of the first content after the newest one in which the user said anything but results."""
    for index in range(len(contents) - 1, -1, -1):
        content = contents[index]
        said = content.get("role", "user") != "model" and not parts_of(content, "functionResponse")
        if said:
            return index + 1
    return 0


def _of_parts(where: str, content: Json) -> list[str]:
    parts = content.get("parts")
    if not parts:
        return [f"{where}.parts: contents.parts must not be empty."]
    problems = []
    for number, part in enumerate(parts):
        given = [kind for kind in DATA if kind in part]
        if len(given) > 1:
            raise Refusal(
                f"Invalid value at '{where}.parts[{number}]' (oneof), oneof field 'data' is already set. "
                f"Cannot set '{snake(given[1])}'"
            )
        if not given or (part.get("text") == "" and "thoughtSignature" not in part):
            problems.append(
                f"{where}.parts[{number}].data: required oneof field 'data' must have one initialized field"
            )
        for kind in ("functionCall", "functionResponse"):
            if kind in part and not part[kind].get("name"):
                problems.append(f"{where}.parts[{number}].{snake(kind)}.name: Name cannot be empty.")
    return problems


def _check_role(role: str, model: Takes) -> None:
    if role in ("user", "model") or (role == "function" and model.function_role):
        return
    if model.function_role:
        raise Refusal("Please use a valid role: user, model.")
    raise Refusal(f"Role '{role}' is not supported. Please use a valid role: {ROLE_WORDS}.")


def _check_turns(turns: Sequence[tuple[str, list[Json]]], repeated_results: bool) -> None:
    calls: list[Json] = []
    for index, (role, contents) in enumerate(turns):
        found = [call for content in contents for call in parts_of(content, "functionCall")]
        results = [result for content in contents for result in parts_of(content, "functionResponse")]
        if repeated_results:
            results = [result for number, result in enumerate(results) if result not in results[:number]]
        if (role == "user" and found) or (role == "model" and results):
            raise Refusal("Please ensure that function calls are the model's and responses the user's.")
        if role == "user":
            _check_results(results, calls)
        elif found and index == 0:
            raise Refusal(
                "Please ensure that function call turn comes immediately after a user turn or after a "
                "function response turn."
            )
        calls = found
    if calls:
        raise Refusal(COUNTS)


def _check_results(results: Sequence[Json], calls: Sequence[Json]) -> None:
    if results and not calls:
        raise Refusal(
            "Please ensure that function response turn comes immediately after a function call turn."
        )
    if len(results) != len(calls):
        raise Refusal(COUNTS)
    known = [call.get("id") for call in calls]
    if any(result.get("id") is not None and result["id"] not in known for result in results):
        raise Refusal(COUNTS)
