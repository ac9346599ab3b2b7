"""Which conversation an action belongs to, which model served it last, and what leaving that model costs.

A key is a hash over the account, the client's own conversation id where it sends one,
and the first words of the user. The words are part of it also when there is an id:
a sub-agent shares the id of the conversation that started it but has a prompt cache
and a tool loop of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cachetools import TTLCache

from pointsman.catalogue import prices_for
from pointsman.values import Credential, Facts, Model

DEFAULT_LIMIT = 10_000
HORIZON = 3  # actions that a conversation is expected to go on for at least


@dataclass(frozen=True, slots=True)
class Session:
    """What is remembered of one conversation."""

    model: str  # last served
    at: float  # when, in seconds of the sessions' clock
    refused: frozenset[str] = frozenset()  # models that did not take this conversation's requests


def hint_hash(hint: str) -> str:
    """The name under which a client's own conversation id is stored: 16 hex digits, "" for no id."""
    return hashlib.sha256(hint.encode("utf-8", "surrogatepass")).hexdigest()[:16] if hint else ""


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
        self._live: TTLCache[str, Session] = TTLCache(limit, ttl_s, timer=clock)

    def __len__(self) -> int:
        return len(self._live)

    def get(self, key: str) -> Session | None:
        return self._live.get(key)

    def idle_s(self, session: Session) -> float:
        """Seconds since the last action."""
        return self._clock() - session.at

    def served(self, key: str, model: str) -> None:
        """`model` has answered an action of this conversation."""
        known = self._live.get(key)
        self._live[key] = Session(model, self._clock(), known.refused if known else frozenset())

    def refused(self, key: str, model: str, instead: str) -> None:
        """`model` did not take a request of this conversation; `instead` serves it."""
        known = self._live.get(key)
        refused = known.refused if known else frozenset()
        self._live[key] = Session(instead, self._clock(), refused | {model})

    def restore(self, rows: Iterable[tuple[str, str, float]]) -> None:
        """Take up what was stored before a restart: (key, last served model, idle seconds), oldest first."""
        now = self._clock()
        for key, model, idle_s in rows:
            self._live[key] = Session(model, now - idle_s)


def switch_gain_usd(
    previous: Model, chosen: Model, prompt_tokens: int, output_tokens: int, horizon: int = HORIZON
) -> float | None:
    """What moving a conversation to a cheaper model saves over its next `horizon` actions, in USD.

    Saved is, per action, the difference of reading the prompt from either cache and of writing
    `output_tokens`; lost is that the chosen model has to write the prompt to its cache once instead of
    reading it. `prompt_tokens` are those of the estimate; each model's tokenizer has its factor. None if
    a price is unknown.
    """
    old, new = _Rates.of(previous, prompt_tokens), _Rates.of(chosen, prompt_tokens)
    if old is None or new is None:
        return None
    saved = (old.read - new.read) * prompt_tokens + (old.output - new.output) * output_tokens
    lost = (new.write - new.read) * prompt_tokens
    return (saved * horizon - lost) / 1e6


@dataclass(frozen=True, slots=True)
class _Rates:
    """USD per million tokens of the estimate."""

    read: float
    write: float
    output: float

    @classmethod
    def of(cls, model: Model, prompt_tokens: int) -> _Rates | None:
        prices = prices_for(model, int(prompt_tokens * model.token_factor))
        read, write, output = prices.cache_read, prices.cache_write, prices.output
        if read is None or write is None or output is None:
            return None
        factor = model.token_factor
        return cls(read * factor, write * factor, output * factor)
