"""A decision's row on its way to the disk.

What a client has received is in the database even if the proxy is killed in that very moment: so whoever
sends something on commits first. A store that is slow or broken never holds a client up for longer than
`COMMIT_PATIENCE_S` at a time, and the event loop, with all other clients, only once until it has caught up.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future

from pointsman.store import Store
from pointsman.values import Decision, Outcome

log = logging.getLogger("pointsman")

COMMIT_PATIENCE_S = 1.0


class Row:
    """Decision and outcome, as far as they are known. Nothing in here raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: Future[None] | None = None
        self._said = False

    @property
    def begun(self) -> bool:
        """Has the decision been handed over? Then it can no longer be changed."""
        return self._written is not None

    async def commit(self, decision: Decision, outcome: Outcome) -> None:
        """On disk when this returns."""
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._submit(decision, outcome)), COMMIT_PATIENCE_S)
        except Exception as error:
            self.failed(decision, error)

    def commit_blocking(self, decision: Decision, outcome: Outcome) -> None:
        """For mitmproxy's stream callback, which cannot wait otherwise: nothing else goes on meanwhile."""
        if self._store.behind:
            self.commit_later(decision, outcome)
            return
        try:
            self._submit(decision, outcome).result(COMMIT_PATIENCE_S)
        except Exception as error:
            self.failed(decision, error)

    def commit_later(self, decision: Decision, outcome: Outcome) -> None:
        """The writer keeps the order, so that whoever waits for a later one has waited for this one too."""
        try:
            self._submit(decision, outcome)
        except Exception as error:
            self.failed(decision, error)

    def _submit(self, decision: Decision, outcome: Outcome) -> Future[None]:
        """Hand what is new to the store's writer, and the row before it, again if it could not be written."""
        if self._written is None or (self._written.done() and self._written.exception() is not None):
            served = outcome.status is not None and outcome.status < 300
            self._written = self._store.record(decision, served=served)
        return self._store.update(decision.id, outcome)

    def failed(self, decision: Decision, error: Exception) -> None:
        """Say once that the row is not, or not all, on disk."""
        if isinstance(error, TimeoutError):
            self._store.behind = True
        if not self._said:
            self._said = True
            said = str(error) or type(error).__name__
            log.warning("the decision is not on disk (decision %s): %s", decision.id, said)
