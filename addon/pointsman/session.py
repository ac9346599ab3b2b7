"""Which conversation an action belongs to, and which model served it last.

A key is a hash over the account, the client's own conversation id where it sends one,
and the first words of the user. The words are part of it also when there is an id:
a sub-agent shares the id of the conversation that started it but has a prompt cache
and a tool loop of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cachetools import Cache, TTLCache

from pointsman.values import Credential, Facts

DEFAULT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """What is remembered of one conversation."""

    model: str  # last served
    at: float  # when, in seconds of the sessions' clock
    refused: frozenset[str] = frozenset()  # models that did not take this conversation's requests
    requested: str = ""  # what the client asked for then; "" if unknown


def hint_hash(hint: str) -> str:
    """The name under which a client's own conversation id is stored: 16 hex digits, "" for no id."""
    return hashlib.sha256(hint.encode("utf-8", "surrogatepass")).hexdigest()[:16] if hint else ""


def account_of(fingerprint: str, host: str) -> str:
    """What a host knows a client by: the same key means another account elsewhere."""
    return f"{fingerprint}@{host}"


def session_key(facts: Facts, credential: Credential) -> str:
    """The key of the conversation that an action belongs to: 32 hex digits."""
    parts = (facts.surface, credential.fingerprint, facts.session_hint or "", facts.first_user_text)
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.hexdigest()


class Sessions:
    """The conversations that are going on: bounded in number, forgotten `ttl_s` after their last action.

    `clock` gives seconds and may be any monotonic clock.
    """

    def __init__(self, ttl_s: float, clock: Callable[[], float], limit: int = DEFAULT_LIMIT) -> None:
        self._clock = clock
        self.ttl_s = ttl_s
        self._live: TTLCache[str, Session] = TTLCache(limit, ttl_s, timer=clock)
        self._lacking: TTLCache[tuple[str, str], bool] = TTLCache(limit, ttl_s, timer=clock)
        self._answers: TTLCache[tuple[str, str], str] = TTLCache(limit, ttl_s, timer=clock)
        self._judged: TTLCache[str, dict[str, Any]] = TTLCache(limit, ttl_s, timer=clock)

    def __len__(self) -> int:
        return len(self._live)

    def items(self) -> list[tuple[str, Session]]:
        """All that are remembered, the longest idle first."""
        return list(self._live.items())

    def lasting(self, ttl_s: float) -> Sessions:
        """The same conversations, forgotten after `ttl_s` from now on."""
        if ttl_s == self.ttl_s:
            return self
        others = Sessions(ttl_s, self._clock, int(self._live.maxsize))
        others._live.update(self.items())
        others._lacking.update(self._lacking.items())
        others._answers.update(self._answers.items())
        others._judged.update(self._judged.items())
        return others

    def get(self, key: str) -> Session | None:
        """Reading changes nothing: what was served says which conversations are remembered."""
        return _peek(self._live, key)

    def idle_s(self, session: Session) -> float:
        """Seconds since the last action."""
        return self._clock() - session.at

    def served(self, key: str, model: str, requested: str = "") -> None:
        """`model` has answered an action of this conversation for which `requested` was asked."""
        if key in self._judged:
            self._judged[key] = self._judged[key]
        known = self._live.get(key)
        self._live[key] = Session(model, self._clock(), known.refused if known else frozenset(), requested)

    def refused(self, key: str, model: str, instead: str) -> None:
        """`model` did not take a request of this conversation; `instead`, the requested one, serves it."""
        known = self._live.get(key)
        refused = known.refused if known else frozenset()
        self._live[key] = Session(instead, self._clock(), refused | {model}, instead)

    def answered(self, account: str, answer: str, key: str) -> None:
        """The provider keeps this answer, and the account may go on from it by its id."""
        self._answers[account, answer] = key

    def after(self, account: str, answer: str) -> str | None:
        """The key of the conversation in which an answer was given; None if that is not known."""
        return _peek(self._answers, (account, answer))

    def judged(self, key: str, router: str, verdict: Any) -> None:
        """What was said to `router` of this conversation's task; remembered for as long as it goes on."""
        self._judged[key] = (_peek(self._judged, key) or {}) | {router: verdict}

    def verdict(self, key: str, router: str) -> Any:
        """What was said of the conversation's task; None if nobody was asked yet."""
        return (_peek(self._judged, key) or {}).get(router)

    def lacks(self, account: str, what: str) -> bool:
        """Has a provider refused this account a model, or a parameter, not long ago?"""
        return (account, what) in self._lacking

    def refused_account(self, account: str, what: str) -> None:
        """The provider does not let this account have `what`, whatever the conversation."""
        self._lacking[account, what] = True

    def restore(self, rows: Iterable[tuple[str, str, float, str]]) -> None:
        """Take up what was stored: (key, last served model, idle seconds, requested model), oldest first."""
        now = self._clock()
        for key, model, idle_s, requested in rows:
            self._live[key] = Session(model, now - idle_s, requested=requested)


def _peek[K, V](cache: TTLCache[K, V], key: K) -> V | None:
    """What `cache` holds; its own `get` counts as a use, by which others are forgotten before it."""
    return Cache.__getitem__(cache, key) if key in cache else None
