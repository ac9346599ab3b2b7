"""What removes the cause of a refusal from the client's own request.

The provider encrypts what a model has thought (`reasoning`) and summed up (`compaction`) for the account that
it was made for, and refuses the whole request where it cannot read it (`invalid_encrypted_content`). Then
all of it goes, since an error names one item at most. Ids of the items that the model made next go too: the
provider remembers that an item with such an id had reasoning before it and refuses it alone. Calls and their
outputs stay, paired by `call_id`. What the API wants an id of (searches and other calls that the provider
itself has carried out) cannot stay without its reasoning, and goes. What one agent of Codex tells another is
encrypted too, and stays: without its task a sub-agent would do something else instead of nothing.
"""

from __future__ import annotations

from typing import Any, Final

from pointsman.errors import BodyError
from pointsman.values import Adaptation
from pointsman.wire.json_spans import Body, array_spans, decode, edit_array
from pointsman.wire.loose import as_dict
from pointsman.wire.openai_responses.items import COMPACTIONS, is_output, kind_of

_CODE: Final = "invalid_encrypted_content"
_ENCRYPTED: Final = COMPACTIONS | {"reasoning"}
# Items that the API takes without an id; all of these are paired by `call_id`, or with nothing.
_NAMELESS: Final = frozenset({
    "message", "function_call", "custom_tool_call", "apply_patch_call", "shell_call", "tool_search_call",
})  # fmt: skip
# Calls that the provider carries out. `computer_call` and `local_shell_call` have an output of the client's.
_HOSTED: Final = frozenset({
    "code_interpreter_call", "file_search_call", "image_generation_call", "mcp_approval_request", "mcp_call",
    "mcp_list_tools", "web_search_call",
})  # fmt: skip


def remedy(body: Body, refusal: bytes) -> list[Adaptation]:
    """What was taken out of `body`, in place; [] where the refusal is another, or nothing would be left."""
    if not _is_refused(refusal):
        return []
    raw = body.raw("input") or b""
    if not raw.startswith(b"["):
        return []
    try:
        replaced, gone = _without_encrypted(raw)
        if not gone or list(replaced.values()).count(None) == len(array_spans(raw)):
            return []
        body.set_raw("input", edit_array(raw, replaced))
    except BodyError:
        return []
    return [Adaptation("input", "drop", f"{gone} × encrypted", "", _CODE)]


def estrange(body: Body) -> int:
    """Take out what is encrypted for one account, and reasoning that has only an id; how many items."""
    raw = body.raw("input") or b""
    if not raw.startswith(b"["):
        return 0
    try:
        replaced, gone = _without_encrypted(raw, all_reasoning=True)
        if gone:
            body.set_raw("input", edit_array(raw, replaced))
    except BodyError:
        return 0
    return gone


def _is_refused(refusal: bytes) -> bool:
    try:
        error = as_dict(as_dict(decode(refusal)).get("error"))
    except BodyError:
        return False
    return error.get("code") == _CODE


def _without_encrypted(raw: bytes, *, all_reasoning: bool = False) -> tuple[dict[int, bytes | None], int]:
    """The items to replace, None for those to remove, and how many encrypted ones are among these."""
    replaced: dict[int, bytes | None] = {}
    gone = 0
    orphans = False  # whether the items at hand belong to reasoning that has gone
    for index, (start, end) in enumerate(array_spans(raw)):
        item = raw[start:end]
        fields: dict[str, Any] = as_dict(decode(item))
        kind = kind_of(fields)
        sealed = fields.get("encrypted_content") is not None
        if kind in _ENCRYPTED and (sealed or (all_reasoning and kind == "reasoning")):
            replaced[index] = None
            gone, orphans = gone + 1, True
        elif orphans:
            orphans = not _ends_answer(kind, fields)
            if orphans and kind in _HOSTED:
                replaced[index] = None
            elif orphans and kind in _NAMELESS and "id" in fields:
                nameless = Body.parse(item)
                nameless.delete("id")
                replaced[index] = nameless.render()
    return replaced, gone


def _ends_answer(kind: str, fields: dict[str, Any]) -> bool:
    """Whether an item cannot be of the answer that the reasoning began: what the client says itself."""
    return is_output(kind) or (kind == "message" and fields.get("role") != "assistant")
