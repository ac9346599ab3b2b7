"""Who asks, and the response headers that tell them what they may ask next."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import Any

from provider.family import Headers
from provider.openai.errors import Refused
from provider.record import Record
from provider.server import Request

API, CHATGPT = "api.openai.com", "chatgpt.com"
KEYS = "https://platform.openai.com/account/api-keys"
CLAIM = "https://api.openai.com/auth"
NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
    f"auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from {KEYS}."
)
_KEY = re.compile(r"sk-[A-Za-z0-9_-]+")


def is_chatgpt(request: Request) -> bool:
    return request.host.partition(":")[0] == CHATGPT


def authenticate(request: Request) -> tuple[str, bool]:
    """The account a credential belongs to, and whether it is a subscription's (a JWT of a ChatGPT login)."""
    secret = (request.header("authorization") or "").removeprefix("Bearer ")
    claims = _claims(secret)
    if is_chatgpt(request):
        claimed = (claims or {}).get(CLAIM, {}).get("chatgpt_account_id")
        account = request.header("chatgpt-account-id") or claimed
        if claims is None or not account:
            raise Refused("Unauthorized", 401)
        return str(account), True
    if not secret:
        raise Refused(NO_KEY, 401)
    if claims is not None:
        text = "You have insufficient permissions for this operation. Missing scopes: api.responses.write."
        raise Refused(text, 401, code="missing_scope")
    if _KEY.fullmatch(secret) is None:
        shown = f"{secret[:3]}***{secret[-4:]}"
        raise Refused(f"Incorrect API key provided: {shown}. You can find your API key at {KEYS}.", 401)
    return re.split("[-_]", secret)[-1], False


def make_login(account: str) -> str:
    """A token such as a ChatGPT login gives; nothing in it is signed."""
    claims = {CLAIM: {"chatgpt_account_id": account, "chatgpt_plan_type": "plus"}, "exp": 4_000_000_000}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    return ".".join([*(_encode(json.dumps(part).encode()) for part in parts), _encode(b"no signature")])


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claims(secret: str) -> dict[str, Any] | None:
    parts = secret.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def head(record: Record, content_type: str | None) -> Headers:
    """What comes with every answer."""
    made = [("date", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"))]
    made += [("content-type", content_type)] if content_type else []
    made += [("x-request-id", record.request_id), ("openai-version", "2020-10-01")]
    made += [("openai-processing-ms", str(100 + record.number)), ("server", "cloudflare")]
    made += [("cf-ray", f"{record.number:016x}-FRA"), ("x-content-type-options", "nosniff")]
    if record.subscription:
        return made + _limits_of_plan(record)
    made += [("openai-organization", f"org-{record.account}"), ("openai-project", f"proj_{record.account}")]
    for what, limit, reset in (("requests", 10_000, "6ms"), ("tokens", 30_000_000, "0s")):
        made += [(f"x-ratelimit-limit-{what}", str(limit))]
        made += [(f"x-ratelimit-remaining-{what}", str(limit - record.number))]
        made += [(f"x-ratelimit-reset-{what}", reset)]
    return made


def answer_head(record: Record, model: str, content_type: str | None) -> Headers:
    """With an answer of a model: which one, and for Codex what it sends back within the turn."""
    made = [*head(record, content_type), ("openai-model", model)]
    if record.path.endswith("/responses"):
        made.append(("x-codex-turn-state", f"turn-{record.account}-{record.number}"))
        made.append(("x-reasoning-included", "true"))
    return made


def _limits_of_plan(record: Record) -> Headers:
    return [
        ("x-codex-plan-type", "plus"),
        ("x-codex-primary-used-percent", str(record.number)),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "1795305600"),
        ("x-codex-secondary-used-percent", "1"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-secondary-reset-at", "1795824000"),
        ("x-codex-credits-has-credits", "False"),
        ("x-models-etag", 'W/"standin"'),
    ]
