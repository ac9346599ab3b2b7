"""All checks of one request, in the order of the real service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provider.encodings import ERRORS, decompress
from provider.gemini import rules, schema
from provider.gemini.capabilities import Takes
from provider.gemini.errors import Refusal, bad_request
from provider.gemini.signatures import check_signatures
from provider.gemini.structure import check_parts, check_structure
from provider.server import Request

MAX_BODY_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that the model takes; `body` in JSON spelling, `foreign` signatures of older turns."""

    body: dict[str, Any]
    model: Takes
    foreign: int = 0


def parse(request: Request) -> Any:
    """The JSON of a request's body; an empty body is an empty message."""
    try:
        data = decompress(request.body, request.header("content-encoding") or "", MAX_BODY_BYTES)
    except OverflowError:
        raise Refusal(f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes.") from None
    except ERRORS:
        raise Refusal("Request body could not be decompressed.") from None
    try:
        return json.loads(data.decode()) if data.strip() else {}
    except (ValueError, RecursionError):
        raise bad_request([("", "Invalid JSON payload received. Expected a value.")]) from None


def check(
    body: Any,
    name: str,
    account: str,
    *,
    version: str = "v1beta",
    verb: str = "generateContent",
    strict_history: bool = False,
    repeated_results: bool = False,
) -> Accepted:
    """Refuse the request, or say what it asks of which model. `body`: parsed JSON as the client sent it."""
    model = rules.find_model(name, version, verb)
    kind = "CountTokensRequest" if verb == "countTokens" else "GenerateContentRequest"
    read = schema.read(body, kind, version)
    asked = _asked(read) if verb == "countTokens" else read
    if asked.get("model", f"models/{name}").removeprefix("models/") != name:
        raise Refusal("The model of the request body is not the one of the URL.")
    if verb == "countTokens":
        check_parts(asked)
        return Accepted(asked, model)
    check_structure(asked, model, repeated_results=repeated_results)
    rules.check_parameters(asked, model)
    foreign = check_signatures(asked, model, account, strict_history=strict_history)
    return Accepted(asked, model, foreign)


def _asked(read: Mapping[str, Any]) -> dict[str, Any]:
    """What countTokens is to count: contents alone, or a whole request."""
    whole = read.get("generateContentRequest")
    if whole is not None and "contents" in read:
        raise Refusal("* CountTokensRequest: only one of contents and generate_content_request can be set.\n")
    return dict(read if whole is None else whole)
