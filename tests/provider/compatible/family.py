"""Providers that speak OpenAI's Chat Completions, Anthropic's Messages, or both, under keys of their own.

POST {chat}/chat/completions, GET {chat}/models
POST {messages}/v1/messages and its count_tokens
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from provider.answers import Answer, Fault, streams
from provider.anthropic.family import Anthropic
from provider.compatible import answers, rules
from provider.compatible.hosts import Host
from provider.compatible.models import Model
from provider.family import Headers, Ready, Trouble, ready_json
from provider.keys import PREFIXES, owner_of
from provider.openai.cache import PromptCache
from provider.openai.errors import Refused, error_body
from provider.openai.family import TITLE, TOO_LONG, is_background
from provider.openai.parameters import check_format
from provider.openai.reading import read_body
from provider.openai.said import CREATED, Situation
from provider.record import Record
from provider.refusal import Refusal
from provider.server import Request

NAMES = frozenset(owner for _, owner in PREFIXES)


class Compatible:
    """See `provider.family`."""

    def __init__(self, host: Host) -> None:
        assert host.name in NAMES
        self.host = host
        self.name = host.name
        self.hosts: tuple[str, ...] = (host.host,)
        self.copy = None if host.messages is None else _Copy(host)
        self.cache = PromptCache()

    def reset(self) -> None:
        self.cache = PromptCache()
        if self.copy is not None:
            self.copy.reset()

    def generates(self, request: Request) -> bool:
        chat = request.method == "POST" and request.path == f"{self.host.chat}/chat/completions"
        return chat or (self.copy is not None and self.copy.generates(request))

    def _copied(self, record: Record) -> bool:
        return self.copy is not None and "/v1/messages" in record.path

    def admit(self, record: Record) -> Ready | None:
        if self._copied(record):
            assert self.copy is not None
            return self.copy.admit(record)
        record.account = account_of(record.request, self.host)
        if record.request.method == "GET" and record.path == f"{self.host.chat}/models":
            listed = [{"id": name, "object": "model", "created": CREATED} for name in self.host.models]
            return ready_json(head(record, "application/json"), {"object": "list", "data": listed})
        if not record.generates:
            raise Refused(f"Invalid URL ({record.request.method} {record.path})", 404)
        body = record.body = read_body(record.request)
        if not isinstance(body, dict):
            raise Refused("Invalid type for request body: expected an object.")
        record.model = str(body.get("model"))
        model = self.host.models.get(record.model)
        if model is None:
            raise Refused(f"The model `{record.model}` does not exist.", 404, code="model_not_found")
        record.notes["model"] = replace(model, name=record.model)
        rules.check(body, self.host, model)
        return None

    def aside(self, record: Record) -> Answer | None:
        if self._copied(record):
            assert self.copy is not None
            return self.copy.aside(record)
        return TITLE if is_background(record.body) else None

    def compose(self, record: Record, answer: Answer) -> Ready:
        if self._copied(record):
            assert self.copy is not None
            return self.copy.compose(record, answer)
        body, model = record.body, record.notes["model"]
        record.counted = counted = self.cache.count(_segments(body), model, record.account)
        if counted.total > model.context_tokens:
            raise Refused(TOO_LONG, param="messages", code="context_length_exceeded")
        situation = Situation(
            body=body,
            model=model,
            account=record.account,
            number=record.number,
            counted=counted,
            thinks=thinks(body, model),
            schema=check_format(body.get("response_format"), "response_format"),
            compact=True,
        )
        record.message = message = answers.compose(answer, situation, self.host)
        if not streams(answer, bool(body.get("stream"))):
            return Ready(head(record, "application/json"), [situation.whole(message.body())])
        frames = message.events()
        if answer.overload_after is not None:
            frames = [*frames[: answer.overload_after], message.error_event(answer.overload_kind)]
        headers = [*head(record, "text/event-stream"), ("cache-control", "no-cache")]
        return Ready(headers, frames, streamed=True)

    def failure(self, record: Record, trouble: Trouble) -> Ready:
        if self._copied(record):
            assert self.copy is not None
            return self.copy.failure(record, trouble)
        status = 503 if trouble.status == 529 else trouble.status
        code = trouble.kind if isinstance(trouble, Fault) else getattr(trouble, "code", None)
        data = error_body(status, trouble.message, getattr(trouble, "param", None), code)
        more = trouble.headers.items() if isinstance(trouble, Fault) else ()
        return Ready([*head(record, "application/json"), *more], [data], status)


class _Copy(Anthropic):
    """Anthropic's API at another host, with other models and keys. Thoughts are signed by the provider."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        assert host.messages is not None
        self.host = host
        self.name, self.base = host.name, host.messages
        self.models = {name: model.takes(name) for name, model in host.copied.items()}

    def authenticate(self, request: Request) -> tuple[str, bool]:
        return account_of(request, self.host), False


def account_of(request: Request, host: Host) -> str:
    """Raises a Refusal for any key but one of the host's own; one without keys takes none, or its own."""
    bearer = (request.header("authorization") or "").removeprefix("Bearer ")
    secret = request.header("x-api-key") or bearer
    if host.keyless and not secret:
        return "local"
    if owner_of(secret) != host.name:
        raise Refusal("Incorrect API key provided." if secret else "No auth credentials found", 401)
    prefix = next(prefix for prefix, owner in PREFIXES if owner == host.name)
    return secret.removeprefix(prefix)


def thinks(body: dict[str, Any], model: Model) -> bool:
    off = (body.get("thinking") or {}).get("type") == "disabled"
    off = off or (body.get("reasoning") or {}).get("enabled") is False
    return model.thinks and not off and body.get("reasoning_effort") != "none"


def head(record: Record, content_type: str) -> Headers:
    return [
        ("date", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")),
        ("content-type", content_type),
        ("x-request-id", record.request_id),
        ("x-ratelimit-limit-requests", "600"),
        ("x-ratelimit-remaining-requests", str(600 - record.number)),
        ("server", "cloudflare"),
    ]


def _segments(body: dict[str, Any]) -> Iterator[Any]:
    yield json.dumps(body.get("tools") or [])
    yield from body["messages"]
