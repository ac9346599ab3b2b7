"""An `intelligent-router-v0` document: tiers of models, and which kind of task goes to which of them.

    kind                       "intelligent-router-v0"
    tiers                      tier id → how its model is asked, as for a model alone: model, temperature,
                               top_p, reasoning_effort, …; or these inside `llm_config`, beside a display_name
    classifier_model_id        the tier that names a task's category
    fallback_model_id          the tier for tasks without one; left out, the classifier's
    routing                    category → tier id; left out, DEFAULT_ROUTING
    vision_capable_model_ids   the tiers that take images; left out, what the catalogue says of their models
    category_descriptions      category → words for the classifier, in addition to the category's name

The document may lie in the `llm_config` of an entry with an id and a display_name. Every id that it refers to
must be a tier. What a tier says beyond this goes into the body of its requests as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from pointsman.values import EMPTY, Classification

KIND: Final = "intelligent-router-v0"
DEFAULT_ROUTING: Final[Mapping[str, str]] = MappingProxyType({
    "Frontend": "kimi-k2.6",
    "Issue Resolution (other)": "minimax-m2.7",
    "Greenfield": "gpt-5.5",
    "Testing": "gpt-5.5",
    "Information Gathering": "gpt-5.5",
})  # fmt: skip

PARAMETERS: Final = (
    "temperature", "top_p", "top_k", "reasoning_effort", "max_tokens", "presence_penalty",
    "frequency_penalty", "seed", "stop",
)  # fmt: skip
"""What every API has, by whatever name; null takes out what the client said."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One model and how it is asked. `model` is as written: `litellm_proxy/moonshot/kimi-k2.6`, `gpt-5.5`."""

    id: str
    model: str
    parameters: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # keys of PARAMETERS
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)  # further members of the body
    sees: bool | None = None  # takes images; None: the document does not say
    display_name: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose references hold. Without tiers it can be checked, and serves nothing."""

    tiers: tuple[Tier, ...]  # in the document's order
    classifier: str
    fallback: str
    routing: Mapping[str, str]  # category → tier id
    descriptions: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    id: str = ""
    display_name: str = ""

    def tier(self, id: str) -> Tier:
        """Raises KeyError."""
        for tier in self.tiers:
            if tier.id == id:
                return tier
        raise KeyError(id)


def is_router_document(value: object) -> bool:
    """Whether a value that JSON or YAML was read into is such a document, right or wrong inside."""
    return isinstance(value, Mapping) and value.get("kind") == KIND and "tiers" in value


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier was heard to say of a conversation's task, and what asking it took.

    `why` says why there is no category, "" if there is one. Time, tokens and cost are None where nobody was
    asked, or where what was said is only remembered.
    """

    category: str
    why: str = ""
    raw: str = ""  # shortened, on one line
    asked: bool = True  # False: there was nothing to ask about, or nobody to ask
    ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None

    @property
    def remembered(self) -> Verdict:
        """As later actions of the conversation have it: what it cost is told once."""
        return replace(self, ms=None, input_tokens=None, output_tokens=None, cost_usd=None)


@dataclass(frozen=True, slots=True)
class Choice:
    """The tier that serves. `reason` says why it is not the wanted one, "" if it is."""

    tier: str
    reason: str = ""
    vision_fallback: bool = False


def wanted(document: Document, verdict: Verdict) -> str:
    """The tier that a verdict leads to: the category's, else the fallback."""
    return document.routing.get(verdict.category, document.fallback)


def choose(
    document: Document, wanted: str, unusable: Mapping[str, str], blind: Collection[str] = ()
) -> Choice | None:
    """The wanted tier, else the fallback, else the first in the document's order that can serve.

    `unusable` says of tiers why they cannot take the request; `blind` are those that do not take the images
    that are in it. None if no tier is left.
    """
    ids = [tier.id for tier in document.tiers]
    order = [wanted, document.fallback, *ids] if ids else []
    served = next((id for id in order if id not in unusable and id not in blind), None)
    if served is None:
        return None
    if served == wanted:
        return Choice(served)
    if wanted in unusable:
        return Choice(served, f"{wanted}: {unusable[wanted]}")
    return Choice(served, f"{wanted} does not take images", vision_fallback=True)


def classification(document: Document, verdict: Verdict, choice: Choice) -> Classification:
    """Both as a decision has them."""
    return Classification(
        category=verdict.category,
        tier=choice.tier,
        classifier=document.classifier if verdict.asked else "",
        reason="; ".join(filter(None, (verdict.why, choice.reason))),
        raw=verdict.raw,
        vision_fallback=choice.vision_fallback,
        ms=verdict.ms,
        input_tokens=verdict.input_tokens,
        output_tokens=verdict.output_tokens,
        cost_usd=verdict.cost_usd,
    )
