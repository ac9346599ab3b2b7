"""Pointsman's own calls to providers: one request, one whole answer.

Neither the environment's proxy nor its netrc is looked at: the proxy there is most likely this one, and the
call would come back. Certificates are verified, always. Redirects are not followed, since the key would go
along. Nothing here is logged, and no error has a header in it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2

from pointsman.errors import UpstreamError

ANSWER_LIMIT: Final = 8 << 20  # bytes, decoded
CONNECT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, decoded. `ms` is from before the connection to the last byte."""

    status: int
    content_type: str
    data: bytes
    ms: float


def tls_context(roots: str) -> ssl.SSLContext:
    """For clients that trust these root certificates, in PEM; reading them takes 0.1 s."""
    return ssl.create_default_context(cadata=roots)


async def post(
    url: str, headers: Mapping[str, str], content: bytes, *, tls: ssl.SSLContext, timeout_s: float
) -> Reply:
    """Send a request and wait for the whole answer, whatever its status.

    Raises UpstreamError: no connection, no answer within `timeout_s`, one cut short, or too long a one.
    """
    started = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s):
            status, content_type, data = await _exchange(url, headers, content, tls)
    except TimeoutError as error:
        raise UpstreamError(f"no answer within {timeout_s:g} s", kind="timeout") from error
    except httpx2.TimeoutException as error:
        raise UpstreamError(f"no connection within {CONNECT_S:g} s", kind="timeout") from error
    except (httpx2.LocalProtocolError, UnicodeError, ValueError) as error:  # its text has the header in it
        raise UpstreamError("the request cannot be sent: a header of it is broken", kind="key") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise UpstreamError(f"no answer: {_why(error)}"[:300], kind="network") from error
    return Reply(status, content_type, data, (time.perf_counter() - started) * 1000)


def _why(error: BaseException) -> str:
    """What the system says of a connection where there is none, else what the error says itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(error).split()) or type(error).__name__


async def _exchange(
    url: str, headers: Mapping[str, str], content: bytes, tls: ssl.SSLContext
) -> tuple[int, str, bytes]:
    """One connection for one call: calls are rare, and nothing is left open between them."""
    data = bytearray()
    limits = httpx2.Timeout(None, connect=CONNECT_S)
    async with (
        httpx2.AsyncClient(verify=tls, trust_env=False, timeout=limits, follow_redirects=False) as client,
        client.stream("POST", url, headers=dict(headers), content=content) as response,
    ):
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > ANSWER_LIMIT:
                raise UpstreamError(f"an answer of more than {ANSWER_LIMIT >> 20} MiB", kind="answer")
        return response.status_code, response.headers.get("content-type", ""), bytes(data)
