"""A provider API that nobody has: what a fifth surface takes, in one file.

    POST /wire/send   {"line": MODEL, "wires": [{"from": "us" | "them", "words": TEXT}], "live": BOOL}
    200  {"line": MODEL, "words": TEXT, "paid": {"sent": N, "got": N}}
    live: server-sent events {"line": MODEL, "words": TEXT} …, then {"stop": true, "paid": …}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pointsman.errors import BodyError
from pointsman.values import Adaptation, Changes, Credential, CredentialKind, Facts, Model, TurnKind
from pointsman.wire import sse
from pointsman.wire.credentials import credential_of
from pointsman.wire.json_spans import Body, decode, encode
from pointsman.wire.loose import as_dict, as_text, dicts
from pointsman.wire.model_names import Listed
from pointsman.wire.observation import Observation, as_count
from pointsman.wire.stripping import Stripped, strip_array, strip_text
from pointsman.wire.texts import model_name, newest
from pointsman.wire.transform import SseTransform

SURFACE = "telegraph"
HOSTS = ("api.telegraph.example",)
MODEL_HEADERS = ("telegraph-line",)
PROVIDER = "telegraph"
PATH = "/wire/send"


def recognise(method: str, path: str) -> str | None:
    return "generate" if method == "POST" and path.partition("?")[0] == "/wire/send" else None


def outline(body: Body) -> tuple[str, ...] | None:
    return ("wires",) if body.has("wires") else None


def credential(headers: Mapping[str, str], path: str, salt: bytes) -> Credential:
    return credential_of(headers.get("telegraph-key", ""), CredentialKind.API_KEY, salt)


def read_facts(body: Body, headers: Mapping[str, str], path: str, endpoint: str) -> Facts:
    wires = dicts(body.get("wires"))
    ours = [as_text(wire.get("words")) or "" for wire in wires if wire.get("from") == "us"]
    return Facts(
        surface=SURFACE,
        endpoint=endpoint,
        requested_model=model_name(body.get("line")),
        stream=body.get("live") is True,
        turn=TurnKind.MAIN,
        user_texts=tuple(newest(reversed(ours))),
        tool_loop=False,
        session_hint=headers.get("telegraph-office"),
        first_user_text=ours[0] if ours else "",
        client="unknown",
        message_count=len(wires),
        input_tokens_estimate=body.size // 4,
    )


def strip(body: Body) -> int:
    try:
        wires, count = strip_array(body.raw("wires") or b"[]", _strip_wire)
    except BodyError:
        return 0
    if count:
        body.set_raw("wires", wires)
    return count


def _strip_wire(raw: bytes) -> Stripped:
    wire = Body.parse(raw)
    return strip_text(wire, kinds=None, key="words") if wire.get("from") == "them" else (raw, 0)


def set_model(body: Body, path: str, name: str) -> str:
    body.set("line", name)
    return path


def marker_modes(body: Body, facts: Facts, model: Model | None) -> tuple[str, ...]:
    return ("text",)


def ineligible(facts: Facts, model: Model) -> str:
    return "" if model.provider == SURFACE else "is not on this line"


def adapt(body: Body, facts: Facts, model: Model) -> list[Adaptation]:
    return []


def ask(body: Body, facts: Facts) -> list[Adaptation]:
    return []


def set_parameters(body: Body, parameters: Mapping[str, Any], model: Model | None) -> list[Adaptation]:
    return []


def models_asked(method: str, path: str) -> str | None:
    return None


def model_list(data: bytes, path: str, listed: Iterable[Listed]) -> bytes | None:
    return None


def model_card(listed: Listed) -> bytes:
    return encode({"line": listed.name})


def remedy(body: Body, refusal: bytes) -> list[Adaptation]:
    return []


def estrange(body: Body) -> int:
    return 0


def unrepeatable(body: Body) -> str:
    return ""


def is_plain(data: bytes) -> bool:
    return observe_body(data).complete


def error_body(status: int, message: str) -> bytes:
    return encode({"fault": {"number": status, "words": message}})


def error_message(data: bytes) -> str:
    try:
        return as_text(as_dict(as_dict(decode(data)).get("fault")).get("words")) or ""
    except BodyError:
        return ""


def _see(seen: Observation, said: Mapping[str, object]) -> None:
    seen.answered_model = as_text(said.get("line")) or seen.answered_model
    seen.started = True
    seen.begun = seen.begun or bool(said.get("words"))
    paid = as_dict(said.get("paid"))
    if paid:
        seen.input_tokens, seen.output_tokens = as_count(paid.get("sent")), as_count(paid.get("got"))
        seen.complete = True


class _Live(SseTransform[Observation]):
    def __init__(self, changes: Changes) -> None:
        super().__init__(changes, Observation())
        self._changes = changes
        self._marker = changes.marker_text

    def _failure(self, status: int, message: str) -> bytes:
        return b"data: " + error_body(status, message) + b"\n\n"

    def _see(self, event: sse.Event) -> dict[str, object]:
        said = as_dict(decode(event.data or b"null"))
        _see(self.observation, said)
        self.dirty = self.dirty or self.observation.complete
        return said

    def _change(self, event: sse.Event) -> bytes:
        if "words" not in self._see(event):
            return event.raw
        body = Body.parse(event.data or b"")
        if self._changes.requested_model is not None:
            body.set("line", self._changes.requested_model)
        marker, self._marker = self._marker, None
        first = b"data: " + encode({"line": body.get("line"), "words": marker}) + b"\n\n" if marker else b""
        return first + event.with_data(body.render())


def stream(content_type: str, facts: Facts, changes: Changes) -> _Live | None:
    return _Live(changes) if sse.is_event_stream(content_type, asked=facts.stream) else None


def observe_body(data: bytes) -> Observation:
    seen = Observation()
    try:
        _see(seen, as_dict(decode(data)))
    except BodyError:
        pass
    return seen


def rewrite_body(data: bytes, changes: Changes) -> bytes:
    try:
        body = Body.parse(data)
        if changes.requested_model is not None:
            body.set("line", changes.requested_model)
        if changes.marker_text is not None:
            body.set("words", changes.marker_text + body.get("words"))
        return body.render()
    except (BodyError, TypeError):
        return data
