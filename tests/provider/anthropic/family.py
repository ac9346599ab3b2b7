"""api.anthropic.com: POST /v1/messages, its count_tokens, and the list of models.

The same API at other hosts is a subclass, with its own base path, models and keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from provider.answers import Answer, Fault, Text, streams
from provider.anthropic import betas, rules, structure, thinking
from provider.anthropic.answers import Message, compose, error_event
from provider.anthropic.cache import PromptCache
from provider.anthropic.capabilities import BY_NAME, MODELS, Takes
from provider.anthropic.errors import error_body
from provider.family import Headers, Ready, Trouble, read_json, ready_json
from provider.record import Record
from provider.refusal import Refusal
from provider.server import Request

TITLE = Answer((Text('{"title":"Stand-in"}'),))


class Anthropic:
    """See `provider.family`."""

    name = "anthropic"
    hosts: tuple[str, ...] = ("api.anthropic.com",)
    base = ""
    models: Mapping[str, Takes] = BY_NAME

    def __init__(self) -> None:
        self.cache = PromptCache()
        self.zero_retention = False

    def reset(self) -> None:
        self.cache, self.zero_retention = PromptCache(), False

    def generates(self, request: Request) -> bool:
        return request.method == "POST" and self._path(request) == "/v1/messages"

    def authenticate(self, request: Request) -> tuple[str, bool]:
        return _authenticate(request)

    def _path(self, request: Request) -> str:
        return request.path.removeprefix(self.base)

    def admit(self, record: Record) -> Ready | None:
        request, path = record.request, self._path(record.request)
        record.account, record.subscription = self.authenticate(request)
        if not path.startswith("/v1/"):
            return self._json(record, {"ok": True})
        rules.check_version(request.header("anthropic-version"))
        if request.method == "POST" and path in ("/v1/messages", "/v1/messages/count_tokens"):
            return self._check(record, counting=not record.generates)
        if request.method == "GET" and path == "/v1/models":
            return self._json(record, _listed())
        raise Refusal(f"Not found: {request.path}", 404)

    def _check(self, record: Record, *, counting: bool) -> Ready | None:
        record.body = body = read_json(record.request)
        rules.check_schema(body, counting=counting)
        model = rules.find_model(body, self.models)
        record.model = body["model"]
        structure.check_structure(body)
        betas.check_betas(body, record.request.header("anthropic-beta"))
        rules.check_parameters(body, model, zero_retention=self.zero_retention)
        record.foreign_thinking = thinking.check_thinking(body, model, self._signer(record))
        if not counting:
            return None
        return self._json(record, {"input_tokens": PromptCache().count(body, model, record.account).total})

    def aside(self, record: Record) -> Answer | None:
        return TITLE if is_background(record.body) else None

    def compose(self, record: Record, answer: Answer) -> Ready:
        model = rules.find_model(record.body, self.models)
        record.counted = counted = self.cache.count(record.body, model, record.account)
        if counted.total > model.context_tokens:
            raise Refusal(f"prompt is too long: {counted.total} tokens > {model.context_tokens} maximum")
        record.message = message = compose(
            answer,
            record.body,
            model=_own_name(model),
            account=self._signer(record),
            thinks=rules.thinking_is_on(record.body, model),
            counted=counted,
            number=record.number,
        )
        if not streams(answer, bool(record.body.get("stream"))):
            whole = json.dumps(message.body(), ensure_ascii=False).encode()
            return Ready(head(record, "application/json"), [whole])
        headers = [*head(record, "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]
        return Ready(headers, _frames(message, answer), streamed=True)

    def failure(self, record: Record, trouble: Trouble) -> Ready:
        status, kind, more = trouble.status, None, dict[str, str]()
        if isinstance(trouble, Fault):
            kind, more = trouble.kind, dict(trouble.headers)
        data = error_body(status, trouble.message, record.request_id, kind)
        retry = "true" if status == 429 or status >= 500 else "false"
        headers = [*head(record, "application/json"), ("x-should-retry", retry), *more.items()]
        return Ready(headers, [data], status)

    def _signer(self, record: Record) -> str:
        """Whose signature stands under what its models think."""
        return record.account if self.name == "anthropic" else f"{self.name} {record.account}"

    def _json(self, record: Record, value: Any) -> Ready:
        return ready_json(head(record, "application/json"), value)


def _frames(message: Message, answer: Answer) -> list[bytes]:
    if answer.overload_after is None:
        return message.events()
    last = error_event(answer.overload_kind or "overloaded_error", "Overloaded")
    return [*message.events()[: answer.overload_after], last]


def _own_name(model: Takes) -> str:
    return model.aliases[0] if model.aliases else model.name


def _listed() -> dict[str, Any]:
    listed = [{"type": "model", "id": model.name, "display_name": model.name} for model in MODELS]
    return {"data": listed, "has_more": False, "first_id": listed[0]["id"], "last_id": listed[-1]["id"]}


def head(record: Record, content_type: str) -> Headers:
    """The headers that come with every answer."""
    now = datetime.now(UTC)
    made = [
        ("date", now.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        ("content-type", content_type),
        ("request-id", record.request_id),
        ("server", "cloudflare"),
        ("cf-ray", f"{record.number:016x}-FRA"),
        ("anthropic-organization-id", f"org-{record.account}"),
        ("via", "1.1 google"),
    ]
    if record.subscription:
        unified = {"status": "allowed", "reset": "1795305600", "representative-claim": "five_hour"}
        return made + [(f"anthropic-ratelimit-unified-{name}", value) for name, value in unified.items()]
    for what, limit in (("requests", 4000), ("input-tokens", 2_000_000), ("output-tokens", 400_000)):
        made += [(f"anthropic-ratelimit-{what}-limit", str(limit))]
        made += [(f"anthropic-ratelimit-{what}-remaining", str(limit - record.number))]
        made += [(f"anthropic-ratelimit-{what}-reset", now.strftime("%Y-%m-%dT%H:%M:%SZ"))]
    return made


def is_background(body: Any) -> bool:
    """A real client's title, probe or warm-up call, which must not take a scripted answer."""
    if body.get("max_tokens") == 1:
        return True
    text = json.dumps(body.get("system") or "") + json.dumps(body["messages"][-1:])
    asks_json = "format" in (body.get("output_config") or {})
    return asks_json and ("title" in text.lower())


_KEY = re.compile(r"sk-ant-(?:api03-|oat01-|)([a-z0-9]+)")


def _authenticate(request: Request) -> tuple[str, bool]:
    """The account a credential belongs to, and whether it is a subscription's."""
    bearer = request.header("authorization")
    secret = request.header("x-api-key") or (bearer or "").removeprefix("Bearer ")
    if not secret:
        raise Refusal("x-api-key header is required", 401)
    match = _KEY.fullmatch(secret)
    if match is None:
        raise Refusal("invalid x-api-key" if request.header("x-api-key") else "Invalid bearer token", 401)
    subscription = secret.startswith("sk-ant-oat01-")
    if subscription and "oauth-2025-04-20" not in (request.header("anthropic-beta") or ""):
        raise Refusal("OAuth authentication is currently not supported.", 401)
    return match[1], subscription
