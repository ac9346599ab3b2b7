"""The answer to one action: watched, marked, and on disk before the client has it.

The order matters and is the same for streams and bodies: observe, commit (see row.py), forward.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mitmproxy import http

from pointsman.catalogue import Catalogue
from pointsman.errors import BodyError
from pointsman.outgoing import ORIGIN, Outgoing, key_of, without_key
from pointsman.pipeline import costs
from pointsman.row import Row
from pointsman.semantic_cache import ENTRY_BYTES
from pointsman.store import Store
from pointsman.surface import Surface, Transform
from pointsman.telling import JSON, Telling
from pointsman.values import NO_CHANGES, Adaptation, Binding, Changes, Decision, Facts, Outcome, Usage
from pointsman.wire import encoding, marker
from pointsman.wire.chain import Chain
from pointsman.wire.head import edited
from pointsman.wire.observation import Observation
from pointsman.wire.withheld import MASK, Withheld

log = logging.getLogger("pointsman")

OBSERVE_LIMIT = 64 * 1024 * 1024  # bytes, decoded, of an answer that is not a stream
NO_TOKENS = Usage(0, 0, 0, 0, 0)
# What a client may read in the head of a provider that it does not know of.
FOREIGN_HEADERS = (
    "content-type", "content-encoding", "content-length", "transfer-encoding", "cache-control", "date",
    "retry-after", "retry-after-ms", "x-should-retry", "request-id", "x-request-id",
)  # fmt: skip
_FOREIGN = frozenset(name.encode() for name in FOREIGN_HEADERS)
NO_ANSWER = "not an answer of this API"
REQUEST_ID_HEADERS = ("request-id", "x-request-id")


class Answer:
    """Follows the answer of one flow from head to end.

    `clock` gives monotonic seconds; `named` is told the provider's id of the answer, before the client is;
    `keep` gets an answer that may be given again, decoded, with its content type.
    """

    def __init__(
        self,
        decision: Decision,
        facts: Facts,
        surface: Surface,
        store: Store,
        models: Catalogue,
        clock: Callable[[], float],
        started: float,
        named: Callable[[str], None],
        keep: Callable[[bytes, str], None] | None = None,
    ) -> None:
        self.decision = decision
        self.facts = facts
        self.surface = surface
        self.retried: list[str] = []  # why it was sent again, each time
        self.out: Outgoing | None = None  # of the attempt under way
        self._account = Outcome()  # who answered, after which attempts
        self._row = Row(store)
        self._models = models
        self._clock = clock
        self._started = started
        self._named: Callable[[str], None] | None = named
        self._keep = keep
        self._seen = bytearray()  # of a stream that may be kept
        self._head = Outcome()  # what the response head said
        self._transform: Transform | None = None
        self._client: Transform | None = None  # the client's end of a stream that began before its provider's
        self._whole: Outcome | None = None  # of an answer that is no longer to be read
        self._decoder: encoding.Decoder | None = None
        self._withheld: Withheld | None = None  # takes a provider's key out of what it streams
        self._content_type = ""
        self._raw = False  # the transform failed: bytes pass as they are
        self._lost: str | None = None  # why it did
        self._ended = False  # nothing more comes of the stream

    # --- head ---------------------------------------------------------------------------

    async def head(self, flow: http.HTTPFlow) -> None:
        """The upstream's head has arrived; it leaves for the client when this returns."""
        response = flow.response
        assert response is not None
        if self._whole is not None:
            self._show(response)
        elif self.decision.endpoint == "generate":
            self._begin(response)
            if response.status_code == 200 and self._follow_stream(flow, response):
                await self._row.commit(self.decision, self._head)
            # A head without a stream leaves together with its body, and is committed with it.
            self._show(response)

    def _begin(self, response: http.Response) -> None:
        self._head = replace(
            self._account,
            status=response.status_code,
            request_id=_request_id(response),
            ttfb_ms=self._elapsed_ms(),
            retried="; ".join(self.retried) or None,
        )

    def adapted(self, adaptations: tuple[Adaptation, ...]) -> None:
        """What was made of the request for a provider that is about to be asked."""
        if not self._row.begun:
            self.decision = replace(self.decision, adaptations=adaptations)

    def served_by(self, binding: Binding, attempts: str | None, fallback_from: str | None) -> None:
        """Whose answer it is that comes now, and what was tried before, as JSON."""
        provider = binding.provider.name if binding.provider else None
        self._account = Outcome(
            upstream_provider=provider, attempts=attempts, fallback_from=fallback_from
        )

    def _show(self, response: http.Response) -> None:
        decision, out = self.decision, self.out
        at = out.binding.provider if out is not None else None
        named = self._account.upstream_provider or (at.name if at else decision.provider)
        shown = {
            "x-router-model": decision.served_model,
            "x-router-provider": named or "origin",
            "x-router-strategy": decision.strategy,
            "x-router-decision": decision.id,
            "x-router-session": decision.session,
            "x-router-cache": decision.cache,
        }
        if self._account.fallback_from:
            shown["x-router-fallback-from"] = self._account.fallback_from
        if at is None and decision.served_model != decision.requested_model:
            known = [name for name in self.surface.MODEL_HEADERS if name in response.headers]
            shown |= dict.fromkeys(known, decision.requested_model)
        changes = {name.encode(): value.encode("utf-8", "surrogateescape") for name, value in shown.items()}
        response.headers.fields = edited(response.headers.fields, changes, _is_foreign if at else None)

    def _follow_stream(self, flow: http.HTTPFlow, response: http.Response) -> bool:
        """Whether the answer is a stream; then it is followed from here on."""
        content_type = self._content_type = response.headers.get("content-type", "")
        translated = self.out is not None and self.out.translated
        self._transform = self._telling().follow(content_type, self.out)
        if self._transform is None:
            return False
        changes = self.decision.changes_answer or self._foreign
        self._withhold()
        coding = response.headers.get("content-encoding", "")
        if coding and coding.strip().lower() != "identity":
            try:
                self._decoder = encoding.Decoder(coding, OBSERVE_LIMIT)
            except BodyError as error:
                self._warn("the answer is not understood and passes as it is", error)
                response.stream = True
                return True
            if changes:
                del response.headers["content-encoding"]
        if translated:
            response.headers["content-type"] = self._telling().stream_type
        bounded = changes and response.headers.pop("content-length", None) is not None
        if bounded and flow.request.http_version == "HTTP/1.1":
            response.headers["transfer-encoding"] = "chunked"
        response.stream = self._feed_changed if changes else self._feed_observed
        return True

    @property
    def _foreign(self) -> bool:
        """Is the answer another provider's than the origin?"""
        return self.out is not None and self.out.binding.provider is not None

    def _withhold(self) -> None:
        key = key_of(self.out.binding) if self.out is not None else ""
        self._withheld = Withheld(key.encode()) if key else None

    def _without_key(self, data: bytes) -> bytes:
        key = key_of(self.out.binding) if self.out is not None else ""
        return data.replace(key.encode(), MASK) if key else data

    def _changes(self) -> Changes:
        """What is changed in the answer."""
        decision = self.decision
        if not decision.changes_answer:
            return NO_CHANGES
        served, requested, reason = decision.served_model, decision.requested_model, decision.reason
        return Changes(
            requested_model=requested if served != requested else None,
            marker_text=marker.make(served, reason) if decision.marker == "text" else None,
            comment=marker.comment(served, reason) if decision.marker == "comment" else None,
            x_router={
                "decision": decision.id,
                "model": served,
                "requested": requested,
                "strategy": decision.strategy,
                "reason": reason,
            },
            added=frozenset(item.parameter for item in decision.adaptations if item.verb == "add"),
        )

    # --- prelude and failover -----------------------------------------------------------

    def _telling(self) -> Telling:
        decision = self.decision
        return Telling(
            self.surface, self.facts, self._changes(), decision.id, decision.requested_model, int(decision.at)
        )

    def may_open(self) -> bool:
        """Can a stream begin before the provider's does?"""
        if self.out is None or not (self.decision.changes_answer or self.out.translated):
            return False
        return bool(self._telling().opening(self.out, self._bindings()))

    def _bindings(self) -> tuple[Binding, ...]:
        return self.decision.bindings or (self.out.binding if self.out else ORIGIN,)

    async def open(self, response: http.Response) -> list[bytes]:
        """The prelude leaves when this returns: its head is `response`, its first bytes are given."""
        assert self.out is not None
        telling = self._telling()
        self._client = client = telling.client()
        self._begin(response)
        await self._row.commit(self.decision, self._head)
        self._show(response)
        begun = client.feed(telling.opening(self.out, self._bindings()))
        # No empty piece: that would be the end of a chunked body.
        return [piece for piece in (*begun, client.mark()) if piece]

    def join(self, head: http.Response) -> Callable[[bytes], Iterable[bytes]]:
        """How a stream goes on that has been opened, with the answer that begins with `head`."""
        self._head = replace(self._head, **_given(self._account), request_id=_request_id(head))
        self._content_type = head.headers.get("content-type", "")
        coding = head.headers.get("content-encoding", "").strip().lower()
        self._decoder = encoding.Decoder(coding, OBSERVE_LIMIT) if coding not in ("", "identity") else None
        self._withhold()
        self._transform = self._telling().follow(self._content_type, self.out, self._client)
        return self._feed_changed

    def join_whole(self, data: bytes) -> list[bytes]:
        """The rest of a stream that has been opened, where the provider gave a whole answer to it."""
        return self._streamed(data)

    def streamed(self, data: bytes) -> http.Response:
        """A provider's whole answer as the stream that the client wants."""
        head = {"content-type": self._telling().stream_type}
        return http.Response.make(200, b"".join(self._streamed(data)), head)

    def _streamed(self, data: bytes) -> list[bytes]:
        assert self.out is not None
        data = self._without_key(data)
        seen = self.out.surface.observe_body(data)
        self._head = replace(self._head, **_given(self._account), status=200)
        pieces = self._telling().streamed(data, self.out, self._client)
        self._whole = replace(self._outcome(seen), complete=True, total_ms=self._elapsed_ms())
        self._row.commit_blocking(self.decision, self._whole)
        return pieces

    def fail(self, status: int, message: str) -> list[bytes]:
        """The error that ends a stream the client has the beginning of."""
        if self._transform is not None and self._transform.observation.complete:
            return self._feed_changed(b"")  # all was said; only the connection did not end as it should
        stream = self._transform or self._client
        said = stream.fail(status, message) if stream is not None else b""
        self._ended = True
        self._head = replace(self._head, **_given(self._account))
        seen = self._transform.observation if self._transform else None
        outcome = self._outcome(seen) if seen else self._head
        outcome = replace(outcome, error=message, complete=False, total_ms=self._elapsed_ms())
        self._row.commit_blocking(self.decision, outcome)
        return [said] if said else []

    # --- stream -------------------------------------------------------------------------

    def _feed_changed(self, chunk: bytes) -> list[bytes]:
        """mitmproxy calls this with each chunk, and with b"" at the end. Never raises."""
        assert self._transform is not None
        if self._raw:
            return [chunk] if chunk and not isinstance(self._transform, Chain) else []
        try:
            plain = self._decoder.feed(chunk) if self._decoder and chunk else chunk
            if self._withheld is not None:
                plain = self._withheld.feed(plain) if chunk else self._withheld.flush()
            out = self._transform.feed(plain) if chunk or plain else []
            if not chunk:
                out += self._transform.flush()
            self._note(self._transform, end=not chunk)
            if self._keep:
                self._gather(plain, end=not chunk)
            return out
        except Exception as error:
            return self._pass_raw(error, chunk)

    def _feed_observed(self, chunk: bytes) -> list[bytes]:
        """As above for a stream that is not changed: observed first, then the very bytes."""
        assert self._transform is not None
        if not self._raw:
            try:
                plain = self._decoder.feed(chunk) if self._decoder and chunk else chunk
                self._transform.feed(plain) if chunk else self._transform.flush()
                self._note(self._transform, end=not chunk)
            except Exception as error:
                self._raw, self._lost = True, _lost(error)
                self._warn("the answer is no longer observed", error)
        return [chunk] if chunk else []

    def _pass_raw(self, error: Exception, chunk: bytes) -> list[bytes]:
        self._raw, self._lost = True, _lost(error)
        if isinstance(self._transform, Chain):
            self._warn("the rest of the answer is lost", error)
            return self.fail(502, "the answer cannot be understood any longer")
        self._warn("the rest of the answer passes as it is", error)
        rest = self._transform.pending if self._transform else b""
        return [part for part in (rest, chunk) if part]

    def _note(self, transform: Transform, *, end: bool) -> None:
        """What the client is about to see is waited for; how long a whole answer took is not. Never raises:

        what has been transformed by now would be lost.
        """
        news, transform.dirty = transform.dirty, False
        self._ended = self._ended or end
        if not (news or end):
            return
        try:
            outcome = self._observed(transform.observation, total_ms=self._elapsed_ms() if end else None)
        except Exception as error:
            self._row.failed(self.decision, error)
            return
        if news or not outcome.complete:
            self._row.commit_blocking(self.decision, outcome)
        else:
            self._row.commit_later(self.decision, outcome)

    def _gather(self, plain: bytes, *, end: bool) -> None:
        """Keep a stream once it has ended as it should."""
        self._seen += plain
        if len(self._seen) > ENTRY_BYTES:
            self._keep = None
            self._seen.clear()
        elif end and self._transform is not None:
            self._offer(bytes(self._seen), self._transform.observation)

    def _offer(self, data: bytes, seen: Observation) -> None:
        """Hand an answer on to be kept, if it is whole, the first, and nothing but words. Never raises."""
        keep, self._keep = self._keep, None
        try:
            whole = seen.complete and seen.error is None and not self.retried
            if keep and whole and self.surface.is_plain(data):
                keep(data, self._content_type)
        except Exception as error:
            self._warn("the answer is not kept", error)

    def _observed(self, seen: Observation, total_ms: float | None) -> Outcome:
        complete = seen.complete if total_ms is not None or seen.complete else None
        outcome = self._outcome(seen)
        return replace(outcome, error=outcome.error or self._lost, complete=complete, total_ms=total_ms)

    def _outcome(self, seen: Observation) -> Outcome:
        if seen.message_id and self._named:
            self._named(seen.message_id)
            self._named = None
        usage = seen.to_usage()
        binding = self.out.binding if self.out else None
        cost, requested = costs(self.decision, usage, self._models, binding)
        return replace(
            self._head,
            message_id=seen.message_id,
            answered_model=seen.answered_model,
            stop_reason=seen.stop_reason,
            usage=usage,
            cost_usd=cost,
            requested_cost_usd=requested,
            error=without_key(seen.error, binding) if seen.error and binding else seen.error,
        )

    # --- body ---------------------------------------------------------------------------

    async def body(self, flow: http.HTTPFlow) -> None:
        """An answer that is not a stream is complete; it leaves for the client when this returns."""
        response = flow.response
        assert response is not None
        if self._transform is not None and not self._ended:
            self._note(self._transform, end=True)  # it ended with its head, or was no longer understood
        followed = self._transform is not None or self._client is not None or self._whole is not None
        if followed or self.decision.endpoint != "generate":
            return
        try:
            coding = response.headers.get("content-encoding", "")
            data = self._without_key(encoding.decode(response.raw_content or b"", coding, OBSERVE_LIMIT))
            translated = self.out is not None and self.out.translated and response.status_code == 200
            surface = self.out.surface if self.out and translated else self.surface
            seen = surface.observe_body(data)
        except BodyError as error:
            self._warn("the answer is not understood and passes as it is", error)
            outcome = replace(self._head, error=f"unreadable answer: {error}", complete=False)
        else:
            if response.status_code != 200:
                said = seen.error or f"HTTP {response.status_code}"
                outcome = replace(self._head, error=said, complete=True)
            elif seen.started or seen.error:
                outcome = replace(self._outcome(seen), complete=True)
                self._offer(data, seen)
                self._change_body(response, data)
            else:
                outcome = replace(self._head, error=NO_ANSWER, complete=False)
        await self._row.commit(self.decision, replace(outcome, total_ms=self._elapsed_ms()))

    def _change_body(self, response: http.Response, data: bytes) -> None:
        if not (self.decision.changes_answer or self._foreign):
            return
        if self.out is not None and self.out.translated:
            response.headers["content-type"] = JSON
        response.raw_content = self._telling().body(data, self.out)
        for name in ("content-encoding", "transfer-encoding"):
            response.headers.pop(name, None)
        response.headers["content-length"] = str(len(response.raw_content))

    # --- a kept answer ------------------------------------------------------------------

    async def repeated(self, data: bytes, content_type: str) -> http.Response:
        """The response that gives a kept answer again, on disk when this returns.

        It took no tokens and cost nothing; what it would have cost the requested model is what was saved.
        """
        changes = self._changes()
        transform = self.surface.stream(content_type, self.facts, changes)
        if transform is None:
            seen = self.surface.observe_body(data)
            body = self.surface.rewrite_body(data, changes)
        else:
            body = b"".join([*transform.feed(data), *transform.flush()])
            seen = transform.observation
        response = http.Response.make(200, body, {"content-type": content_type})
        self._head = Outcome(status=200, ttfb_ms=self._elapsed_ms())
        self._show(response)
        outcome = replace(self._outcome(seen), usage=NO_TOKENS, cost_usd=0.0, complete=True)
        await self._row.commit(self.decision, replace(outcome, total_ms=self._elapsed_ms()))
        return response

    # --- ends ---------------------------------------------------------------------------

    def failed(self, message: str) -> None:
        """The flow ended without a whole answer: client gone, connection lost, timeout."""
        if self.decision.endpoint == "generate":
            complete = bool(self._transform is not None and self._transform.observation.complete)
            error = None if complete else message
            self._row.commit_later(self.decision,
                replace(self._head, error=error, total_ms=self._elapsed_ms(), complete=complete)
            )

    # --- helpers ------------------------------------------------------------------------

    def _elapsed_ms(self) -> float:
        return (self._clock() - self._started) * 1000

    def _warn(self, what: str, error: Exception) -> None:
        log.warning("%s (decision %s): %s", what, self.decision.id, str(error) or type(error).__name__)


def _given(account: Outcome) -> dict[str, Any]:
    """What is known of who answered."""
    return {
        name: value
        for name in ("upstream_provider", "attempts", "fallback_from")
        if (value := getattr(account, name)) is not None
    }


def _is_foreign(name: bytes) -> bool:
    """Would a field only puzzle the client, which does not know whose it is?"""
    return name not in _FOREIGN


def _lost(error: Exception) -> str:
    """What the row says of an answer that was no longer understood: the store gets no words of a defect."""
    return f"not understood: {error if isinstance(error, BodyError) else type(error).__name__}"


def _request_id(response: http.Response) -> str | None:
    return next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
