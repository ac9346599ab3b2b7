"""Providers: the presets of data/providers.yaml, and the `providers` section of router.yaml over them.

No key ever stands in the file; what looks like one is refused without being repeated.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from pointsman.catalogue import DATA, frozen
from pointsman.checks import Text, Word
from pointsman.config_capabilities import read_capabilities
from pointsman.errors import ConfigError
from pointsman.surface import surfaces
from pointsman.values import EMPTY, Provider
from pointsman.wire.credentials import without_secrets
from pointsman.yaml_nodes import Value

ORIGIN: Final = "origin"
QUIRKS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "openai_chat": (
        "max_tokens", "no_stream_options", "no_effort", "openrouter", "thinking_switch", "reasoning_content",
        "no_strict", "no_json_schema", "no_parallel", "random_seed", "top_k", "verbosity",
    ),
    "openai_responses": ("no_custom", "no_store"),
    "anthropic": ("no_cache_control", "thinking_budget", "no_output_format"),
    "gemini": (),
})  # fmt: skip
"""What a copy of an API may do otherwise, as the writers of requests in it know it."""
KEYS: Final = (
    "like", "base_url", "surface", "key", "models_of", "names", "quirks", "capabilities", "headers", "extra",
)  # fmt: skip
_WORD: Final = Text(empty=False)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CREDENTIALS: Final = frozenset({
    "authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie",
})  # fmt: skip
_NOT_ONES_OWN: Final = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "accept-encoding",
    "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
})  # fmt: skip
# What only a request can say. (All else may be added: providers have members of their own.)
_OF_THE_REQUEST: Final = frozenset({
    "model", "messages", "input", "contents", "system", "instructions", "stream", "tools",
})  # fmt: skip


# --- presets ------------------------------------------------------------------------------


def presets(environ: Mapping[str, str] | None = None) -> dict[str, Provider]:
    """The providers that are known by name, by name; where a variable decides, as `environ` says."""
    known = os.environ if environ is None else environ
    return {name: _preset(name, row, known) for name, row in _rows().items()}


@cache
def _rows() -> Mapping[str, Mapping[str, Any]]:
    path = DATA / "providers.yaml"
    try:
        rows: Mapping[str, Mapping[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"the shipped providers cannot be read: {error}", file=str(path)) from error
    return rows


def _preset(name: str, row: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    variable = _first_set(row.get("url_env", ()), environ)
    return Provider(
        name=name,
        surface=row["surface"],
        base_url=row.get("base_url") or _clean(environ.get(variable, "")),
        key_env=_first_set(row.get("key_env", ()), environ),
        models_of=row.get("models_of", ""),
        names=MappingProxyType(row.get("names", {})),
        quirks=frozenset(row.get("quirks", ())),
        capabilities=frozen(row.get("capabilities", {})),
        headers=MappingProxyType(row.get("headers", {})),
        extra=MappingProxyType(row.get("extra", {})),
    )


def _first_set(variables: tuple[str, ...] | list[str], environ: Mapping[str, str]) -> str:
    """The first variable that has a value, else the first of all; "" where there is none."""
    return next((name for name in variables if environ.get(name, "").strip()), next(iter(variables), ""))


def _clean(url: str) -> str:
    """An address from a variable; "" for one that no request could be sent to."""
    url = url.strip().rstrip("/")
    return "" if url_problem(url) else url


def switches(name: str) -> tuple[str, ...]:
    """The environment variables that a preset looks at."""
    row = _rows()[name]
    return (*row.get("url_env", ()), *row.get("key_env", ()))


# --- router.yaml --------------------------------------------------------------------------


def read_providers(value: Value | None, environ: Mapping[str, str] | None = None) -> dict[str, Provider]:
    """The presets, changed and added to by the section. Raises ConfigError."""
    known = os.environ if environ is None else environ
    providers = presets(known)
    for name, section in value.members().items() if value else ():
        if name == ORIGIN or not _NAME.fullmatch(name):
            problem = f"cannot be a provider's name: it is a word in small letters, and not {ORIGIN}"
            section.fail(problem)
        providers[name] = _provider(name, section, providers, known)
    return providers


def _provider(
    name: str, section: Value, known: Mapping[str, Provider], environ: Mapping[str, str]
) -> Provider:
    fields = section.fields(KEYS)
    base = known.get(name)
    if "like" in fields:
        base = replace(known[fields["like"].read(Word(tuple(known)))], name=name)
    if base is None:
        for key in ("base_url", "surface"):
            if key not in fields:
                section.fail(f"needs a {key}, or like: PROVIDER")
        if "key" not in fields:
            section.fail("needs a key: {env: NAME}, {file: PATH}, or none for a server that takes none")
        base = Provider(name, "", "")
    changes: dict[str, Any] = {}
    for key, field in fields.items():
        if key != "like":
            changes |= _READ[key](field, environ)
    provider = replace(base, **changes)
    if strange := sorted(provider.quirks - set(QUIRKS[provider.surface])):
        problem = f"{strange[0]} is no quirk of {provider.surface}, but of another API"
        fields.get("quirks", section).fail(problem)
    if moved := _sends_elsewhere(base, provider, fields):
        fields["base_url"].fail(moved)
    return provider


def _sends_elsewhere(base: Provider, provider: Provider, fields: Mapping[str, Value]) -> str:
    """A key that belongs to one host must not go to another just because the address was changed."""
    had_key = bool(base.key_env or base.key_file) and "key" not in fields
    old, new = urlsplit(base.base_url).hostname, urlsplit(provider.base_url).hostname
    if not had_key or not old or old == new:
        return ""
    return "leads to another host, so say which key goes there: key: {env: NAME}, {file: PATH}, or none"


def _base_url(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    url = value.read(_WORD).strip()
    if problem := url_problem(url):
        value.fail(problem)
    return {"base_url": url.rstrip("/")}


def url_problem(url: str) -> str:
    """What is wrong with an address, "" if nothing. It is repeated only where no secret can be in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "must be an address like https://llm.example.com/v1"
    if parts.username is not None or parts.password is not None:
        return "must not have a user or a password in it: keys go under key"
    if parts.query or parts.fragment:
        return "must end with its path: what belongs to each request is put behind it, and keys go under key"
    if parts.scheme not in ("http", "https") or not host:
        return f"must be an address like https://llm.example.com/v1, not {url[:80]!r}"
    if any(ord(letter) <= 0x20 or ord(letter) >= 0x7F for letter in url):
        return "must be an address of plain characters, without blanks"
    if parts.scheme == "http" and not is_private(host):
        return (
            f"must be https: {host[:80]} is not on this machine or a private network, and key and prompts "
            "would go there for everyone to read"
        )
    return ""


def is_private(host: str) -> bool:
    """Is a host on this machine or a private network, as far as its name or address says?"""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        inside = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".test")
        return "." not in host or host.endswith(inside)
    return address.is_loopback or address.is_private or address.is_link_local


def _surface(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    return {"surface": value.read(Word(tuple(surfaces())))}


def _key(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    """Where the key is. Messages never repeat what stands here: it may be the key itself."""
    if value.is_scalar:
        if value.is_null or value.text.strip().lower() == "none":
            return {"key_env": "", "key_file": ""}
        value.fail(_NO_KEYS_HERE)
    fields = value.fields(("env", "file"))
    if len(fields) != 1:
        value.fail("must be one of {env: NAME}, {file: PATH} and none")
    if "file" in fields:
        path = Path(fields["file"].secretly(_WORD, "must be the path of a file"))
        if without_secrets(str(path)) != str(path):
            fields["file"].fail("must be the path of a file that holds the key, not the key")
        return {"key_env": "", "key_file": str(Path(value.file).parent / path.expanduser())}
    names = [item.secretly(_WORD, _NOT_A_VARIABLE).strip() for item in fields["env"].items()]
    if not names or not all(map(_VARIABLE.fullmatch, names)):
        fields["env"].fail(_NOT_A_VARIABLE)
    return {"key_env": _first_set(names, environ), "key_file": ""}


_NO_KEYS_HERE: Final = (
    "must say where the key is, {env: NAME} or {file: PATH}, or none; a key has no place in this file"
)
_NOT_A_VARIABLE: Final = "must be an environment variable in capitals, such as MY_API_KEY, and not the key"


def _models_of(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    return {"models_of": "" if value.is_null else value.read(_WORD).strip().lower()}


def _names(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    names = {name.lower(): field.read(_WORD) for name, field in value.members().items()}
    return {"names": MappingProxyType(names)}


def _quirks(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    known = tuple(dict.fromkeys(quirk for quirks in QUIRKS.values() for quirk in quirks))
    return {"quirks": frozenset(item.read(Word(known)) for item in value.items())}


def _takes(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    return {"capabilities": read_capabilities(value, EMPTY)}


def _headers(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for name, field in value.members().items():
        low = name.lower()
        if low in _CREDENTIALS:
            field.fail("is a credential, and goes under key: {env: NAME} or {file: PATH}")
        if low in _NOT_ONES_OWN or low.startswith("x-router-") or not _HEADER.fullmatch(name):
            field.fail("is not a header that can be added")
        text = field.secretly(_WORD, "must be text")
        if without_secrets(text) != text:
            field.fail("holds a key, as it seems, and a key has no place in this file")
        if any(ord(letter) < 0x20 or ord(letter) >= 0x7F for letter in text):
            field.fail("must be plain characters on one line")
        headers[low] = text
    return {"headers": MappingProxyType(headers)}


def _extra(value: Value, environ: Mapping[str, str]) -> dict[str, Any]:
    return {"extra": read_extra(value)}


def read_extra(value: Value) -> Mapping[str, Any]:
    """Members for the body of every request."""
    for name, field in value.members().items():
        if name in _OF_THE_REQUEST:
            field.fail("is for each request to say, and cannot be added")
    return MappingProxyType(value.plain())


_READ: Final = MappingProxyType({
    "base_url": _base_url, "surface": _surface, "key": _key, "models_of": _models_of, "names": _names,
    "quirks": _quirks, "capabilities": _takes, "headers": _headers, "extra": _extra,
})  # fmt: skip
