"""Who asks, and in which conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pointsman.values import Credential, CredentialKind
from pointsman.wire.credentials import bearer, credential_of, is_jwt
from pointsman.wire.loose import as_text, clean

HOSTS: Final = ("api.openai.com",)
PROVIDER: Final = "openai"
MODEL_HEADERS: Final = ("openai-model",)

# How their user agents begin, in lower case: openai 3.52 and 6.49 (JS), Codex 0.169, opencode 1.18.
CLIENTS: Final = (
    ("codex", "codex"),
    ("opencode/", "opencode"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-js"),
)

_ACCOUNT_HEADER = "chatgpt-account-id"
_SESSION_HEADERS = ("session-id", "session_id", "thread-id", "x-session-id", "x-session-affinity")
_THREAD_HEADER = "thread-id"
_ID_LIMIT = 200  # characters


def credential(headers: Mapping[str, str], path: str, salt: bytes) -> Credential:
    """Whose account pays. `headers` has lower-case names; `salt` is the installation's secret.

    The login of a ChatGPT plan is a JWT, and Codex names the account beside it.
    """
    secret = bearer(headers) or (headers.get("api-key") or headers.get("x-api-key") or "").strip()
    planned = not secret.startswith("sk-") and (is_jwt(secret) or bool(headers.get(_ACCOUNT_HEADER)))
    return credential_of(
        secret, CredentialKind.SUBSCRIPTION if planned else CredentialKind.API_KEY, salt
    )


def authorize(secret: str) -> Mapping[str, str]:
    """The header that carries a key. "": a provider without keys."""
    return {"authorization": f"Bearer {secret}"} if secret else {}


def session_hint(headers: Mapping[str, str], cache_key: Any, first_user_text: str) -> str | None:
    """The client's own id of the conversation; None if it sends none.

    A thread other than the session is a sub-agent's: Codex names both. `prompt_cache_key` is a hint of last
    resort: an application may send one key for all its users, so the first words go with it.
    """
    given = next((value for name in _SESSION_HEADERS if (value := _header(headers, name))), "")
    thread = _header(headers, _THREAD_HEADER)
    if given:
        return f"{given}/{thread}" if thread and thread != given else given
    key = (as_text(cache_key) or "").strip()[:_ID_LIMIT]
    return f"{key}/{clean(first_user_text[:_ID_LIMIT])}" if key else None


def _header(headers: Mapping[str, str], name: str) -> str:
    return clean((headers.get(name) or "").strip()[:_ID_LIMIT])
