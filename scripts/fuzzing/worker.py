"""One target under libFuzzer, in a process of its own: libFuzzer never returns.

    python -m fuzzing.worker SURFACE TARGET FOLDER [libFuzzer's options …]

In FOLDER are `corpus`, the inputs that reached new code, and `findings`. A finding does not end the run; a
timeout, too much memory or a crash of the interpreter does, with libFuzzer's own file in `findings`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from math import inf
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pointsman.wire"]):
    from pointsman.surface import surfaces

    surfaces()
    from pointsman.wire import encoding  # noqa: F401  no surface imports it

from fuzz import targets
from fuzz.ground import Ground, ground
from fuzz.oracle import Choice

from fuzzing import growth
from fuzzing.findings import Findings
from fuzzing.mutate import Mutator
from fuzzing.words import Words

PARSERS = "parsers"
MAX_LEN = 1 << 16
SLOW_S = 3.0  # processor time for one input, all its ways together


def main() -> None:
    surface, target, folder = sys.argv[1:4]
    findings = Findings(Path(folder) / "findings")
    standing, check, seeds = materials(surface, target)
    words = Words([*_all_seeds(surface), *seeds], surface)
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:03}").write_bytes(seed[:MAX_LEN])
    dictionary = Path(folder) / "words.dict"
    dictionary.write_text(words.dictionary(), encoding="utf-8")
    arguments = [sys.argv[0], str(corpus), f"-dict={dictionary}", f"-max_len={MAX_LEN}", *sys.argv[4:]]
    one = _one(standing, check, findings, inf if target == growth.NAME else SLOW_S)
    atheris.Setup(arguments, one, **_mutator(target, words, seeds))
    atheris.Fuzz()


def materials(surface: str, target: str) -> tuple[Ground | None, targets.Check, list[bytes]]:
    """What the target stands on, what it checks, and what it begins from."""
    if surface == PARSERS:
        return None, targets.PARSERS[PARSERS], _all_seeds(PARSERS)
    standing = ground(surface)
    if target == growth.NAME:
        return standing, growth.check, targets.seeds("requests", standing)
    return standing, targets.OF_SURFACES[target], targets.seeds(target, standing)


def _all_seeds(surface: str) -> list[bytes]:
    names = [name for name in surfaces() if surface in (name, PARSERS)]
    found: list[bytes] = []
    for name in names:
        try:
            standing = ground(name)
        except FileNotFoundError:
            continue
        found += [*standing.bodies, *standing.answers, *standing.refusals, *standing.streams]
    return found


def _one(
    standing: Ground | None, check: targets.Check, findings: Findings, limit_s: float
) -> Callable[[bytes], None]:
    slowest = 0.0

    def one(data: bytes) -> None:
        nonlocal slowest
        before = time.process_time()
        try:
            check(standing, data, Choice(data))  # type: ignore[arg-type]
        except Exception as error:
            findings.add(data, error)
        took = time.process_time() - before
        if took > slowest:
            slowest = took
            print(f"slowest {took:.3f} s for {len(data)} bytes", file=sys.stderr, flush=True)
        if took > limit_s:
            findings.add(data, TimeoutError(f"{took:.1f} s of processor time for {len(data)} bytes"))

    return one


def _mutator(target: str, words: Words, seeds: list[bytes]) -> dict[str, object]:
    made = Mutator(words, seeds, lambda data, limit: bytes(atheris.Mutate(data, limit)))
    if target in ("requests", "bodies", growth.NAME):
        return {"custom_mutator": made.json}
    if target == "streams":
        return {"custom_mutator": made.stream}
    if target == PARSERS:
        return {"custom_mutator": lambda data, limit, seed: made.either(data, limit, seed)}
    return {}


if __name__ == "__main__":
    main()
