"""What is known of an action before its model is chosen, and what has to be found out for that.

A plan is settled; or it needs a vector of `text`, to be scored; or it needs a verdict on `task`, by which one
of a document's tiers is taken. Whoever has the plan gets the one or the other and hands it to
`Pipeline.decide`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pointsman.asked import Asked
from pointsman.catalogue import Catalogue
from pointsman.config_routes import Route
from pointsman.reach import Reach, Ways
from pointsman.scoring import knobs
from pointsman.scoring.bundle import Bundle
from pointsman.scoring.tiers import Document, Verdict
from pointsman.session import Session
from pointsman.values import EMPTY, Binding, Candidate, Credential, Facts, Model


class Reason(StrEnum):
    """Why a model serves; the closed set that markers, logs and the database use."""

    CLUSTER = "best for this kind of prompt"
    CLASSIFIED = "fits this kind of task"
    ONLY_CHOICE = "no alternative fits"
    TOOL_LOOP = "mid tool loop"
    KEEPS_CACHE = "keeps its prompt cache"
    FORCED = "forced by header"
    FIXED = "fixed by route"
    FALLBACK = "fallback of the router"
    ROUTE_PASSTHROUGH = "route passes through"
    DISABLED = "router is off"
    SUBSCRIPTION = "subscription credential"
    BACKGROUND = "background call"
    UNKNOWN_MODEL = "model not in the catalogue"
    NOT_SCORED = "model not in the bundle"
    NO_TEXT = "no words of the user"
    COUNT = "counted for the serving model"
    FAILED = "routing failed"
    REFUSED = "provider refused what was picked"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes an action unlike any other: the decision's id, unix seconds, and the host it was sent to."""

    id: str
    at: float
    host: str


@dataclass(frozen=True, slots=True)
class Settled:
    """A decision that needs no score. `bindings` is empty for the origin alone, as in `Decision`."""

    model: str  # as it is sent
    strategy: str
    reason: Reason
    bindings: tuple[Binding, ...] = ()
    detail: str = ""
    maker: str = ""  # whose model it is, by the catalogue's name; "" if that is not known


@dataclass(frozen=True, slots=True)
class Task:
    """What a classifier is to be asked, once per conversation.

    `bindings` say where and how, in order; there is at least one, and none is the origin. `model` is what the
    catalogue knows of the classifier, with the first binding's prices. What it says goes to
    `Pipeline.judged`, so that it is remembered, and to `Pipeline.decide`.
    """

    router: str  # the route's or virtual model's name
    document: Document
    text: str
    bindings: tuple[Binding, ...]
    model: Model


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known before anything is embedded or asked."""

    facts: Facts
    credential: Credential
    asked: Asked
    session: str
    account: str  # what the host knows the client by
    previous: Session | None
    requested: Model | None
    route: Route | None
    bundle: Bundle
    ways: Ways
    models: Catalogue
    max_price_ratio: float  # the setting
    warnings: tuple[str, ...] = ()
    settled: Settled | None = None
    candidates: tuple[Candidate, ...] = ()
    deployed: tuple[str, ...] = ()
    reach: Mapping[str, Reach] = field(default_factory=lambda: EMPTY)
    """Where candidates can be had, by name; where tiers can be had, by their ids."""
    text: str = ""
    layers: tuple[knobs.Layer, ...] = ()  # whose knobs lie between the bundle's and the client's own
    task: Task | None = None  # a verdict is needed, and this is on what
    verdict: Verdict | None = None  # the one that is needed is known already
    unusable: Mapping[str, str] = field(default_factory=lambda: EMPTY)  # tier id → why it cannot serve
    blind: frozenset[str] = frozenset()  # ids of tiers that do not take the images of the request

    @property
    def eligible(self) -> tuple[str, ...]:
        return tuple(candidate.model for candidate in self.candidates if not candidate.excluded)

    @property
    def virtual(self) -> bool:
        """Is a name asked for that stands for others?"""
        return self.route is not None and self.route.virtual

    @property
    def needs_vector(self) -> bool:
        """Has `text` to be embedded before `decide`?"""
        return self.settled is None and self.verdict is None and self.task is None
