"""Values that many tests begin from; `dataclasses.replace` makes the rest."""

from __future__ import annotations

from pointsman.values import CredentialKind, Decision, TurnKind

DECISION = Decision(
    id="d1",
    at=1_700_000_000.5,
    surface="anthropic",
    endpoint="generate",
    client="claude-code",
    turn=TurnKind.MAIN,
    session="s1",
    credential_kind=CredentialKind.API_KEY,
    credential_fingerprint="f1",
    requested_model="claude-opus-4-8",
    served_model="claude-sonnet-5",
    previous_model=None,
    provider="anthropic",
    host="api.anthropic.com",
    stream=True,
    strategy="cluster",
    reason="best for this kind of prompt",
)
