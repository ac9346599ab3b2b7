"""The providers that the stand-in plays. A new one is a package with a `family.py`, and a line here."""

from __future__ import annotations

from provider.anthropic.family import Anthropic
from provider.family import Family
from provider.gemini.family import Gemini
from provider.openai.family import OpenAI


def all_families() -> tuple[Family, ...]:
    """Fresh ones, with no memory."""
    return (Anthropic(), OpenAI(), Gemini())

