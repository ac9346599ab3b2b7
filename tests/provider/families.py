"""The providers that the stand-in plays.

An API of its own is a package with a `family.py`, and a line here; a copy is a row in `compatible/hosts.py`.
"""

from __future__ import annotations

from provider.anthropic.family import Anthropic
from provider.compatible.family import Compatible
from provider.compatible.hosts import HOSTS
from provider.family import Family
from provider.gemini.family import Gemini
from provider.openai.family import OpenAI


def all_families() -> tuple[Family, ...]:
    """Fresh ones, with no memory."""
    return (Anthropic(), OpenAI(), Gemini(), *map(Compatible, HOSTS))

