"""Whose a credential is, by the look of it: each provider takes keys of its own form and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Beginnings, the more special ones first. Where the real ones look like somebody else's they say the name.
PREFIXES = (
    ("sk-ant-", "anthropic"),
    ("sk-or-v1-", "openrouter"),
    ("sk-deepseek-", "deepseek"),
    ("sk-moonshot-", "moonshot"),
    ("sk-minimax-", "minimax"),
    ("sk-litellm-", "litellm"),
    ("sk-local-", "local"),
    ("zai-key-", "zai"),
    ("mistral-key-", "mistral"),
    ("gsk_", "groq"),
    ("xai-", "xai"),
    ("fw_", "fireworks"),
    ("tgp_v1_", "together"),
    ("AIza", "gemini"),
    ("ya29.", "gemini"),
    ("sk-", "openai"),
)
_ANY = "|".join(re.escape(prefix) for prefix, _ in PREFIXES)
_TOKEN = re.compile(rf"(?:{_ANY})[A-Za-z0-9._-]+")


def owner_of(secret: str) -> str:
    """The provider that takes keys of this form; "" if it is none that is known."""
    return next((owner for prefix, owner in PREFIXES if secret.startswith(prefix)), "")


def key_of(provider: str, account: str) -> str:
    """A key that the provider takes, for an account of lower-case letters and digits."""
    prefix = next(prefix for prefix, owner in PREFIXES if owner == provider)
    return f"{prefix}{'api03-' if provider == 'anthropic' else '-' if provider == 'gemini' else ''}{account}"


def secrets_in(texts: Iterable[str]) -> Iterator[str]:
    """What looks like a key of some provider."""
    for text in texts:
        yield from (match[0] for match in _TOKEN.finditer(text) if _begins(text, match.start()))


def _begins(text: str, at: int) -> bool:
    return at == 0 or not (text[at - 1].isalnum() or text[at - 1] in "-_.")
