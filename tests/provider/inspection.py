"""What must never reach a provider: the router's own traces, and keys of somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provider import keys
from provider.encodings import ERRORS, decompress
from provider.family import MAX_BODY_BYTES
from provider.record import Record
from provider.server import Request

ROUTER_HEADERS = re.compile(r"^(x-router-|x-weave-|x-litellm-|x-pointsman)", re.IGNORECASE)
SENTINEL = "\u2063\u2060\u2063"
SENTINELS = (SENTINEL.encode(), rb"\u2063\u2060\u2063")


def complaints(record: Record, secrets: dict[str, str]) -> Iterator[str]:
    """`secrets` are the keys seen so far, with whose they are; those of this request are added."""
    data = _decoded(record.request)
    yield from _router(record, data)
    yield from _keys(record, data, secrets)


def _router(record: Record, data: bytes) -> Iterator[str]:
    for name, _ in record.request.headers:
        if ROUTER_HEADERS.match(name):
            yield f"request {record.number} carries the header {name}"
    if any(mark in data.lower() for mark in SENTINELS) or b'"x_router"' in data:
        yield f"request {record.number} carries a marker"


def _keys(record: Record, data: bytes, secrets: dict[str, str]) -> Iterator[str]:
    """A provider sees its own keys only. A host that is none may get what its client sends it."""
    request = record.request
    found = set(keys.secrets_in([*(value for _, value in request.headers), request.target]))
    secrets.update((secret, keys.owner_of(secret)) for secret in found)
    found |= {secret for secret in secrets if secret.encode() in data}
    strangers = {secrets[secret] for secret in found} - {record.family}
    if strangers and record.family:
        yield f"request {record.number} to {record.host} carries a key of {', '.join(sorted(strangers))}"


def _decoded(request: Request) -> bytes:
    """The body without its content-encoding, as far as it can be read."""
    try:
        return decompress(request.body, request.header("content-encoding") or "", MAX_BODY_BYTES)
    except (OverflowError, *ERRORS):
        return request.body
