"""How one action goes upstream: its bindings in order, what each attempt came to, and what comes next.

`Attempts` is the `Route` of a routed flow: upstream/routed_stream.py asks it, and it decides by the rules
of upstream/failover.py. Where the origin is the only binding and there is no prelude, everything passes as
it comes, but for what `Action.once_more` mends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mitmproxy import http

from pointsman.action import Action
from pointsman.answer import OBSERVE_LIMIT, Answer
from pointsman.errors import BodyError
from pointsman.outgoing import ORIGIN, Outgoing, without_key
from pointsman.surface import Transform
from pointsman.upstream import failover
from pointsman.upstream.failover import Step
from pointsman.upstream.route import Failure, Hold, Watch
from pointsman.values import NO_CHANGES, Binding
from pointsman.wire import encoding

log = logging.getLogger("pointsman")

AUTO_GRACE_S = 0.25
STREAM_HEAD = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
LOCAL_FAULT = (401, 402, 403)  # what a provider says of a key that is not the client's
STATUSES = {"timeout": 504}
KEPT = ("retry-after", "retry-after-ms", "x-should-retry")  # of the head of an error that is told anew


class Straight:
    """The way of a request that is only passed on: no prelude, no second attempt, nothing held."""

    grace_s: float | None = None
    patience_s: float = 0.0
    stall_s: float = 0.0
    failure: Failure | None = None
    again = False
    instead: http.Response | None = None
    opened = False

    def __init__(self, request: http.Request) -> None:
        self.request = request
        self.opening: list[bytes] = []

    def prelude(self) -> http.Response:
        raise AssertionError("a request that is passed on has no prelude")

    def judge(self, head: http.Response) -> Hold:
        return Hold.PASS

    def watch(self, chunk: bytes) -> Watch:
        return Watch.BEGUN

    def join(self, head: http.Response) -> Callable[[bytes], Iterable[bytes]]:
        raise AssertionError("a request that is passed on has no prelude")

    def last_words(self, message: str) -> list[bytes] | None:
        return None


@dataclass(slots=True)
class Tried:
    """One attempt, for the decision's row. `started` is monotonic seconds."""

    binding: Binding
    started: float
    status: int | None = None
    error: str = ""
    ms: float | None = None

    def as_log(self) -> Mapping[str, Any]:
        said = {"provider": self.binding.name, "model": self.binding.model, "status": self.status}
        return said | {"error": self.error or None, "ms": None if self.ms is None else round(self.ms, 1)}


class Attempts(Straight):
    """The route of one action. Made with its first attempt ready to be sent.

    Raises what `Action.prepare` raises where that fails for every binding.
    """

    def __init__(self, action: Action, answer: Answer) -> None:
        self.action = action
        self.answer = answer
        self._left = list(answer.decision.bindings or (ORIGIN,))
        self._bare = len(self._left) == 1 and self._left[0].provider is None
        self.tried: list[Tried] = []
        self.out: Outgoing
        self._probe: Transform | None = None
        self._decoder: encoding.Decoder | None = None
        self._ending: list[bytes] | None = None  # how a stream ends whose last attempt gave a whole answer
        self._next_binding()
        super().__init__(self.out.request)
        self.grace_s = self._grace_s()
        self._bare = self._bare and self.grace_s is None
        if not self._bare and self.action.plan and self.action.plan.facts.stream:
            settings = action.engine.settings
            self.patience_s = float(settings.first_byte_timeout_s)
            self.stall_s = float(settings.stall_timeout_s)

    # --- what is sent -------------------------------------------------------------------

    def _next_binding(self) -> None:
        """Make the request for the first binding for which one can be made."""
        while True:
            binding = self._left.pop(0)
            self.tried.append(Tried(binding, time.monotonic()))
            try:
                self.out = self.action.prepare(self.answer.decision, binding)
            except Exception as error:  # a defect in one translation leaves the other bindings
                why = without_key(str(error) or type(error).__name__, binding)
                self.tried[-1].error = why
                self.tried[-1].ms = 0.0
                log.warning("%s is left out (decision %s): %s", binding.name, self.answer.decision.id, why)
                if not self._left:
                    raise
            else:
                break
        self.request = self.out.request
        self.answer.out = self.out
        if self.out.adaptations:
            self.answer.adapted(self.out.adaptations)
        self._probe = self._decoder = None

    def _grace_s(self) -> float | None:
        """How long the prelude waits. None where the client reads the head, or the provider must begin."""
        plan, wanted = self.action.plan, self.action.engine.settings.prelude_grace_ms
        if wanted == "off" or (wanted == "auto" and self.out.binding.provider is None):
            return None
        if plan is None or not (plan.facts.stream and self.answer.may_open()):
            return None
        return AUTO_GRACE_S if wanted == "auto" else float(wanted) / 1000

    # --- heads and beginnings -----------------------------------------------------------

    def prelude(self) -> http.Response:
        self.opened = True
        head = http.Response.make(200, b"", STREAM_HEAD)
        del head.headers["content-length"]
        head.raw_content = None
        return head

    def judge(self, head: http.Response) -> Hold:
        self.tried[-1].status = head.status_code
        if head.status_code >= 300:
            mends = self.out.binding.provider is None and self.action.may_retry(head)
            return Hold.PASS if self._bare and not mends else Hold.WHOLE
        if self._bare:
            self._served()
            return Hold.PASS
        content_type = head.headers.get("content-type", "")
        self._probe = self.out.surface.stream(content_type, self.out.facts, NO_CHANGES)
        if self._probe is None:
            return Hold.WHOLE
        coding = head.headers.get("content-encoding", "").strip().lower()
        try:
            plain = coding in ("", "identity")
            self._decoder = None if plain else encoding.Decoder(coding, OBSERVE_LIMIT)
        except BodyError:
            return Hold.WHOLE
        return Hold.WATCH

    def watch(self, chunk: bytes) -> Watch:
        assert self._probe is not None
        seen = self._probe.observation
        try:
            if chunk:
                self._probe.feed(self._decoder.feed(chunk) if self._decoder else chunk)
            else:
                self._probe.flush()
        except BodyError as error:
            self.tried[-1].error = str(error)
            return Watch.BROKEN
        passes = not (self._left or self.out.translated or self.opened)
        if seen.begun or (passes and (seen.error or (not chunk and seen.complete))):
            self._served()
            return Watch.BEGUN
        if seen.error:
            self.tried[-1].error = seen.error
            return Watch.BROKEN
        return Watch.WAIT

    def join(self, head: http.Response) -> Callable[[bytes], Iterable[bytes]]:
        return self.answer.join(head)

    def last_words(self, message: str) -> list[bytes] | None:
        if self._ending is not None:
            return self._ending
        if self._bare:
            return None
        return self.answer.fail(502, message.replace("stream reset by client", "the stream was reset"))

    def _served(self) -> None:
        """This attempt's answer is the client's."""
        tried = self.tried[-1]
        tried.ms = (time.monotonic() - tried.started) * 1000
        self.answer.served_by(*self._account())
        if self.opened:
            self.action.served(self.answer.decision)

    def _account(self) -> tuple[Binding, str | None, str | None]:
        """Who answered; all attempts as JSON, but not a single one; and the first binding that failed."""
        if len(self.tried) == 1 and not self.tried[0].error:
            return self.out.binding, None, None
        first = self.tried[0].binding
        fallback = first.name if first != self.out.binding else None
        return self.out.binding, json.dumps([tried.as_log() for tried in self.tried]), fallback

    # --- verdicts -----------------------------------------------------------------------

    async def verdict(self) -> None:
        """What becomes of `failure`: sets `again` with the next request, or `instead`, or neither."""
        failure, tried = self.failure, self.tried[-1]
        assert failure is not None
        response = failure.response
        if response is not None and response.status_code < 300 and self._takes(response):
            return
        tried.ms = (time.monotonic() - tried.started) * 1000
        tried.error = without_key(tried.error or self._said(failure), tried.binding)
        if response is not None and self.out.binding.provider is None and self._mends(response):
            return
        status = response.status_code if response is not None else None
        headers = response.headers if response is not None else {}
        count = sum(1 for each in self.tried if each.binding == tried.binding)
        step = failover.next_step(failure.kind, status, headers, others=bool(self._left), tries=count)
        if step is Step.SAME:
            self._left.insert(0, tried.binding)
            await asyncio.sleep(failover.delay_s(count))
        if step is not Step.STOP and self._goes_on():
            return
        self._ends(failure, tried.error)

    def _goes_on(self) -> bool:
        try:
            self._next_binding()
        except Exception:
            return False
        tried = self.tried[-2]
        log.warning(
            "%s failed: %s; going on with %s (decision %s)",
            tried.binding.name,
            tried.error,
            self.out.binding.name,
            self.answer.decision.id,
        )
        self.again = True
        return True

    def _mends(self, refusal: http.Response) -> bool:
        """Is the refusal of the router's own making, and mended?"""
        if not self.action.may_retry(refusal):
            return False
        refused = self.answer.decision
        try:
            decision = self.action.once_more(refusal)
        except Exception as error:
            log.warning("a refusal is not understood and passes (decision %s): %s", refused.id, error)
            return False
        if decision is None:
            return False
        log.warning("%s; sent again without that (decision %s)", decision.detail, decision.id)
        self.answer.decision = decision
        self.answer.retried.append(decision.detail)
        if decision.bindings == refused.bindings:
            self._left.insert(0, self.out.binding)
        else:  # another model serves, and is had elsewhere
            self._left = list(decision.bindings or (ORIGIN,))
        self._next_binding()
        self.again = True
        return True

    def _takes(self, response: http.Response) -> bool:
        """Is this whole answer to be had? Then the client gets it in the form that it asked for."""
        try:
            coding = response.headers.get("content-encoding", "")
            data = encoding.decode(response.raw_content or b"", coding, OBSERVE_LIMIT)
            seen = self.out.surface.observe_body(data)
        except BodyError as error:
            self.tried[-1].error = str(error)
            return False
        if self._probe is not None or not (seen.started or seen.complete) or seen.error:
            self.tried[-1].error = seen.error or "the answer has no content"
            return False
        self._served()
        if self.action.plan is not None and self.action.plan.facts.stream:
            if self.opened:
                self._ending = self.answer.join_whole(data)
            else:
                self.instead = self.answer.streamed(data)
        return True

    def _ends(self, failure: Failure, why: str) -> None:
        """No attempt is left: the last error, in the client's format."""
        self.answer.served_by(*self._account())
        response, own = failure.response, self.out.binding.provider is None
        status = response.status_code if response is not None else STATUSES.get(failure.kind, 502)
        message = why if own else f"{self.out.binding.name}: {why}"
        headers = {"content-type": "application/json"}
        if response is not None:
            headers |= {name: response.headers[name] for name in KEPT if name in response.headers}
        if not own and status in LOCAL_FAULT:
            # The client's own credential is in order: a status that says otherwise would make it log in anew.
            headers["x-should-retry"] = "false"
            status = 502
        status = status if status >= 400 else 502
        native = response is not None and response.status_code >= 300
        if self.opened:
            self._ending = self.answer.fail(status, message)
        elif not (own and (native or (self._bare and failure.kind != "answer"))):
            body = self.action.surface.error_body(status, message)
            self.instead = http.Response.make(status, body, headers)

    def _said(self, failure: Failure) -> str:
        """What went wrong, as the upstream says it where it does."""
        response = failure.response
        if response is None or response.status_code < 300:
            return failure.message.replace("stream reset by client", "the stream was reset")
        try:
            coding = response.headers.get("content-encoding", "")
            data = encoding.decode(response.raw_content or b"", coding, OBSERVE_LIMIT)
        except BodyError:
            return failure.message
        return f"{response.status_code} {self.out.surface.error_message(data)}".strip()[:300]
