"""Encrypted content: sealed for one account, opened and checked when it comes back.

The real one is a Fernet token, which begins with gAAAAA; this one is made to look alike. Which
model wrote it does not matter, as long as the account is the same.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from provider.openai.errors import Refused

KEY = b"the stand-in's sealing key"
LOOK = "gAAAAABp"


def seal(text: str, account: str) -> str:
    claim = json.dumps([account, hashlib.sha256(text.encode()).hexdigest()]).encode()
    return LOOK + base64.urlsafe_b64encode(hmac.digest(KEY, claim, "sha256") + claim).decode()


def check(sealed: object, account: str, item_id: str) -> None:
    """Raise what the service raises for content that is not ours, or another account's."""
    owner = _owner(sealed)
    if owner == account:
        return
    which = f" for item {item_id}" if item_id else f" {_short(str(sealed))}"
    reason = "Encrypted content could not be decrypted or parsed."
    if owner is not None:
        reason = "Encrypted content organization_id did not match the target organization."
    raise Refused(
        f"The encrypted content{which} could not be verified. Reason: {reason}",
        code="invalid_encrypted_content",
    )


def _owner(sealed: object) -> str | None:
    if not isinstance(sealed, str) or not sealed.startswith(LOOK):
        return None
    try:
        data = base64.urlsafe_b64decode(sealed[len(LOOK) :].encode())
        digest, claim = data[:32], data[32:]
        owner: str = json.loads(claim)[0]
    except ValueError:
        return None
    return owner if hmac.compare_digest(digest, hmac.digest(KEY, claim, "sha256")) else None


def _short(sealed: str) -> str:
    return f"{sealed[:4]}...{sealed[-4:]}"
