"""generativelanguage.googleapis.com: models, their three methods, and cached contents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from provider.answers import Answer, Fault, Text, streams
from provider.examples import example
from provider.family import Headers, Ready, Trouble
from provider.gemini import checks, routes, rules, schema, shape
from provider.gemini.answers import compose, fault_value, frames
from provider.gemini.background import is_background
from provider.gemini.cache import Kept, PromptCache
from provider.gemini.capabilities import MODELS, Takes
from provider.gemini.errors import SERVICE, Refusal, error_body, error_value
from provider.record import Record
from provider.server import Request

JSON_TYPE = "application/json; charset=UTF-8"
PAGE_SIZE = 50


class Gemini:
    """See `provider.family`. Two switches, for what the service is not known to do always:

    `strict_history`    older turns may not hold another model's signatures either
    `repeated_results`  the same response may come twice, as Gemini CLI sends it after --resume
    """

    name = "gemini"
    hosts: tuple[str, ...] = (SERVICE,)

    def __init__(self) -> None:
        self.cache = PromptCache()
        self.strict_history = self.repeated_results = False

    def reset(self) -> None:
        self.cache = PromptCache()
        self.strict_history = self.repeated_results = False

    def generates(self, request: Request) -> bool:
        route = routes.find_route(request)
        return route is not None and route.generates

    def admit(self, record: Record) -> Ready | None:
        route = routes.find_route(record.request)
        if route is None:
            page = [("content-type", "text/html; charset=UTF-8"), ("referrer-policy", "no-referrer")]
            return Ready(page, [routes.NOT_FOUND], 404)
        routes.check_query(route)
        record.account, record.subscription = routes.authenticate(record.request, route)
        if record.request.method == "GET":
            return self._resource(record, route)
        record.body = checks.parse(record.request)
        if route.kind == "cachedContents":
            kept = schema.read(record.body, "CachedContent", route.version)
            return _json(record, _cached(self.cache.keep(kept, record.account, route.version)))
        return self._check(record, route)

    def _check(self, record: Record, route: routes.Route) -> Ready | None:
        record.model = route.name
        accepted = checks.check(
            record.body,
            route.name,
            record.account,
            version=route.version,
            verb=route.verb,
            strict_history=self.strict_history,
            repeated_results=self.repeated_results,
        )
        record.foreign_thinking = accepted.foreign
        record.notes["accepted"] = accepted
        if route.generates:
            return None
        total = PromptCache(kept=self.cache.kept).count(accepted.body, accepted.model, record.account).total
        return _json(
            record, {"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]}
        )

    def aside(self, record: Record) -> Answer | None:
        return self._fitting(record) if is_background(record.request, _accepted(record).body) else None

    def compose(self, record: Record, answer: Answer) -> Ready:
        accepted, route = _accepted(record), routes.find_route(record.request)
        assert route is not None
        model = accepted.model
        if answer == Answer() and rules.wants_json(accepted.body):
            answer = self._fitting(record)
        record.counted = counted = self.cache.count(accepted.body, model, record.account)
        if counted.total > model.input_tokens:
            raise Refusal(
                f"The input token count ({counted.total}) exceeds the maximum number of tokens allowed "
                f"({model.input_tokens})."
            )
        record.message = message = compose(
            answer,
            accepted.body,
            model=model,
            account=record.account,
            counted=counted,
            number=record.number,
        )
        if not streams(answer, route.streams):
            return Ready(head(record, JSON_TYPE), [shape.pretty(message.body()).encode()])
        content = [("content-disposition", "attachment")]
        sse = route.sse or not route.streams
        headers = [*head(record, "text/event-stream" if sse else JSON_TYPE), *content]
        return Ready(headers, frames(message, answer, sse=sse), streamed=True)

    def failure(self, record: Record, trouble: Trouble) -> Ready:
        """A stream with alt=sse that never began is plain JSON under the stream's content type."""
        route = routes.find_route(record.request)
        more = trouble.headers.items() if isinstance(trouble, Fault) else ()
        if isinstance(trouble, Fault):
            value = fault_value(trouble, record.model)
        else:
            value = error_value(trouble.status, str(trouble), getattr(trouble, "details", ()))
        sse = route is not None and route.sse
        data = error_body(value, array=route is not None and route.streams and not sse)
        headers = [*head(record, "text/event-stream" if sse else JSON_TYPE), *more]
        return Ready(headers, [data], value["error"]["code"])

    def _fitting(self, record: Record) -> Answer:
        """The smallest answer that fits the schema that was asked for."""
        config = rules.config_of(_accepted(record).body)
        asked = config.get("responseJsonSchema") or config.get("responseSchema")
        value = example(asked) if asked else {"answer": "stand-in"}
        said = json.dumps(value) if rules.wants_json(_accepted(record).body) else "A stand-in's aside."
        return Answer((Text(said),))

    def _resource(self, record: Record, route: routes.Route) -> Ready:
        if route.kind == "cachedContents":
            return _json(record, _cached(self.cache.find(f"cachedContents/{route.name}", record.account)))
        if route.name:
            return _json(record, _listed(rules.find_model(route.name, route.version, "getModel")))
        size, start = (
            int(route.query.get(name) or other) for name, other in (("pageSize", PAGE_SIZE), ("pageToken", 0))
        )
        page: dict[str, Any] = {"models": [_listed(model) for model in MODELS[start : start + size]]}
        if start + size < len(MODELS):
            page["nextPageToken"] = str(start + size)
        return _json(record, page)


def head(record: Record, content_type: str) -> Headers:
    """The headers that come with every answer of the service."""
    return [
        ("content-type", content_type),
        ("vary", "Origin"),
        ("vary", "X-Origin"),
        ("vary", "Referer"),
        ("date", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")),
        ("server", "scaffolding on HTTPServer2"),
        ("x-xss-protection", "0"),
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("server-timing", f"gfet4t7; dur={100 + record.number}"),
        ("x-gemini-service-tier", "standard"),
        ("alt-svc", 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000'),
    ]


def _accepted(record: Record) -> checks.Accepted:
    accepted: checks.Accepted = record.notes["accepted"]
    return accepted


def _json(record: Record, value: Any) -> Ready:
    return Ready(head(record, JSON_TYPE), [shape.pretty(value).encode()])


def _listed(model: Takes) -> dict[str, Any]:
    return {
        "name": f"models/{model.name}",
        "version": "001",
        "displayName": model.name.replace("-", " ").title(),
        "inputTokenLimit": model.input_tokens,
        "outputTokenLimit": model.output_tokens,
        "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": True,
    }


def _cached(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.name,
        "model": f"models/{kept.model}",
        "usageMetadata": {"totalTokenCount": kept.tokens},
    }
