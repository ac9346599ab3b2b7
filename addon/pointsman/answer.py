"""The answer to one action: watched, marked, and on disk before the client has it.

The order matters and is the same for streams and bodies: observe, commit, forward.
What a client has received is in the database even if the proxy is killed in that
very moment. A store that is slow or broken never holds the client up for longer
than `COMMIT_PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from mitmproxy import http

from pointsman.catalogue import Catalogue
from pointsman.errors import BodyError
from pointsman.pipeline import costs
from pointsman.store import Store
from pointsman.surface import Surface
from pointsman.values import Decision, Outcome
from pointsman.wire import encoding, marker

log = logging.getLogger("pointsman")

COMMIT_PATIENCE_S = 1.0
OBSERVE_LIMIT = 64 * 1024 * 1024  # bytes, decoded, of an answer that is not a stream
REQUEST_ID_HEADERS = ("request-id", "x-request-id")


class Answer:
    """Follows the answer of one flow from head to end. `clock` gives monotonic seconds."""

    def __init__(
        self,
        decision: Decision,
        surface: Surface,
        store: Store,
        models: Catalogue,
        clock: Callable[[], float],
        started: float,
        prompt_length: int = 0,
    ) -> None:
        self.decision = decision
        self.surface = surface
        self.retried: str | None = None
        self._store = store
        self._models = models
        self._clock = clock
        self._started = started
        self._recorded = False
        self._status: int | None = None
        self._transform: Any = None
        self._decoder: encoding.Decoder | None = None
        self._raw = False  # the transform failed: bytes pass as they are
        self._ttfb_ms: float | None = None

    # --- head ---------------------------------------------------------------------------

    async def head(self, flow: http.HTTPFlow) -> None:
        """The upstream's head has arrived; it leaves for the client when this returns."""
        response = flow.response
        assert response is not None
        self._status = response.status_code
        self._ttfb_ms = self._elapsed_ms()
        if self.decision.endpoint == "generate":
            if response.status_code == 200 and _is_event_stream(response):
                self._follow_stream(flow, response)
            await self._commit(
                Outcome(
                    status=response.status_code,
                    request_id=_request_id(response),
                    ttfb_ms=self._ttfb_ms,
                    retried=self.retried,
                )
            )
            self._show(response)

    def _show(self, response: http.Response) -> None:
        decision = self.decision
        response.headers["x-router-model"] = decision.served_model
        response.headers["x-router-provider"] = decision.provider or "origin"
        response.headers["x-router-strategy"] = decision.strategy
        response.headers["x-router-decision"] = decision.id
        response.headers["x-router-session"] = decision.session

    def _follow_stream(self, flow: http.HTTPFlow, response: http.Response) -> None:
        changes = self._changes()
        self._transform = self.surface.StreamTransform(self.decision.requested_model, *changes)
        coding = response.headers.get("content-encoding", "")
        if coding and coding.strip().lower() != "identity":
            self._decoder = encoding.Decoder(coding)
            if any(changes):
                del response.headers["content-encoding"]
        if (
            any(changes)
            and response.headers.pop("content-length", None) is not None
            and not flow.request.is_http2
        ):
            response.headers["transfer-encoding"] = "chunked"
        response.stream = self._feed_changed if any(changes) else self._feed_observed

    def _changes(self) -> tuple[str | None, str | None, dict[str, Any] | None]:
        """Marker text, comment, and the fields for programs; all None where the answer stays as it is."""
        decision = self.decision
        text = marker.make(decision.served_model, decision.reason) if decision.marker == "text" else None
        comment = (
            marker.comment(decision.served_model, decision.reason) if decision.marker == "comment" else None
        )
        fields = None
        if decision.strategy != "passthrough":
            fields = {
                "decision": decision.id,
                "model": decision.served_model,
                "requested": decision.requested_model,
                "strategy": decision.strategy,
                "reason": decision.reason,
            }
        return text, comment, fields

    # --- stream -------------------------------------------------------------------------

    def _feed_changed(self, chunk: bytes) -> list[bytes]:
        """mitmproxy calls this with each chunk, and with b"" at the end. Never raises."""
        if self._raw:
            return [chunk] if chunk else []
        try:
            plain = self._decoder.feed(chunk) if self._decoder and chunk else chunk
            out: list[bytes] = self._transform.feed(plain) if chunk else self._transform.flush()
            self._note(end=not chunk)
            return out
        except Exception as error:
            return self._pass_raw(error, chunk)

    def _feed_observed(self, chunk: bytes) -> list[bytes]:
        """As above for a stream that is not changed: observed first, then the very bytes."""
        if not self._raw:
            try:
                plain = self._decoder.feed(chunk) if self._decoder and chunk else chunk
                self._transform.feed(plain) if chunk else self._transform.flush()
                self._note(end=not chunk)
            except Exception as error:
                self._raw = True
                self._warn("the answer is no longer observed", error)
        return [chunk] if chunk else []

    def _pass_raw(self, error: Exception, chunk: bytes) -> list[bytes]:
        self._raw = True
        self._warn("the rest of the answer passes as it is", error)
        rest = self._transform.pending
        return [part for part in (rest, chunk) if part]

    def _note(self, *, end: bool) -> None:
        if end:
            self._wait(self._submit(self._observed(total_ms=self._elapsed_ms())))
        elif self._transform.dirty:
            self._transform.dirty = False
            self._wait(self._submit(self._observed()))

    def _observed(self, total_ms: float | None = None) -> Outcome:
        seen = self._transform.observation
        usage = seen.to_usage()
        cost, requested = costs(self.decision, usage, self._models)
        return Outcome(
            message_id=seen.message_id,
            answered_model=seen.answered_model,
            stop_reason=seen.stop_reason,
            usage=usage,
            cost_usd=cost,
            requested_cost_usd=requested,
            error=seen.error,
            complete=seen.complete if total_ms is not None or seen.complete else None,
            total_ms=total_ms,
        )

    # --- body ---------------------------------------------------------------------------

    async def body(self, flow: http.HTTPFlow) -> None:
        """An answer that is not a stream is complete; it leaves for the client when this returns."""
        response = flow.response
        assert response is not None
        if self._transform is not None or self.decision.endpoint != "generate":
            return
        outcome = Outcome(status=response.status_code, total_ms=self._elapsed_ms(), complete=True)
        try:
            data = encoding.decode(
                response.raw_content or b"", response.headers.get("content-encoding", ""), OBSERVE_LIMIT
            )
            outcome = self._read_body(data, response, outcome)
        except BodyError as error:
            self._warn("the answer is not understood and passes as it is", error)
            outcome = replace(outcome, error=f"unreadable answer: {error}", complete=False)
        await self._commit(outcome)

    def _read_body(self, data: bytes, response: http.Response, outcome: Outcome) -> Outcome:
        seen = self.surface.observe_body(data)
        usage = seen.to_usage()
        cost, requested = costs(self.decision, usage, self._models)
        if response.status_code == 200:
            text, _, fields = self._changes()
            if text or fields:
                response.headers.pop("content-encoding", None)
                response.raw_content = self.surface.rewrite_body(
                    data, self.decision.requested_model, text, fields
                )
                response.headers["content-length"] = str(len(response.raw_content))
                response.headers.pop("transfer-encoding", None)
        return replace(
            outcome,
            message_id=seen.message_id,
            answered_model=seen.answered_model,
            stop_reason=seen.stop_reason,
            usage=usage if response.status_code == 200 else None,
            cost_usd=cost if response.status_code == 200 else None,
            requested_cost_usd=requested if response.status_code == 200 else None,
            error=seen.error,
        )

    # --- ends ---------------------------------------------------------------------------

    def failed(self, message: str) -> None:
        """The flow ended without a whole answer: client gone, connection lost, timeout."""
        if self.decision.endpoint == "generate":
            complete = bool(self._transform is not None and self._transform.observation.complete)
            self._submit(
                Outcome(error=None if complete else message, total_ms=self._elapsed_ms(), complete=complete)
            )

    # --- disk ---------------------------------------------------------------------------

    def _submit(self, outcome: Outcome) -> Future[None] | None:
        """Hand the row (once) and what is new about it to the store's writer."""
        try:
            if not self._recorded:
                self._recorded = True
                served = self._status is not None and self._status < 300
                self._store.record(self.decision, served=served)
            return self._store.update(self.decision.id, outcome)
        except Exception as error:
            self._warn("the decision is not on disk", error)
            return None

    async def _commit(self, outcome: Outcome) -> None:
        future = self._submit(outcome)
        if future is None:
            return
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), COMMIT_PATIENCE_S)
        except Exception as error:
            self._warn("the decision is not on disk", error)

    def _wait(self, future: Future[None] | None) -> None:
        if future is None:
            return
        try:
            future.result(COMMIT_PATIENCE_S)
        except Exception as error:
            self._warn("usage is not on disk", error)

    def _elapsed_ms(self) -> float:
        return (self._clock() - self._started) * 1000

    def _warn(self, what: str, error: Exception) -> None:
        log.warning("%s (decision %s): %s", what, self.decision.id, str(error) or type(error).__name__)


def _is_event_stream(response: http.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"


def _request_id(response: http.Response) -> str | None:
    return next((response.headers[name] for name in REQUEST_ID_HEADERS if name in response.headers), None)
