"""The input of POST /v1/responses: the shape of each item, and which may stand without which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provider.openai import parameters, sealed
from provider.openai.capabilities import Takes
from provider.openai.errors import Refused, empty_array, invalid_value, missing, wrong_type
from provider.openai.fields import ANY_ITEM, ITEMS, PARTS, expect, need, only
from provider.openai.store import Store

Json = Mapping[str, Any]
PREFIXES = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
GIVEN = ("input_text", "input_image", "input_file")
SPOKEN_IN_PARTS = ("function_call_output", "custom_tool_call_output")
ROLES = ("assistant", "system", "developer", "user")
REQUIRED = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "reasoning": ("summary",),
    "compaction": ("encrypted_content",),
    "item_reference": ("id",),
    "additional_tools": ("tools",),
}
SPOKEN = {  # what calls and their outputs are called in messages
    "function_call": "function call",
    "custom_tool_call": "custom tool call",
    "local_shell_call": "local shell call",
    "shell_call": "shell call",
    "apply_patch_call": "apply patch call",
    "computer_call": "computer call",
}


def read(given: Any, model: Takes, account: str, store: Store) -> list[Json]:
    """The items of `input`, each checked by itself; references are replaced by what they mean."""
    if given is None:
        return []
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of input items", given)
    return [_read_item(f"input[{index}]", item, model, account, store) for index, item in enumerate(given)]


def _read_item(where: str, item: Any, model: Takes, account: str, store: Store) -> Json:
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    for key in ("type", "role", "id", "call_id", "encrypted_content"):
        expect(item, key, str, "a string", where)
    kind = item.get("type") or ("message" if "role" in item else need(item, "type", where))
    if kind not in ITEMS:
        raise invalid_value(f"{where}.type", kind, sorted(ITEMS))
    only(item, ITEMS[kind] | ANY_ITEM, where)
    for key in REQUIRED.get(kind, ()):
        need(item, key, where)
    _check_id(where, kind, item.get("id"))
    if kind == "message":
        _check_message(where, item, model)
    elif kind == "additional_tools":
        parameters.check_tool_types(item["tools"], model, f"{where}.tools")
    elif kind in SPOKEN_IN_PARTS and isinstance(item["output"], list):
        _check_parts(f"{where}.output", item["output"], GIVEN, model)
    elif kind == "item_reference" or (kind == "reasoning" and not item.get("encrypted_content")):
        return _stored(item, account, store)
    if item.get("encrypted_content"):
        sealed.check(item["encrypted_content"], account, item.get("id", ""))
    return item


def _check_id(where: str, kind: str, item_id: Any) -> None:
    prefix = PREFIXES.get(kind)
    if item_id is None or prefix is None:
        return
    if not item_id.startswith(prefix):
        text = f"Invalid '{where}.id': '{item_id}'. Expected an ID that begins with '{prefix}'."
        raise Refused(text, param=f"{where}.id", code="invalid_value")


def _stored(item: Json, account: str, store: Store) -> Json:
    made = store.item(item.get("id"), account)
    if made is None or not made.stored:
        text = f"Item with id '{item.get('id')}' not found."
        if made is not None or str(item.get("id")).startswith("rs_"):
            text += " Items are not persisted when `store` is set to false. Try again with `store` set to"
            text += " true, or remove this item from your input."
        raise Refused(text, 404, param="input")
    return made.item


def _check_message(where: str, item: Json, model: Takes) -> None:
    role = item.get("role")
    if role not in ROLES:
        raise invalid_value(f"{where}.role", role, ROLES) if role else missing(f"{where}.role")
    expect(item, "content", (str, list), "one of a string or array of objects", where)
    content = need(item, "content", where)
    if isinstance(content, list):
        said = ("output_text", "refusal")
        _check_parts(f"{where}.content", content, said if role == "assistant" else GIVEN, model)


def _check_parts(where: str, parts: list[Any], allowed: Sequence[str], model: Takes) -> None:
    if not parts:
        raise empty_array(where)
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        kind = str(part.get("type")) if isinstance(part, dict) else ""
        if kind not in allowed and kind != "encrypted_content":
            raise invalid_value(place, kind, allowed)
        only(part, PARTS[kind] | {"type"}, place)
        if kind.endswith("_text") and not isinstance(part.get("text"), str):
            raise missing(f"{place}.text")
        if kind == "input_image" and not model.images:
            raise Refused(f"Invalid content type. {kind} is only supported by certain models.", param=place)


def check_conversation(items: Sequence[Json], account: str, store: Store) -> None:
    """Rules between items, over everything that the model is shown."""
    _check_reasoning(items, account, store)
    _check_calls(items)


def _check_reasoning(items: Sequence[Json], account: str, store: Store) -> None:
    seen: set[str] = set()
    for item, after in zip(items, [*items[1:], None], strict=False):
        item_id, kind = item.get("id"), item.get("type", "message")
        made = store.item(item_id, account)
        if kind == "reasoning":
            seen.add(item_id or "")
            if not _follows(after, made.follower if made else ""):
                text = f"Item '{item_id}' of type 'reasoning' was provided without its required following"
                raise Refused(f"{text} item.", param="input")
        elif made is not None and made.reasoning and made.reasoning not in seen:
            text = f"Item '{item_id}' of type '{kind}' was provided without its required 'reasoning' item: "
            raise Refused(f"{text}'{made.reasoning}'.", param="input")


def _follows(after: Json | None, required: str) -> bool:
    """An item that the model made has to come next, and that very one where it has an id."""
    if after is None:
        return False
    if after.get("id") and required:
        return bool(after["id"] == required)
    kind = after.get("type", "message")
    if kind == "message":
        return bool(after.get("role") == "assistant")
    return bool(kind == "reasoning" or kind.endswith("_call"))


def _check_calls(items: Sequence[Json]) -> None:
    """Each call that names a call_id has an output, after it, and the other way round."""
    calls: dict[tuple[str, str], str] = {}
    answered: set[tuple[str, str]] = set()
    for item in items:
        kind, call_id = item.get("type", "message"), item.get("call_id")
        if call_id is None or item.get("execution") == "server":
            continue
        if kind in SPOKEN:
            calls[kind, call_id] = SPOKEN[kind]
        elif kind.removesuffix("_output") in SPOKEN:
            call = (kind.removesuffix("_output"), call_id)
            if call not in calls:
                text = f"No tool call found for {SPOKEN[call[0]]} output with call_id {call_id}."
                raise Refused(text, param="input")
            answered.add(call)
    for call, spoken in calls.items():
        if call not in answered:
            raise Refused(f"No tool output found for {spoken} {call[1]}.", param="input")
