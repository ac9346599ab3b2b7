"""Which knobs do nothing in a bundle, found by turning each and looking at the scores.

A knob is inert if no setting of the others makes it change a score, for example speed weight where no model
has timing; it is dormant if it changes nothing from the bundle's defaults, but would beside another knob.
"""

from __future__ import annotations

from dataclasses import replace

from pointsman.scoring.bundle import Bundle
from pointsman.scoring.cluster import score
from pointsman.scoring.knobs import MAX_EXPECTED_OUTPUT_TOKENS, MAX_OUTPUT_COST_RATIO, NAMES, Knobs


def inert_knobs(bundle: Bundle) -> tuple[str, ...]:
    """Names of the knobs that cannot change any score, whatever the others are."""
    # The others are set so that cost and time both weigh, and so do output tokens and their number.
    base = replace(
        bundle.defaults,
        alpha=(0.25,) * bundle.k,
        speed_weight=0.25,
        output_cost_ratio=1.0,
        expected_output_tokens=1_000,
    )
    return _without_effect(bundle, base)


def dormant_knobs(bundle: Bundle) -> tuple[str, ...]:
    """Names of the knobs that change nothing on their own, from the bundle's defaults, but are not inert."""
    inert = inert_knobs(bundle)
    return tuple(name for name in _without_effect(bundle, bundle.defaults) if name not in inert)


def _without_effect(bundle: Bundle, base: Knobs) -> tuple[str, ...]:
    return tuple(name for name in NAMES if not _acts(bundle, base, name))


def _acts(bundle: Bundle, base: Knobs, name: str) -> bool:
    low, high = (_all_scores(bundle, knobs) for knobs in _turned(base, name))
    return low != high


def _turned(base: Knobs, name: str) -> tuple[Knobs, Knobs]:
    """Two settings of one knob, far apart; alpha leaves what the speed weight takes."""
    room = 1.0 - base.speed_weight
    clusters = len(base.alpha)
    match name:
        case "alpha":
            return replace(base, alpha=(0.0,) * clusters), replace(base, alpha=(room,) * clusters)
        case "speed-weight":
            # Quality and price keep their proportion: where no model has timing, the speed weight is handed
            # out to them, and shifts it otherwise without any speed in it.
            still = tuple(weight / room if room else weight for weight in base.alpha)
            slow = replace(base, speed_weight=0.0, alpha=still)
            return slow, replace(base, speed_weight=0.5, alpha=tuple(weight / 2 for weight in still))
        case "output-cost-ratio":
            return replace(base, output_cost_ratio=0.0), replace(
                base, output_cost_ratio=MAX_OUTPUT_COST_RATIO
            )
        case "expected-output-tokens":
            most = MAX_EXPECTED_OUTPUT_TOKENS
            return replace(base, expected_output_tokens=0), replace(base, expected_output_tokens=most)
        case _:
            return replace(base, per_model_verbosity=False), replace(base, per_model_verbosity=True)


def _all_scores(bundle: Bundle, knobs: Knobs) -> list[dict[str, float]]:
    """Scores of all models at every centroid."""
    return [score(bundle, centroid, knobs).scores for centroid in bundle.centroids]
