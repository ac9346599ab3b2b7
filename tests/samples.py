"""Values that many tests begin from; `dataclasses.replace` makes the rest."""

from __future__ import annotations

from pointsman.values import CredentialKind, Decision, Facts, TurnKind

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

FACTS = Facts(
    surface="anthropic",
    endpoint="generate",
    requested_model="claude-opus-4-8",
    stream=True,
    turn=TurnKind.MAIN,
    user_texts=("mend the points",),
    tool_loop=False,
    session_hint=None,
    first_user_text="mend the points",
    client="claude-code",
    message_count=1,
    input_tokens_estimate=10_000,
    max_tokens=4_000,
)
