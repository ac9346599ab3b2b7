"""The five knobs of the v2 blend: request headers → overrides → effective knobs.

Every knob can be set under two names, `x-weave-routing-…` and `x-router-…`. Values
are trimmed and an empty one means absent. What a client asks for is checked here
and is the client's fault (`ClientError`); what a bundle brings along is checked when
it is loaded, and a mismatch found later is the bundle's (`BundleError`).

Who asks for a knob is a layer: a route of the configuration, a preset of the bundle, the
request's headers. Each knob comes from the last layer that names it. The quality bias is
no knob of its own but another way to say alpha, so each of the two replaces the other; what
alpha it stands for only `dial` knows.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pointsman.errors import BundleError, ClientError

DEFAULT_ALPHA = 0.53
DEFAULT_EXPECTED_OUTPUT_TOKENS = 2_000
SUM_SLACK = 1e-9  # alpha + speed weight may exceed 1 by this much: rounding, not intent

MAX_OUTPUT_COST_RATIO = 10.0
MAX_EXPECTED_OUTPUT_TOKENS = 100_000

NAMES = ("alpha", "speed-weight", "output-cost-ratio", "expected-output-tokens", "per-model-verbosity")
PREFIXES = ("x-weave-routing-", "x-router-")
BIAS = "quality-bias"  # only under Pointsman's own name
HEADERS = (*(prefix + name for prefix in PREFIXES for name in NAMES), PREFIXES[1] + BIAS)
"""Every header read here, lower-case: to be removed before a request goes upstream."""

_NAMED = (*((prefix + name, name) for name in NAMES for prefix in PREFIXES), (HEADERS[-1], BIAS))
_TOO_MUCH = "must not add up to more than 1"
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one layer asks for; None leaves what is below. `alpha` is for all clusters, or `quality_bias`."""

    alpha: float | None = None
    speed_weight: float | None = None
    output_cost_ratio: float | None = None
    expected_output_tokens: int | None = None
    per_model_verbosity: bool | None = None
    quality_bias: float | None = None


NOTHING = Overrides()

Layer = tuple[str, Overrides]
"""What messages put before a knob's name ("x-router-", "--", "the route's "), and what is asked for."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """The effective weights of one request. Immutable, so nothing can leak into the next one.

    `alpha` [K] weighs quality in each cluster, `speed_weight` speed; price has the rest up to 1.
    `output_cost_ratio` is output tokens per input token, `expected_output_tokens` sets what a
    second of decoding weighs, `per_model_verbosity` lets talkative models cost more.
    """

    alpha: tuple[float, ...]
    speed_weight: float = 0.0
    output_cost_ratio: float = 0.0
    expected_output_tokens: int = DEFAULT_EXPECTED_OUTPUT_TOKENS
    per_model_verbosity: bool = False

    @property
    def hash(self) -> str:
        """16 hex digits: the first 8 bytes of SHA-256 over the packed little-endian form.

        Packed as u32 K, f64[K] alpha, f64 speed weight, f64 output cost ratio, u32 tokens, u8 verbosity.
        """
        return hashlib.sha256(self.packed()).digest()[:8].hex()

    def packed(self) -> bytes:
        count = len(self.alpha)
        return struct.pack(
            f"<I{count}dddIB",
            count,
            *self.alpha,
            self.speed_weight,
            self.output_cost_ratio,
            self.expected_output_tokens,
            self.per_model_verbosity,
        )

    def as_log(self) -> dict[str, Any]:
        """For the decision's row: alpha as one number where all clusters share it."""
        uniform = len(set(self.alpha)) == 1
        return {
            "alpha": self.alpha[0] if uniform else list(self.alpha),
            "speed_weight": self.speed_weight,
            "output_cost_ratio": self.output_cost_ratio,
            "expected_output_tokens": self.expected_output_tokens,
            "per_model_verbosity": self.per_model_verbosity,
        }


def parse(headers: Mapping[str, str]) -> Overrides:
    """Read the knob headers, in any case of letters.

    Raises one ClientError that lists *every* refused header, so that one warning and one 400
    tell all; its `source` holds their names, comma-separated.
    """
    present = {header.lower(): value for header, value in headers.items()}
    return read((header, name, text) for header, name in _NAMED if (text := present.get(header)))


def prefix_of(headers: Mapping[str, str]) -> str:
    """Of the two names of a weight the beginning of the one that was used, for messages about a sum."""
    weave, own = PREFIXES
    used = any(name.lower() in (f"{weave}alpha", f"{weave}speed-weight") for name in headers)
    return weave if used else own


def read(given: Iterable[tuple[str, str, str]]) -> Overrides:
    """Overrides from (source, knob name, text): sources are headers, or options of a command.

    Raises ClientError as `parse` does.
    """
    found: dict[str, tuple[str, float]] = {}
    refused: list[tuple[str, str]] = []
    for source, name, text in given:
        if not (text := text.strip()):
            continue
        try:
            value = _READERS[name](text)
        except ValueError as rule:
            refused.append((source, f"{source} must be {rule}, not {_shown(text)}"))
            continue
        first, known = found.setdefault(name, (source, value))
        if known != value:
            refused.append((source, f"{first} and {source} contradict each other; send one of them"))
    # The range of each weight comes first: a sum over 1 must not hide which of the two is wrong.
    if not refused and {"alpha", "speed-weight"} <= found.keys():
        refused += _sum_refusal(found["alpha"], found["speed-weight"])
    if {"alpha", BIAS} <= found.keys():
        (alpha, _), (bias, _) = found["alpha"], found[BIAS]
        refused.append((bias, f"{alpha} and {bias} both say what quality weighs; send one of them"))
    if refused:
        raise ClientError(
            "; ".join(message for _, message in refused), source=",".join(source for source, _ in refused)
        )
    return _overrides({name: value for name, (_, value) in found.items()})


def merge(
    defaults: Knobs,
    overrides: Overrides,
    k: int,
    *,
    prefix: str = PREFIXES[0],
    below: Sequence[Layer] = (),
) -> Knobs:
    """The effective knobs of one request on a bundle with `k` clusters: `overrides` over what is `below`.

    `below` has the weakest layer first; `prefix` is how messages name a knob of `overrides`. An alpha that
    is asked for replaces the whole vector, of the returned copy only. Where a quality bias is asked for
    instead, alpha is 0 in all clusters: `dial` sets it. Raises BundleError if the default alpha does not have
    length `k`, ClientError if what is asked for makes a weight sum exceed 1.
    """
    if len(defaults.alpha) != k:
        raise BundleError(f"default_routing_knobs.alpha has {len(defaults.alpha)} values for {k} clusters")
    given = _topmost((*below, (prefix, overrides)))
    if not given:
        return defaults
    knobs = applied(defaults, Overrides(**{name: value for name, (value, _) in given.items()}))
    cluster = max(range(k), key=knobs.alpha.__getitem__)
    if knobs.alpha[cluster] + knobs.speed_weight > 1 + SUM_SLACK:
        source = prefix + ("alpha" if overrides.speed_weight is None else "speed-weight")
        raise ClientError(_sum_message(given, knobs, cluster, prefix), source=source)
    return knobs


def applied(defaults: Knobs, overrides: Overrides) -> Knobs:
    """`defaults` with what is asked for, unchecked; see `merge`."""
    changed: dict[str, Any] = {name: getattr(overrides, name) for name in Knobs.__slots__}
    if overrides.quality_bias is not None:
        changed["alpha"] = 0.0
    if changed["alpha"] is not None:
        changed["alpha"] = (changed["alpha"],) * len(defaults.alpha)
    return replace(defaults, **{name: value for name, value in changed.items() if value is not None})


def bias(overrides: Overrides, below: Sequence[Layer] = ()) -> float | None:
    """The quality bias in force, None where the last layer that says what quality weighs names an alpha."""
    for layer in (overrides, *(layer for _, layer in reversed(below))):
        if layer.alpha is not None or layer.quality_bias is not None:
            return layer.quality_bias
    return None


def _topmost(layers: Iterable[Layer]) -> dict[str, tuple[Any, str]]:
    """{knob: (value, whose)} of the last layer that names it."""
    given: dict[str, tuple[Any, str]] = {}
    for whose, layer in layers:
        if layer == NOTHING:
            continue
        for name in Overrides.__slots__:
            if (value := getattr(layer, name)) is not None:
                given[name] = value, whose
        if layer.quality_bias is not None:
            given.pop("alpha", None)
        elif layer.alpha is not None:
            given.pop("quality_bias", None)
    return given


def check(knobs: Knobs) -> str:
    """What is wrong with a bundle's own default knobs; "" if nothing."""
    for cluster, alpha in enumerate(knobs.alpha):
        if not 0 <= alpha <= 1:
            return f"alpha of cluster {cluster} must be between 0 and 1, not {alpha}"
        if alpha + knobs.speed_weight > 1 + SUM_SLACK:
            return f"alpha of cluster {cluster} and speed_weight add up to more than 1"
    if not 0 <= knobs.speed_weight <= 1:
        return f"speed_weight must be between 0 and 1, not {knobs.speed_weight}"
    if not 0 <= knobs.output_cost_ratio <= MAX_OUTPUT_COST_RATIO:
        return f"output_cost_ratio must be between 0 and 10, not {knobs.output_cost_ratio}"
    if not 0 <= knobs.expected_output_tokens <= MAX_EXPECTED_OUTPUT_TOKENS:
        return f"expected_output_tokens must be between 0 and 100000, not {knobs.expected_output_tokens}"
    return ""


def _overrides(values: Mapping[str, float]) -> Overrides:
    alpha, speed, ratio, tokens, verbosity = (values.get(name) for name in NAMES)
    return Overrides(
        alpha,
        speed,
        ratio,
        None if tokens is None else int(tokens),
        None if verbosity is None else bool(verbosity),
        values.get(BIAS),
    )


def _sum_refusal(alpha: tuple[str, float], speed: tuple[str, float]) -> list[tuple[str, str]]:
    if alpha[1] + speed[1] <= 1 + SUM_SLACK:
        return []
    message = f"{alpha[0]} ({alpha[1]:g}) and {speed[0]} ({speed[1]:g}) {_TOO_MUCH}"
    return [(speed[0], message)]


def _sum_message(given: Mapping[str, tuple[Any, str]], knobs: Knobs, cluster: int, prefix: str) -> str:
    alpha, speed = (_named(name, given) for name in ("alpha", "speed_weight"))
    if "alpha" in given:
        return f"{alpha} ({knobs.alpha[cluster]:g}) and {speed} ({knobs.speed_weight:g}) {_TOO_MUCH}"
    return (
        f"{speed} ({knobs.speed_weight:g}) and {alpha} ({knobs.alpha[cluster]:g} in cluster {cluster}) "
        f"{_TOO_MUCH}; lower it, or send {prefix}alpha too"
    )


def _named(name: str, given: Mapping[str, tuple[Any, str]]) -> str:
    whose = given[name][1] if name in given else "the bundle's "
    return whose + name.replace("_", " " if whose.endswith(" ") else "-")


def _between(top: float) -> Callable[[str], float]:
    """A reader of finite decimals from 0 to `top`; its ValueError says the rule."""

    def read_decimal(text: str) -> float:
        # float() alone would also take "nan", "inf", "1_0" and digits of other scripts.
        value = float(text) if _DECIMAL.fullmatch(text) else math.nan
        if not 0 <= value <= top:  # false for NaN, and for the infinity of "1e999"
            raise ValueError(f"a finite number from 0 to {top:g}")
        return value + 0.0  # no negative zero

    return read_decimal


def _read_tokens(text: str) -> float:
    value = int(text) if _INTEGER.fullmatch(text) else -1
    if not 0 <= value <= MAX_EXPECTED_OUTPUT_TOKENS:
        raise ValueError(f"a whole number from 0 to {MAX_EXPECTED_OUTPUT_TOKENS}")
    return value


def _read_flag(text: str) -> float:
    if text not in ("true", "false"):
        raise ValueError("exactly true or false")
    return text == "true"


_READERS: Mapping[str, Callable[[str], float]] = {
    "alpha": _between(1),
    "speed-weight": _between(1),
    "output-cost-ratio": _between(MAX_OUTPUT_COST_RATIO),
    "expected-output-tokens": _read_tokens,
    "per-model-verbosity": _read_flag,
    BIAS: _between(1),
}


def _shown(text: str) -> str:
    """A client's value for a message: short, and ASCII only, since it may go into a header or a log."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
