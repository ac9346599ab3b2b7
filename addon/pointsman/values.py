"""Frozen values that pass between the rooms of the program.

Nothing here computes more than a property of itself. Units are in the names:
`_usd`, `_ms`, `_tokens`; prices are USD per million tokens (`_mtok`). None always
means unknown or absent, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

EMPTY: Mapping[str, Any] = MappingProxyType({})


class TurnKind(StrEnum):
    """What an action is for. Everything but MAIN and SUBAGENT is background work of the client."""

    MAIN = "main"
    SUBAGENT = "subagent"
    TITLE = "title"
    PROBE = "probe"
    COMPACTION = "compaction"
    CLASSIFIER = "classifier"

    @property
    def background(self) -> bool:
        return self not in (TurnKind.MAIN, TurnKind.SUBAGENT)


class CredentialKind(StrEnum):
    """API_KEY is billed per token; SUBSCRIPTION is an OAuth bearer of a person's plan."""

    API_KEY = "api_key"
    SUBSCRIPTION = "subscription"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Credential:
    """Which account a request belongs to. The fingerprint is a salted hash; the secret is never kept."""

    kind: CredentialKind
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request says, read once. One action's facts never change afterwards."""

    surface: str  # "anthropic", …
    endpoint: str  # "generate" or "count_tokens"
    requested_model: str
    stream: bool
    turn: TurnKind
    user_texts: tuple[str, ...]  # text blocks of the user role, oldest first, tool results left out, bounded
    tool_loop: bool  # the newest message carries tool results: the model is mid-work
    session_hint: str | None  # the client's own conversation id, if it sends one
    first_user_text: str  # seeds a session key where there is no hint
    client: str  # "claude-code", "anthropic-python", …; "unknown" otherwise
    message_count: int
    input_tokens_estimate: int
    max_tokens: int | None = None
    images: int = 0
    documents: int = 0
    tools: int = 0
    tool_types: frozenset[str] = frozenset()  # versioned, provider-defined tools: "computer_20251124", …
    forced_tool: bool = False  # tool_choice demands a tool
    prefill: bool = False  # the newest message is the assistant's
    system_role: bool = False  # role "system" inside messages
    pure_json: bool = False  # the answer must be JSON and nothing else
    thinking: str | None = None  # the request's own word ("enabled", …); None if absent
    thinking_budget_tokens: int | None = None
    effort: str | None = None
    sampling: frozenset[str] = frozenset()  # which of temperature, top_p, top_k are given
    speed: str | None = None
    service_tier: str | None = None
    retry_count: int = 0  # the client's own count of repeats of this action
    choices: int = 1  # answers asked for at once
    bound: str = ""  # why no other model than the requested one may serve
    continues: str | None = None  # the provider's id of the answer that it goes on from, unseen itself
    cache_ttl_s: int | None = None  # the longest prompt-cache life the request asks for
    needs: frozenset[str] = frozenset()  # features the target must have: "inference_geo", …
    thinking_default: str | None = None  # what absent thinking means on the requested model


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None  # five minutes
    cache_write_1h: float | None = None
    above_tokens: int | None = None  # a longer prompt (cached tokens included) costs `above`
    above: Prices | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that requests can be sent to with a credential of its own.

    `surface` is the API it speaks; its paths are put behind `base_url` (see upstream/bindings.py). The key
    is in the environment variable `key_env` or in `key_file`, read when an attempt is made and never kept;
    with neither the provider takes no key. `quirks` are what it does otherwise than the API that it copies
    (see wire/neutral.py).
    """

    name: str
    surface: str
    base_url: str  # scheme://host[:port][/path], no slash at the end
    key_env: str = ""
    key_file: str = ""
    models_of: str = ""  # whose models it serves under their own names: "anthropic", …; the catalogue's
    names: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # the catalogue's → its own, if another
    quirks: frozenset[str] = frozenset()
    capabilities: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # of all models there
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # further request headers
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # further members of the body


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a model can be had, and by what name.

    `provider` None is the origin: the host that the client talks to, with the client's own credential. What
    differs there from the catalogue's row is here, else None.
    """

    provider: Provider | None
    model: str
    prices: Prices | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # further members of the body
    parameters: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    """What the router asks for in place of the client, by names that every API has one of its own for:
    `temperature`, `reasoning_effort`, … (see scoring/tiers.py); None takes out what the client said."""

    @property
    def name(self) -> str:
        return self.provider.name if self.provider else "origin"


@dataclass(frozen=True, slots=True)
class Model:
    """One row of the catalogue."""

    name: str
    provider: str  # "anthropic", "openai", "gemini", …
    prices: Prices = Prices()
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    quality_tier: int | None = None  # 1 (weakest) … 4
    strengths: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # dated and other names that resolve to this row
    token_factor: float = 1.0  # tokens of this model's tokenizer per token of the estimate's
    opt_in: bool = False  # never a target unless the config names it
    target: bool = True  # False: known for its prices and limits only, never served unless asked for
    capabilities: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # keys: see catalogue.py
    bindings: tuple[Binding, ...] = ()  # where it can be had, in order; empty: at its own provider's


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One parameter of the request that is sent otherwise than it came.

    `verb` is drop, clamp or map where the target cannot take it, add where the router wants it, and lose
    where another API has no words for it.
    """

    parameter: str
    verb: str
    before: str  # shortened JSON of the old value, "" if absent
    after: str  # "" if dropped
    rule: str  # the capability that asked for it


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `input_tokens` excludes what was read from or written to the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None  # five-minute writes
    cache_write_1h_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is changed in an answer; None, or nothing in it: left as it is.

    A model that was not asked for is named by the one that was: clients adopt what they read. What answers to
    a parameter that the router `added` is taken out again.
    """

    requested_model: str | None = None
    marker_text: str | None = None  # from wire.marker
    comment: str | None = None  # likewise
    x_router: Mapping[str, Any] | None = None
    added: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self != NO_CHANGES


NO_CHANGES = Changes()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model as the decision saw it. `excluded` says why it could not be picked, "" if it could."""

    model: str
    excluded: str = ""
    score: float | None = None
    quality: float | None = None  # expected, 0…1, over the nearest clusters


@dataclass(frozen=True, slots=True)
class Classification:
    """What a classified router made of a conversation's task: asked for once, then remembered.

    Time, tokens and cost are those of the classifier's own answer, and None where it was only remembered.
    """

    category: str  # "" where none could be told
    tier: str
    classifier: str  # the tier that was asked; "" where nobody was
    reason: str = ""  # why the tier is not the category's: "timeout", "unparsed", …; "" if it is
    raw: str = ""  # what the classifier said, shortened, on one line
    vision_fallback: bool = False  # the category's tier cannot see the request's images
    ms: float | None = None
    input_tokens: int | None = None  # cached ones included
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Which model serves an action, with all that is needed to explain and replay it."""

    id: str
    at: float  # unix seconds
    surface: str
    endpoint: str
    client: str
    turn: TurnKind
    session: str  # hash; never the client's id itself
    credential_kind: CredentialKind
    credential_fingerprint: str
    requested_model: str  # as the client wrote it
    served_model: str  # as sent upstream
    previous_model: str | None  # the session's last served model
    provider: str
    host: str
    stream: bool
    strategy: str  # cluster, classified, sticky, fixed, passthrough
    reason: str  # one of pipeline.REASONS
    session_hint: str = ""  # plain hash of the client's own conversation id, for look-ups by that id; hex 16
    detail: str = ""  # free text for a human
    route: str = ""  # name of the route in router.yaml, "" for the default policy
    bundle: str = ""
    knobs: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    knobs_hash: str = ""
    clusters: tuple[tuple[int, float], ...] = ()  # (cluster, cosine), nearest first
    candidates: tuple[Candidate, ...] = ()
    runner_up: str = ""
    margin: float | None = None
    propensity: float = 1.0
    adaptations: tuple[Adaptation, ...] = ()
    warnings: tuple[str, ...] = ()
    stripped: int = 0  # echoed markers taken out of the history
    marker: str = "off"  # text, comment or off
    tool_loop: bool = False
    retry_count: int = 0
    message_count: int = 0
    input_tokens_estimate: int = 0
    max_tokens: int | None = None
    request_bytes: int = 0
    decide_ms: float = 0.0
    embed_ms: float | None = None
    prompt: str | None = None  # only with router_log_prompts
    embedding: bytes | None = None  # float32 little-endian, only with router_log_embeddings
    cache: str = "off"  # hit, miss, or off: neither looked for nor kept
    cache_detail: str = ""  # whose answer a hit repeats; why it is off
    bindings: tuple[Binding, ...] = ()  # where the served model is asked for, in order; empty: the origin
    classification: Classification | None = None  # only of a classified router

    @property
    def changes_answer(self) -> bool:
        """Is the answer anything but passed on?"""
        return self.strategy != "passthrough" or self.served_model != self.requested_model

    @property
    def holds_session(self) -> bool:
        """Does this action say which model holds its conversation? Background calls and counts do not."""
        return bool(self.session) and self.endpoint == "generate" and not self.turn.background


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision. Fields that are None leave what is stored as it is."""

    status: int | None = None
    message_id: str | None = None  # the provider's own id of the answer
    request_id: str | None = None
    answered_model: str | None = None  # the model the provider says it used
    stop_reason: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    requested_cost_usd: float | None = None
    ttfb_ms: float | None = None
    total_ms: float | None = None
    error: str | None = None
    complete: bool | None = None  # the stream or body ended as it should
    retried: str | None = None  # why the action was sent a second time
    attempts: str | None = None  # JSON list of the bindings that were tried: provider, status, error, ms
    fallback_from: str | None = None  # the first binding that failed, where another one answered
    upstream_provider: str | None = None  # whose answer the client got; "origin" is the client's own host
