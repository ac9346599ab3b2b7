"""The five knobs of the v2 blend: request headers → overrides → effective knobs.

Every knob can be set under two names, `x-weave-routing-…` and `x-router-…`. Values
are trimmed and an empty one means absent. What a client asks for is checked here
and is the client's fault (`ClientError`); what a bundle brings along is checked when
it is loaded, and a mismatch found later is the bundle's (`BundleError`).
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping
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
HEADERS = tuple(prefix + name for prefix in PREFIXES for name in NAMES)
"""Every header read here, lower-case: to be removed before a request goes upstream."""

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one request asks for; None leaves the bundle's default. `alpha` is for all clusters."""

    alpha: float | None = None
    speed_weight: float | None = None
    output_cost_ratio: float | None = None
    expected_output_tokens: int | None = None
    per_model_verbosity: bool | None = None


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
    pairs = ((prefix + name, name) for name in NAMES for prefix in PREFIXES)
    return read((header, name, present.get(header, "")) for header, name in pairs)


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
    if refused:
        raise ClientError(
            "; ".join(message for _, message in refused), source=",".join(source for source, _ in refused)
        )
    return _overrides({name: value for name, (_, value) in found.items()})


def merge(defaults: Knobs, overrides: Overrides, k: int, *, prefix: str = PREFIXES[0]) -> Knobs:
    """The effective knobs of one request on a bundle with `k` clusters.

    An overriding alpha replaces the whole vector, of the returned copy only. Raises BundleError if
    the default alpha does not have length `k`, ClientError if an override makes a weight sum exceed 1;
    `prefix` is how the messages name a knob ("--" on the command line).
    """
    if len(defaults.alpha) != k:
        raise BundleError(f"default_routing_knobs.alpha has {len(defaults.alpha)} values for {k} clusters")
    changed = {name: value for name in Overrides.__slots__ if (value := getattr(overrides, name)) is not None}
    if not changed:
        return defaults
    if "alpha" in changed:
        changed["alpha"] = (changed["alpha"],) * k
    knobs = replace(defaults, **changed)
    cluster = max(range(k), key=knobs.alpha.__getitem__)
    if knobs.alpha[cluster] + knobs.speed_weight > 1 + SUM_SLACK:
        source = prefix + ("alpha" if overrides.speed_weight is None else "speed-weight")
        raise ClientError(_sum_message(overrides, knobs, cluster, prefix), source=source)
    return knobs


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
    )


def _sum_refusal(alpha: tuple[str, float], speed: tuple[str, float]) -> list[tuple[str, str]]:
    if alpha[1] + speed[1] <= 1 + SUM_SLACK:
        return []
    message = f"{alpha[0]} ({alpha[1]:g}) and {speed[0]} ({speed[1]:g}) must not add up to more than 1"
    return [(speed[0], message)]


def _sum_message(overrides: Overrides, knobs: Knobs, cluster: int, prefix: str) -> str:
    if overrides.alpha is None:
        return (
            f"{prefix}speed-weight ({knobs.speed_weight:g}) and the bundle's alpha "
            f"({knobs.alpha[cluster]:g} in cluster {cluster}) must not add up to more than 1; "
            f"lower it, or send {prefix}alpha too"
        )
    other = "the bundle's speed weight" if overrides.speed_weight is None else f"{prefix}speed-weight"
    return (
        f"{prefix}alpha ({knobs.alpha[cluster]:g}) and {other} ({knobs.speed_weight:g}) "
        f"must not add up to more than 1"
    )


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
}


def _shown(text: str) -> str:
    """A client's value for a message: short, and ASCII only, since it may go into a header or a log."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
