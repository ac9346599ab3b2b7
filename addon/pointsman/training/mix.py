"""Who would serve what: the mix of a bundle over prompts, as the default policy picks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pointsman.scoring.bundle import Bundle
from pointsman.scoring.cluster import score
from pointsman.training.vectors import Vectors
from pointsman.values import Model

OUTPUT_WEIGHT = 0.25  # of the output price, where prices are compared


def strongest(bundle: Bundle, catalogue: Mapping[str, Model], family: str) -> str:
    """The model of a family with the highest quality tier, then quality; opt-in ones left out."""
    assert bundle.quality is not None
    mean = dict(zip(bundle.models, bundle.quality.mean(axis=0).tolist(), strict=True))
    own = [m for m in bundle.models if bundle.providers[m] == family and not catalogue[m].opt_in]
    return max(own, key=lambda m: (catalogue[m].quality_tier or 0, mean[m]))


def mix(bundle: Bundle, catalogue: Mapping[str, Model], vectors: Vectors, requested: str) -> dict[str, float]:
    """{model: share} of main turns that ask for `requested`, most frequent first.

    As without any configuration: deployed is the family, eligible is what is not opt-in (unless asked
    for) and not priced above the requested model.
    """
    family = tuple(m for m in bundle.models if bundle.providers[m] == bundle.providers[requested])
    limit = _price(catalogue[requested])
    eligible = [
        m for m in family if m == requested or (not catalogue[m].opt_in and _price(catalogue[m]) <= limit)
    ]
    counts = Counter(score(bundle, v, deployed=family, eligible=eligible).model for v in vectors)
    return {model: count / len(vectors) for model, count in counts.most_common()}


def _price(model: Model) -> float:
    return (model.prices.input or 0.0) + OUTPUT_WEIGHT * (model.prices.output or 0.0)
