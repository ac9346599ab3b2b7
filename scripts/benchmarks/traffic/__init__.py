"""What clients send over each surface and what its provider answers: one module each.

Everything is made from seeds, the same bytes in every run.
"""

from __future__ import annotations

from benchmarks.traffic.anthropic import Anthropic
from benchmarks.traffic.base import Traffic
from benchmarks.traffic.gemini import Gemini
from benchmarks.traffic.openai_chat import OpenAIChat
from benchmarks.traffic.openai_responses import OpenAIResponses

__all__ = ["ANTHROPIC", "CHAT", "GEMINI", "OTHERS", "SURFACES", "Traffic"]

ANTHROPIC, CHAT, GEMINI = Anthropic(), OpenAIChat(), Gemini()
OTHERS: tuple[Traffic, ...] = (CHAT, OpenAIResponses(), GEMINI)
SURFACES: tuple[Traffic, ...] = (ANTHROPIC, *OTHERS)
