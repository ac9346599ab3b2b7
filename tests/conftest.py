"""Fixtures for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's shared material beside the checkout, which a plain clone does not have."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("needs the shared material beside the checkout")
    return path


# What starts proxies and servers on ports of its own stays in one process: in two at once, a client whose
# server has gone would meet the other's on the port that it left.
TOGETHER = frozenset({"e2e", "provider", "clients", "cli", "upstream", "test_own_calls.py", "test_trust.py"})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For runs in several processes (`-n 2 --dist loadgroup`)."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).parts[0] in TOGETHER:
            item.add_marker(pytest.mark.xdist_group("ports"))
