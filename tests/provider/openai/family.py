"""api.openai.com, and the backend that Codex talks to with a ChatGPT login at chatgpt.com.

    POST /v1/chat/completions              POST /v1/responses, GET /v1/responses/{id}
    POST /v1/responses/input_tokens        GET /v1/models, /v1/models/{id}
    POST /backend-api/codex/responses      (only streams, and stores nothing)
    GET /v1/responses with an upgrade      WebSocket, see `websocket.py`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from provider.answers import Answer, Fault, Step, Text, streams
from provider.family import Ready, Trouble, ready_json
from provider.openai import (
    chat_answer,
    chat_rules,
    items,
    parameters,
    responses_answer,
    responses_rules,
    websocket,
)
from provider.openai.cache import PromptCache
from provider.openai.capabilities import CHATGPT_REFUSES, MODELS, Takes
from provider.openai.errors import Refused, detail_body, error_body
from provider.openai.heads import answer_head, authenticate, head, is_chatgpt
from provider.openai.reading import read_body
from provider.openai.said import BUSY, CREATED, Situation
from provider.openai.store import Store
from provider.record import Record
from provider.server import Request

Json = Mapping[str, Any]
CHAT, RESPONSES, BACKEND = "/v1/chat/completions", "/v1/responses", "/backend-api/codex/responses"
INPUT_TOKENS = "/v1/responses/input_tokens"
LITE_HEADER = "x-openai-internal-codex-responses-lite"
LITE_IN_SOCKET = "ws_request_header_x_openai_internal_codex_responses_lite"
SSE, JSON_TYPE = "text/event-stream; charset=utf-8", "application/json"
UNTAKEN_BY_PLAN = ("max_output_tokens", "temperature", "top_p", "user", "metadata", "truncation")
NOTHING_ASKED = (
    "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
)
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."


class OpenAI:
    """See `provider.family`. `compact` writes JSON as the service does (no blanks in events, indented
    bodies) instead of as in the recordings; `websockets` accepts upgrades instead of refusing them."""

    name = "openai"
    hosts: tuple[str, ...] = ("api.openai.com", "chatgpt.com")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.cache, self.store = PromptCache(), Store()
        self.compact = self.websockets = False

    def generates(self, request: Request) -> bool:
        paths = (BACKEND,) if is_chatgpt(request) else (CHAT, RESPONSES)
        return request.method in ("POST", websocket.MESSAGE) and request.path in paths

    # ------------------------------------------------------------ requests

    def admit(self, record: Record) -> Ready | None:
        record.account, record.subscription = authenticate(record.request)
        if record.generates or (record.request.method == "POST" and record.path == INPUT_TOKENS):
            body = read_body(record.request)
            return self.take(record, body)
        if record.request.method == "GET" and not is_chatgpt(record.request):
            found = self._found(record.path, record.account)
            if found is not None:
                return ready_json(head(record, JSON_TYPE), found)
        raise Refused(f"Invalid URL ({record.request.method} {record.path})", 404)

    def take(self, record: Record, body: Any, connection: int = 0, *, generate: bool = True) -> Ready | None:
        """Check one request for an answer; also what comes over the WebSocket `connection`."""
        record.body = body
        if not isinstance(body, dict):
            raise Refused("Invalid type for request body: expected an object.")
        if is_chatgpt(record.request):
            _check_plan(body)
        model = parameters.find_model(body)
        record.model = body["model"]
        record.notes["model"] = model
        if record.path == CHAT:
            chat_rules.check(body, model)
            return None
        lite = record.request.header(LITE_HEADER) == "true"
        lite = lite or (body.get("client_metadata") or {}).get(LITE_IN_SOCKET) == "true"
        responses_rules.check(body, model, record.account, self.store, lite=lite)
        conversation = self._conversation(record, model, connection)
        if generate and not conversation and body.get("prompt") is None and body.get("conversation") is None:
            raise Refused(NOTHING_ASKED, code="missing_required_parameter")
        record.notes["conversation"] = conversation
        if record.path != INPUT_TOKENS:
            return None
        total = PromptCache().count(_segments(record), model, record.account).total
        return ready_json(head(record, JSON_TYPE), {"object": "response.input_tokens", "input_tokens": total})

    def _conversation(self, record: Record, model: Takes, connection: int) -> tuple[Json, ...]:
        body, account = record.body, record.account
        before: tuple[Json, ...] = ()
        if body.get("previous_response_id") is not None:
            before = self.store.conversation(body["previous_response_id"], account, connection)
        given = items.read(body.get("input"), model, account, self.store)
        items.check_conversation([*before, *given], account, self.store)
        return (*before, *given)

    def _found(self, path: str, account: str) -> Any:
        if path == "/v1/models":
            return {"object": "list", "data": [_listed(model.name) for model in MODELS]}
        kind, _, name = path.removeprefix("/v1/").partition("/")
        if kind == "models":
            return _listed(parameters.find_model({"model": name}).name)
        return self.store.find(name, account) if kind == "responses" and name else None

    def aside(self, record: Record) -> Answer | None:
        return TITLE if is_background(record.body) else None

    def hears(self, record: Record) -> bool:
        record.account, record.subscription = authenticate(record.request)
        return self.websockets and record.path == RESPONSES

    def hear(self, record: Record, step: Callable[[Record], Step]) -> list[dict[str, Any]]:
        return websocket.hear(self, record, step)

    # ------------------------------------------------------------ answers

    def compose(self, record: Record, answer: Answer) -> Ready:
        message = self.say(record, answer)
        if not streams(answer, bool(record.body.get("stream"))):
            body = message.situation.whole(message.body())
            return Ready(answer_head(record, message.model, JSON_TYPE), [body])
        frames = message.events()
        if answer.overload_after is not None:
            frames = [*frames[: answer.overload_after], _error_frame(message, answer)]
        kind = None if is_chatgpt(record.request) else SSE  # Codex' backend names no type
        headers = [*answer_head(record, message.model, kind), ("cache-control", "no-cache")]
        return Ready(headers, frames, streamed=True)

    def say(self, record: Record, answer: Answer, connection: int = 0) -> Any:
        """The message, counted and kept."""
        model: Takes = record.notes["model"]
        chat = record.path == CHAT
        record.counted = counted = self.cache.count(_segments(record), model, record.account)
        if counted.total > model.context_tokens:
            raise Refused(TOO_LONG, param="messages" if chat else "input", code="context_length_exceeded")
        body = record.body
        effort = body.get("reasoning_effort") if chat else responses_rules.effort_of(body)
        form = body.get("response_format") if chat else (body.get("text") or {}).get("format")
        situation = Situation(
            body=body,
            model=model,
            account=record.account,
            number=record.number,
            counted=counted,
            thinks=parameters.reasons(effort, model),
            schema=parameters.check_format(form, "text.format"),
            compact=self.compact,
        )
        made: Any = (chat_answer if chat else responses_answer).compose(answer, situation)
        record.message = made
        if not chat:
            stored = body.get("store", True) is not False
            conversation = record.notes["conversation"]
            self.store.keep(made.body(), conversation, record.account, stored=stored, connection=connection)
        return made

    def failure(self, record: Record, trouble: Trouble) -> Ready:
        status = 503 if trouble.status == 529 else trouble.status
        param, code = getattr(trouble, "param", None), getattr(trouble, "code", None)
        message, more = trouble.message, dict[str, str]()
        if isinstance(trouble, Fault):
            code, more = trouble.kind, dict(trouble.headers)
            message = BUSY if message == "Overloaded" else message
        plain = is_chatgpt(record.request) and code is None and status < 429
        data = detail_body(message) if plain else error_body(status, message, param, code)
        return Ready([*head(record, JSON_TYPE), *more.items()], [data], status)


TITLE_WORDS = "generate a title for this conversation"
TITLE = Answer((Text("A title for this conversation"),))


def is_background(body: Any) -> bool:
    """opencode's title: a call without tools that says so in one of its first messages."""
    first = (body.get("input") or body.get("messages") or [])[:2]
    return not body.get("tools") and TITLE_WORDS in json.dumps(first).lower()


def _check_plan(body: Json) -> None:
    """What the backend of a ChatGPT login refuses beyond the API; the error has no code."""
    if body.get("model") in CHATGPT_REFUSES:
        text = f"The '{body['model']}' model is not supported when using Codex with a ChatGPT account."
        raise Refused(text)
    for key in UNTAKEN_BY_PLAN:
        if key in body:
            raise Refused(f"Unsupported parameter: {key}")
    if body.get("store") is not False:
        raise Refused("Store must be set to false")
    if body.get("stream") is not True:
        raise Refused("Stream must be set to true")


def _segments(record: Record) -> Iterator[Any]:
    """The prompt in the order in which the model reads it, and is cached."""
    body = record.body
    yield from body.get("tools") or []
    yield body.get("instructions") or ""
    yield from _bare(record.notes["conversation"] if "conversation" in record.notes else body["messages"])


def _bare(conversation: Sequence[Json]) -> Iterator[Json]:
    """Items without what only the client and the service know them by."""
    for item in conversation:
        kept = {key: value for key, value in item.items() if key not in ("id", "status")}
        yield kept if "type" in kept or "role" not in kept else {"type": "message", **kept}


def _listed(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}


def _error_frame(message: Any, answer: Answer) -> bytes:
    if isinstance(message, chat_answer.Message):
        return message.error_event(answer.overload_kind)
    event: bytes = message.event(message.error_event(answer.overload_after, answer.overload_kind))
    return event

