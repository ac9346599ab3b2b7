"""What would be decided for a request, said instead of done.

One mechanism for the header `x-router-dry-run`, for `POST /v1/route`, and for `pointsman explain --file`: the
same Action decides as for a request that is sent, and is then forgotten. Nothing goes upstream, nothing is
stored, and no conversation hears of it; what is remembered of one counts, as for a request that is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec
from mitmproxy import http

from pointsman.action import Action, Embed
from pointsman.catalogue import Catalogue
from pointsman.errors import BodyError, ClientError, PointsmanError, TooLargeError
from pointsman.plain import plain
from pointsman.surface import Surface, surfaces
from pointsman.values import Decision
from pointsman.wire.json_spans import Body, encode
from pointsman.wire.loose import as_text

log = logging.getLogger("pointsman")

HEADER = "x-router-dry-run"
NOTHING = f"{HEADER}: nothing is decided for this method and path, it would pass as it is"
_MODEL = "{model}"
_OF_A_CONNECTION = (
    "host", "connection", "content-encoding", "content-length", "expect", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip


def wanted(headers: Mapping[str, str]) -> bool:
    """Does a request ask for a dry run? Raises ClientError for anything but true and false."""
    value = headers.get(HEADER)
    if value is not None and value.strip() not in ("true", "false"):
        shown = ascii(value[:40])
        raise ClientError(f"{HEADER} must be exactly true or false, not {shown}", source=HEADER)
    return value is not None and value.strip() == "true"


# --- the answer ---------------------------------------------------------------------------


async def answer(action: Action, embed: Embed) -> http.Response:
    """The decision on this action as JSON, or why there is none in the surface's own shape. Never raises."""
    try:
        decision = await action.decide(embed)
    except Exception as error:
        status, message = fault(error)
        log.log(logging.INFO if status < 500 else logging.WARNING, "dry run refused: %s", message)
        return refusal(status, message, action.surface)
    log.info("dry run: %s → %s · %s", decision.requested_model, decision.served_model, decision.reason)
    return as_json(200, as_object(decision))


def as_object(decision: Decision) -> dict[str, object]:
    """As `explain --json` has it, without an outcome, and without what is only for the database."""
    bindings = [{"provider": binding.name, "model": binding.model} for binding in decision.bindings]
    fields = plain(replace(decision, bindings=()))
    return {"decision": fields | {"prompt": None, "embedding": None, "bindings": bindings}}


def fault(error: Exception) -> tuple[int, str]:
    """Status and message. What would have let a real request pass unrouted is an error here."""
    if isinstance(error, ClientError):
        return error.status, str(error)
    if isinstance(error, BodyError):
        why = "The body cannot be read, and a request with it would pass unrouted"
        return 413 if isinstance(error, TooLargeError) else 400, f"{why}: {error}"
    said = str(error) if isinstance(error, PointsmanError) else f"{type(error).__name__}: {error}"
    return 503, f"routing failed: {said}"[:300]


def refusal(status: int, message: str, surface: Surface | None = None) -> http.Response:
    """An error in the surface's shape, or in one that says no more than the message where none is known."""
    body = surface.error_body(status, message) if surface else encode({"error": {"message": message}})
    return http.Response.make(status, body, {"content-type": "application/json"})


def as_json(status: int, value: object) -> http.Response:
    body = msgspec.json.format(encode(value), indent=2) + b"\n"
    return http.Response.make(status, body, {"content-type": "application/json"})


# --- a request made of a body alone -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asking:
    """What was said beside a body, and how messages name where to say it."""

    surface: str = ""
    model: str = ""
    surface_option: str = "?surface="
    model_option: str = "?model="


def named_surface(asking: Asking) -> Surface | None:
    """The surface that was named; None where it has to be told from the body. Raises ClientError."""
    if not asking.surface:
        return None
    if found := surfaces().get(asking.surface.strip().lower()):
        return found
    known = ", ".join(surfaces())
    raise ClientError(f"{asking.surface_option}{asking.surface[:40]!a} is not one of {known}")


def surface_of(body: Body, asking: Asking, models: Catalogue) -> Surface:
    """The surface that was named, else by the body's outline: what only one API has, then whose model it is.

    Raises ClientError that says what would settle it, and BodyError.
    """
    if named := named_surface(asking):
        return named
    outlines = {surface: surface.outline(body) for surface in surfaces().values()}
    found = {surface: signs for surface, signs in outlines.items() if signs is not None}
    if not found:
        known = ", ".join(surfaces())
        raise ClientError(
            f"the body looks like a request of none of {known}; say of which with {asking.surface_option}NAME"
        )
    likely = [surface for surface, signs in found.items() if signs] or _by_model(body, found, models)
    if len(likely) != 1:
        raise ClientError(_open_question(found, asking))
    return likely[0]


def _by_model(body: Body, found: Iterable[Surface], models: Catalogue) -> list[Surface]:
    """A gateway's name (`anthropic/claude-…`) says nothing about the API that it is used with."""
    name = as_text(body.get("model")) or ""
    model = None if "/" in name else models.resolve(name)
    return [surface for surface in found if model and model.provider == surface.PROVIDER]


def request_of(surface: Surface, body: Body, headers: http.Headers, asking: Asking) -> http.Request:
    """The request that would carry `body` to the provider itself, under the client's own headers.

    Raises ClientError where the model is missing, and BodyError.
    """
    model = asking.model.strip()
    if _MODEL in surface.PATH:
        model = (model or as_text(body.get("model")) or "").removeprefix("models/")
        if not model:
            raise ClientError(
                f"a {surface.SURFACE} body does not say for which model it is: add {asking.model_option}NAME"
            )
    path = surface.set_model(body, surface.PATH, model) if model else surface.PATH
    request = http.Request.make("POST", f"https://{surface.HOSTS[0]}{path}", body.render())
    for name, value in headers.items(multi=True):
        if name.lower() not in _OF_A_CONNECTION:
            request.headers.add(name, value)
    return request


def _open_question(found: Mapping[Surface, tuple[str, ...]], asking: Asking) -> str:
    names = " or ".join(surface.SURFACE for surface in found)
    signs = ", and ".join(f"{', '.join(had)} of {surface.SURFACE}" for surface, had in found.items() if had)
    why = f"it has {signs}" if signs else "it has nothing that only one of them has"
    settles = " or ".join(f"{asking.surface_option}{surface.SURFACE}" for surface in found)
    return f"the body may be meant for {names}: {why}; say which with {settles}"
