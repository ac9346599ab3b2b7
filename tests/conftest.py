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
