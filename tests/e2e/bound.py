"""Models that are had at the client's own host, and at OpenRouter where that fails."""

from __future__ import annotations

from provider.answers import Step
from provider.standin import StandIn
from provider.traps import Trap

CONFIG = """
models:
  claude-haiku-4-5:
    bindings: [origin, openrouter_anthropic: anthropic/claude-haiku-4.5]
  gpt-4.1-mini:
    bindings: [origin, openrouter: deepseek/deepseek-chat]
  gemini-3.5-flash-lite:
    bindings: [origin, openrouter: deepseek/deepseek-chat]
"""
SERVED = {
    "anthropic": "claude-haiku-4-5",
    "openai_chat": "gpt-4.1-mini",
    "openai_responses": "gpt-4.1-mini",
    "gemini": "gemini-3.5-flash-lite",
}
FIRST = {"anthropic": "anthropic", "openai_chat": "openai", "openai_responses": "openai", "gemini": "gemini"}
SECOND = "openrouter"


def forced(surface: str) -> dict[str, str]:
    return {"x-router-model": SERVED[surface], "x-router-marker": "text"}


def meet(provider: StandIn, surface: str, first: Step | Trap, *second: Step | Trap) -> None:
    """What the attempts at the two bindings meet."""
    provider.script_at(FIRST[surface], first)
    provider.script_at(SECOND, *second)
