"""Errors as OpenAI words them."""

from __future__ import annotations

import json
from typing import Any

from provider.refusal import Refusal

TYPES = {
    429: "requests",
    500: "server_error",
    502: "server_error",
    503: "service_unavailable_error",
    504: "server_error",
}
CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}


class Refused(Refusal):
    """A Refusal with the parameter and the code that OpenAI adds to its message."""

    def __init__(
        self, message: str, status: int = 400, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, status)
        self.param = param
        self.code = code


def unknown_parameter(where: str) -> Refused:
    return Refused(f"Unknown parameter: '{where}'.", param=where, code="unknown_parameter")


def unsupported_parameter(where: str, hint: str = "") -> Refused:
    text = f"Unsupported parameter: '{where}' is not supported with this model.{hint}"
    return Refused(text, param=where, code="unsupported_parameter")


def missing(where: str) -> Refused:
    return Refused(
        f"Missing required parameter: '{where}'.", param=where, code="missing_required_parameter"
    )


def wrong_type(where: str, expected: str, value: Any) -> Refused:
    text = f"Invalid type for '{where}': expected {expected}, but got {_kind(value)} instead."
    return Refused(text, param=where, code="invalid_type")


def invalid_value(where: str, value: object, supported: object) -> Refused:
    text = f"Invalid value: '{value}'. Supported values are: {listed(supported)}."
    return Refused(text, param=where, code="invalid_value")


def empty_array(where: str) -> Refused:
    text = f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an empty array"
    return Refused(f"{text} instead.", param=where, code="empty_array")


def out_of_range(where: str, value: float, bound: float, *, kind: str = "integer") -> Refused:
    """`bound` is the one that was broken."""
    side, sign = ("min", ">=") if value < bound else ("max", "<=")
    way = "below" if side == "min" else "above"
    text = f"Invalid '{where}': {kind} {way} {side}imum value. Expected a value {sign} {bound}, but got "
    return Refused(f"{text}{value} instead.", param=where, code=f"{kind}_{way}_{side}_value")


def too_long(where: str, limit: int, value: str) -> Refused:
    text = f"Invalid '{where}': string too long. Expected a string with maximum length {limit}, but got a "
    text += f"string with length {len(value)} instead."
    return Refused(text, param=where, code="string_above_max_length")


def listed(values: Any) -> str:
    """'a', 'b', and 'c'"""
    quoted = [f"'{value}'" for value in values]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def error_value(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """What stands under "error"."""
    kind = code if code == "insufficient_quota" else TYPES.get(status, "invalid_request_error")
    return {"message": message, "type": kind, "param": param, "code": code or CODES.get(status)}


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> bytes:
    return json.dumps({"error": error_value(status, message, param, code)}, indent=2).encode()


def detail_body(message: str) -> bytes:
    """How the Codex backend of ChatGPT refuses."""
    return json.dumps({"detail": message}).encode()
