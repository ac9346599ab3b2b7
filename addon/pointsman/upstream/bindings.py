"""Where an attempt goes, and with which key.

A provider's `base_url` and the path of its surface, as the surface's writers make it, give the address:

    surface            base_url                          path behind it
    anthropic          https://api.anthropic.com         /v1/messages
    openai_chat        https://api.openai.com/v1         /chat/completions
    openai_responses   https://api.openai.com/v1         /responses
    gemini             https://…googleapis.com/v1beta    /models/MODEL:streamGenerateContent?alt=sse

Keys are read from the environment or a file when an attempt is made, and kept by nobody; no message has one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pointsman.errors import ConfigError
from pointsman.values import Binding, Model, Provider
from pointsman.wire import neutral

MAX_TOKENS: Final = 32_000  # of an answer that nobody bounds, where the API demands a bound
KEY_LIMIT: Final = 64 * 1024  # bytes of a key's file
_ANCHORS: Final = {
    "anthropic": "/v1/messages",
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "gemini": "/models/",
}
_SECRET_QUERIES: Final = frozenset({"key", "access_token", "oauth_token", "$.xgafv_key"})
_PORTS: Final = {"https": 443, "http": 80}


def url(provider: Provider, path: str) -> str:
    """The address for a path of the provider's surface, be it a writer's or a client's own.

    What stands before the surface's own part of a client's path belongs to the client's host, and a key in
    its query belongs to the client: neither goes along.
    """
    bare, _, query = path.partition("?")
    at = bare.rfind(_ANCHORS.get(provider.surface, "/"))
    query = urlencode([pair for pair in parse_qsl(query, True) if pair[0].lower() not in _SECRET_QUERIES])
    return provider.base_url + bare[max(at, 0) :] + (f"?{query}" if query else "")


def missing(provider: Provider, environ: Mapping[str, str] | None = None) -> str:
    """Why a provider cannot be asked: what has to be set first. "" if it can be."""
    try:
        secret(provider, environ)
    except ConfigError as error:
        return str(error)
    return "" if provider.base_url else "has no base_url, neither in router.yaml nor in the environment"


def available(provider: Provider, environ: Mapping[str, str] | None = None) -> bool:
    """Has it an address and its key?"""
    return not missing(provider, environ)


def secret(provider: Provider, environ: Mapping[str, str] | None = None) -> str:
    """The key, "" where the provider takes none. Raises ConfigError that names the variable or the file."""
    if provider.key_env:
        value = (os.environ if environ is None else environ).get(provider.key_env, "").strip()
        if not value:
            raise ConfigError(f"{provider.key_env} is not set")
        return _sendable(value, provider.key_env)
    if provider.key_file:
        return _sendable(_from_file(Path(provider.key_file)), provider.key_file)
    return ""


def _from_file(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            data = file.read(KEY_LIMIT + 1)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"{path} cannot be read: {why}") from None
    value = data.decode("ascii", "replace").strip()
    if not value or len(data) > KEY_LIMIT:
        raise ConfigError(f"{path} holds no key")
    return value


def _sendable(value: str, where: str) -> str:
    """Only what may stand in a header: anything else would break the request, or add a header to it."""
    if not all(0x21 <= ord(letter) <= 0x7E for letter in value):
        raise ConfigError(f"{where} holds no key: a key has neither blanks nor other than ASCII characters")
    return value


def origin_of(address: str) -> tuple[str, str, int]:
    """Scheme, host in lower case, and port of a URL."""
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(scheme, 0)


def is_own_host(address: str, scheme: str, host: str, port: int) -> bool:
    """Whether `address` leads to the very host that a client talks to: only there may its credential go."""
    return origin_of(address) == (scheme.lower(), host.lower().rstrip("."), port)


def target(binding: Binding, model: Model | None) -> neutral.Target:
    """What a writer of requests has to know of where its request goes; `model` is the catalogue's row."""
    assert binding.provider
    most = binding.max_output_tokens or (model.max_output_tokens if model else None)
    takes = model.capabilities if model else {}
    return neutral.Target(
        model=binding.model,
        max_tokens=min(most or MAX_TOKENS, MAX_TOKENS),
        most_tokens=most,
        images=takes.get("images") is not False,
        documents=takes.get("documents") is not False,
        quirks=binding.provider.quirks,
        extra={**binding.provider.extra, **binding.extra},
    )
