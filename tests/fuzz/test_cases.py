"""What the fuzzer found, checked for good; and its seeds, which every surface must have.

A case is `cases/SURFACE/TARGET-WHAT`: the input as it was found, made as short as it could be. It is tried
with all models that may take the surface's requests, and with all kinds of change.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import targets
from fuzz.ground import HERE, ground, seed_file
from fuzz.oracle import Choice, Every
from pointsman.surface import surfaces

CASES = sorted(path for path in (HERE / "cases").rglob("*") if path.is_file())
NAMES = [name for name in surfaces() if seed_file(name).is_file()]


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_case(path: Path) -> None:
    surface, target = path.parent.name, path.name.partition("-")[0]
    data = path.read_bytes()
    if surface == "parsers":
        targets.PARSERS[surface](None, data, Every(data))  # type: ignore[arg-type]
    else:
        targets.OF_SURFACES[target](ground(surface), data, Every(data))


@pytest.mark.parametrize("target", targets.OF_SURFACES)
@pytest.mark.parametrize("surface", NAMES)
def test_seeds(surface: str, target: str) -> None:
    standing = ground(surface)
    seeds = targets.seeds(target, standing)
    assert seeds
    for data in seeds[::5]:  # to see that the checks work; the fuzzer begins with all of them
        targets.OF_SURFACES[target](standing, data, Choice(data))


def test_every_surface_has_seeds() -> None:
    assert list(surfaces()) == NAMES
