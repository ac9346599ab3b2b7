"""What Pointsman itself asks of models: the classifier's question, and preflight's.

A call goes to a provider with a key of its own, never with a client's. It is made by the same readers and
writers as a client's translated request, so that what works here works there.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from pointsman import paths, roots
from pointsman.errors import ConfigError, UpstreamError
from pointsman.surface import surfaces, translates
from pointsman.upstream import bindings, client
from pointsman.values import Binding, Model, Usage
from pointsman.wire import neutral
from pointsman.wire.asked import asked_for
from pointsman.wire.credentials import without_secrets
from pointsman.wire.translate_request import translated

SAID_LIMIT: Final = 300  # characters of a provider's message


@dataclass(frozen=True, slots=True)
class Said:
    """A whole answer. `ms` is how long it took."""

    text: str
    thinking: str
    usage: Usage
    ms: float


async def ask(
    binding: Binding,
    request: neutral.Request,
    model: Model | None = None,
    *,
    timeout_s: float,
    trusted: str = "",
    environ: Mapping[str, str] | None = None,
) -> Said:
    """Ask a provider once. `trusted` is a file with further root certificates.

    Raises UpstreamError: what happened, without the key. A binding without a provider cannot be asked.
    """
    provider = binding.provider
    if provider is None:
        raise UpstreamError("only a client's own credential reaches it", kind="key")
    try:
        secret = bindings.secret(provider, environ)
    except ConfigError as error:
        raise UpstreamError(str(error), kind="key") from error
    surface = surfaces()[provider.surface]
    if not provider.base_url or not translates(surface):
        raise UpstreamError("has no base_url" if translates(surface) else "cannot be asked", kind="key")
    request = replace(asked_for(request, binding.parameters), model=binding.model)
    fitted = model if model is not None and model.provider == surface.PROVIDER else None
    made = translated(request, surface, bindings.target(binding, model), fitted)
    headers = {**provider.headers, **surface.authorize(secret), "content-type": "application/json"}
    environment = tuple(map(os.environ.get, roots.VARIABLES))
    tls = await asyncio.to_thread(_tls, trusted, environment)  # the first time it takes 0.1 s and more
    reply = await client.post(
        bindings.url(provider, made.path),
        headers | {"accept-encoding": "identity"},
        made.body,
        tls=tls,
        timeout_s=timeout_s,
    )
    if reply.status != 200:
        said = _clean(surface.error_message(reply.data), secret)
        raise UpstreamError(f"{reply.status} {said}".strip(), kind="status", status=reply.status)
    return _read(surface.read_answer(reply.data), reply.ms, secret)


def _read(events: list[neutral.Event], ms: float, secret: str) -> Said:
    text, thinking, usage, ended = "", "", Usage(), False
    for event in events:
        match event:
            case neutral.Text():
                text += event.text
            case neutral.Thinking():
                thinking += event.text
            case neutral.Counts():
                usage = Usage(event.input, event.output, event.cache_read, event.cache_write)
            case neutral.Failed():
                said = f"{event.status} {_clean(event.message, secret)}"
                raise UpstreamError(said.strip(), kind="status", status=event.status)
            case neutral.End():
                ended = True
    if not ended:
        raise UpstreamError("the answer is not understood", kind="answer", status=200)
    return Said(text, thinking, usage, ms)


def _clean(message: str, secret: str) -> str:
    """A provider's message on one line; some repeat the key in it."""
    line = " ".join(message.split())
    if secret:
        line = line.replace(secret, "[secret]")
    return without_secrets(line)[:SAID_LIMIT]


@lru_cache(maxsize=4)
def _tls(trusted: str, environment: tuple[str | None, ...]) -> ssl.SSLContext:
    """`environment` are the values of the variables that name root certificates, so that a change is seen."""
    return client.tls_context(_roots(trusted))


def _roots(trusted: str) -> str:
    """The roots that a person's other programs trust here, but for Pointsman's own CA, in PEM."""
    own = (paths.certs_dir(), paths.mitmproxy_confdir())
    further = Path(trusted).read_bytes() if trusted else b""
    return roots.combined(further, own).decode("ascii", "ignore")
