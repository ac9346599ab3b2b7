"""What of a request has to be equal for an answer to be given again, and which requests are left out.

The rule is the other way round than usual: *everything* of a request counts, byte for byte, but for what is
listed here. So an unknown parameter or header, whatever it does, makes another request. The one thing that is
not compared by its bytes is the newest text of the user (see `wording`), and in requests with tools not even
that is excepted.

The text is cut out of the body where it stands last. If it stands there twice, once as the user's text and
once elsewhere, it may be the other one that is cut out: then the user's own is compared by its bytes, and the
other one is equal to it. So no difference can slip through, whatever is cut out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

from pointsman.values import CredentialKind, Decision, Facts
from pointsman.wording import canonical

FAILED: Final = "it failed"
NO_WORDS: Final = "no words of the user"

# Headers that say nothing about the answer; what they weigh, who carries them, and how often it was tried.
_ASIDE: Final = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "expect", "host", "keep-alive"}
    | {"proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "via"}
    | {"idempotency-key", "traceparent", "tracestate", "x-client-request-id", "x-request-id"}
)
_ASIDE_PREFIXES: Final = ("x-router-", "x-weave-routing-", "x-stainless-")
_SIGNED: Final = (b'ignature"', b'"encrypted_content"', b'"redacted_thinking"')
# An address as a whole value: what is there may be something else the next time.
_ADDRESS: Final = re.compile(rb'"[A-Za-z][A-Za-z0-9+.-]{0,15}:(?:\\?/){2}')


def left_out(facts: Facts, decision: Decision, body: bytes) -> str:
    """Why no answer to this request is kept or given again, whatever its surface; "" if one may be.

    `body` is the client's, decoded.
    """
    if decision.strategy == "passthrough":
        return "it passes through"
    if decision.credential_kind is not CredentialKind.API_KEY:
        return "no API key"
    if facts.endpoint != "generate" or facts.turn.background:
        return "background call"
    if facts.tool_loop:
        return "mid tool loop"
    if facts.forced_tool:
        return "a tool is demanded"
    if facts.tool_types:
        return "tools of the provider"
    if facts.continues or facts.bound:
        return "the provider keeps a part of it"
    if facts.choices > 1:
        return "several answers asked for"
    if not facts.user_texts:
        return NO_WORDS
    if (facts.images or facts.documents or facts.needs) and _ADDRESS.search(body):
        return "something at an address"
    return ""


def caller(account: str, surface: str) -> str:
    """Whose answers they are. `account` tells host and credential."""
    return f"{account} {surface}"


def words(facts: Facts) -> bytes:
    """A digest of the newest text to the letter."""
    return _digest([facts.user_texts[-1].encode("utf-8", "surrogatepass")])


def rest(
    facts: Facts, decision: Decision, headers: Mapping[str, str], target: Iterable[str], body: bytes
) -> bytes:
    """A digest of all that has to be equal, the meaning of the newest text included.

    `headers` has lower-case names; `target` says where the request goes (scheme, hosts, port, path);
    `body` is the client's, decoded and without markers, but before it was rewritten.
    """
    text = facts.user_texts[-1]
    before, after, said = body, b"", ""
    form = canonical(text)
    if not facts.tools and form.startswith("~") and (span := _find(body, text)):
        before, after, said = body[: span[0]], body[span[1] :], form
    kept = sorted(item for item in headers.items() if not _is_aside(item[0]))
    asked = [(one.name, one.model, one.parameters, one.extra) for one in decision.bindings]
    sent = (decision.requested_model, decision.served_model, repr(decision.adaptations), repr(asked))
    parts = [*target, *(part for item in kept for part in item), str(len(kept)), *sent, said]
    return _digest([*(part.encode("utf-8", "surrogatepass") for part in parts), before, after])


def is_signed(data: bytes) -> bool:
    """Does an answer hold what the provider has signed or encrypted, for the words that it answers?"""
    return any(name in data for name in _SIGNED)


def _is_aside(name: str) -> bool:
    return name in _ASIDE or name.startswith(_ASIDE_PREFIXES)


def _find(body: bytes, text: str) -> tuple[int, int] | None:
    """Where the text stands last, as a whole string in one of the two usual spellings."""
    for plain in (False, True):
        spelled = json.dumps(text, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        if (start := body.rfind(spelled)) >= 0:
            return start, start + len(spelled)
    return None


def _digest(parts: Iterable[bytes]) -> bytes:
    """16 bytes over the parts, each with its length, so that no two lists of parts look alike."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
