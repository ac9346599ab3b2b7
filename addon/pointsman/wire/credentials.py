"""Whose account a request belongs to, told from its secret without keeping it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from pointsman.values import Credential, CredentialKind

_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")
# How keys and tokens of OpenAI, Anthropic and Google begin, and whatever else is called a key or a token.
_SECRET = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{12,}|AIza[\w-]{12,}|AQ\.[\w-]{12,}|ya29\.[\w.-]{4,}|eyJ[\w-]*\.[\w-]+\.[\w-]*)"
    r"|(?<=api_key:)[\w.-]{8,}|(?<=api_key\": \")[\w.-]{8,}|(?<=Bearer )[\w.~+/-]{16,}"
)


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the `authorization` header; "" where there is none; another scheme is part of it."""
    authorization = (headers.get("authorization") or "").strip()
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else authorization


def is_jwt(secret: str) -> bool:
    """Access tokens of personal plans are JSON web tokens; API keys are not."""
    return _JWT.fullmatch(secret) is not None


def credential_of(secret: str, kind: CredentialKind, salt: bytes) -> Credential:
    """The credential that `secret` stands for; kind NONE where it is empty."""
    if not secret:
        return Credential(CredentialKind.NONE, "")
    return Credential(kind, fingerprint(secret, salt))


def fingerprint(secret: str, salt: bytes) -> str:
    """16 hex digits that tell accounts apart; `salt`: the installation's secret; 64 bytes of it count."""
    data = secret.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=8, key=salt[:64]).hexdigest()


def without_secrets(text: str) -> str:
    """The text without keys and tokens. Errors repeat them: Google's name `Consumer 'api_key:AIza…'`."""
    return _SECRET.sub("[secret]", text)
