"""Which kind of task a conversation is about: asked of a model once, and remembered.

Nothing in here raises for what a provider does: a verdict without a category says why, and leads to the
document's fallback. Actions of one conversation that come at the same time share one question.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from pointsman.catalogue import cost_usd
from pointsman.errors import UpstreamError
from pointsman.own_calls import Said
from pointsman.plan import Task
from pointsman.reach import at
from pointsman.scoring import categories
from pointsman.scoring.categories import Why
from pointsman.scoring.tiers import Verdict
from pointsman.values import Binding, Classification, Model
from pointsman.wire.neutral import Message, Request, TextPart

log = logging.getLogger("pointsman")

MOST_TOKENS: Final = 4_096  # of the classifier's answer; models that reason need room for it

Ask = Callable[[Binding, Request, Model, float], Awaitable[Said]]
"""Asks a binding; the last argument is how many seconds it may take. Raises UpstreamError."""


class Classifier:
    """Asks; what it is told is remembered by the sessions (see `Pipeline.judged`).

    `clock` gives monotonic seconds.
    """

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._asking: dict[tuple[str, str], asyncio.Task[Verdict]] = {}

    async def verdict(self, session: str, task: Task, timeout_s: float) -> Verdict:
        """The verdict on a conversation's task, with what it cost for the one action that had to ask."""
        key = (task.router, session)
        if running := self._asking.get(key):
            return (await asyncio.shield(running)).remembered
        # A task of its own: if this client leaves, those who wait with it still hear the answer.
        asking = asyncio.create_task(self._find(task, timeout_s))
        self._asking[key] = asking
        asking.add_done_callback(lambda done: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _find(self, task: Task, timeout_s: float) -> Verdict:
        started = self._clock()
        try:
            return await self._asked(task, timeout_s)
        except Exception as error:
            log.debug("classifying failed", exc_info=error)
            why = f"{Why.ERROR}: {type(error).__name__}"
            return Verdict("", why, ms=(self._clock() - started) * 1000)

    async def _asked(self, task: Task, timeout_s: float) -> Verdict:
        """Ask one binding after the other, until one answers or the time is up."""
        document = task.document
        table = tuple(document.routing)
        request = Request(
            model="",
            messages=(Message("user", (TextPart(categories.question(task.text)),)),),
            system=(categories.instructions(table, document.descriptions),),
            max_tokens=MOST_TOKENS,
        )
        started = self._clock()
        why = f"{Why.ERROR}: no provider has {document.classifier}"
        for binding in task.bindings:
            left = timeout_s - (self._clock() - started)
            if left <= 0:
                break
            try:
                said = await self._ask(binding, request, task.model, left)
            except UpstreamError as error:
                late = error.kind == "timeout" and self._clock() - started >= timeout_s
                why = Why.TIMEOUT if late else f"{Why.ERROR}: {binding.name}: {error}"
                log.warning("%s, the classifier, failed at %s: %s", document.classifier, binding.name, error)
                continue
            category, none = categories.read(said.text, table)
            verdict = Verdict(category, none or "", categories.shortened(said.text))
            return self._counted(verdict, said, at(task.model, binding), started)
        return Verdict("", why, ms=(self._clock() - started) * 1000)

    def _counted(self, verdict: Verdict, said: Said, model: Model, started: float) -> Verdict:
        usage = said.usage
        parts = (usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        counted = usage.input_tokens is not None
        return replace(
            verdict,
            ms=(self._clock() - started) * 1000,
            input_tokens=sum(part or 0 for part in parts) if counted else None,
            output_tokens=usage.output_tokens,
            cost_usd=cost_usd(usage, model),
        )


def log_line(session: str, found: Classification) -> str:
    """One line for each conversation. Where there is no category, its place says why, in capitals."""
    category = found.category
    if not category:
        category = found.reason.partition(";")[0].partition(":")[0].replace(" ", "_").upper()
    return (
        f"intelligent-routing session={session} category={category} model={found.tier} "
        f"vision_fallback={found.vision_fallback} raw={found.raw!r}"
    )
