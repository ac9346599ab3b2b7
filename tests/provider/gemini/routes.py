"""Where a request is addressed to, and whose credential it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from provider.gemini.errors import Refusal, bad_key, bad_request, bad_token, no_key
from provider.server import Request

VERSIONS = ("v1", "v1beta")
METHODS = ("generateContent", "streamGenerateContent", "countTokens")
PARAMETERS = frozenset(
    {"alt", "key", "access_token", "prettyPrint", "fields", "quotaUser", "pageSize", "pageToken"}
)
_PATH = re.compile(
    r"/(?P<version>[a-z0-9]+)/(?P<kind>models|cachedContents)(?:/(?P<name>[^/:]+))?(?::(?P<verb>\w+))?"
)
_KEY = re.compile(r"(?:AIzaSy-?|AIza-|AQ\.|fake-)([a-z0-9]+)")
_TOKEN = re.compile(r"ya29\.([a-z0-9]+)")
NOT_FOUND = (
    b"<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n  <title>Error 404 (Not Found)!!1</title>\n"
    b"  <p><b>404.</b> <ins>That\xe2\x80\x99s an error.</ins>\n"
    b"  <p>The requested URL was not found on this server.  <ins>That\xe2\x80\x99s all we know.</ins>\n"
)


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the service. `verb` is what follows the colon; `name` is decoded, without "models/"."""

    version: str
    kind: str
    name: str
    verb: str
    query: Mapping[str, str]

    @property
    def generates(self) -> bool:
        return self.verb in ("generateContent", "streamGenerateContent")

    @property
    def streams(self) -> bool:
        return self.verb == "streamGenerateContent"

    @property
    def sse(self) -> bool:
        return self.streams and self.query.get("alt") == "sse"


def find_route(request: Request) -> Route | None:
    """None where Google's front end would show its page for unknown addresses."""
    path, _, query = request.target.partition("?")
    match = _PATH.fullmatch(unquote(path))
    if match is None or match["version"] not in VERSIONS:
        return None
    route = Route(
        match["version"],
        match["kind"],
        match["name"] or "",
        match["verb"] or "",
        dict(parse_qsl(query, keep_blank_values=True)),
    )
    if request.method == "GET":
        known = not route.verb and (route.kind == "models" or bool(route.name))
    elif route.kind == "models":
        known = bool(route.name) and route.verb in METHODS
    else:
        known = not route.name and not route.verb
    return route if known and request.method in ("GET", "POST") else None


def check_query(route: Route) -> None:
    unknown = [name for name in route.query if name.lstrip("$") not in PARAMETERS]
    if unknown:
        raise bad_request(
            [
                (
                    "",
                    f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                    f"Field '{name}' could not be found in request message.",
                )
                for name in unknown
            ]
        )
    if route.query.get("alt", "json") not in ("json", "sse"):
        raise Refusal(f"Invalid value for parameter alt: {route.query['alt']}")


def authenticate(request: Request, route: Route) -> tuple[str, bool]:
    """The account a credential belongs to, and whether it is a login instead of an API key."""
    key = request.header("x-goog-api-key") or route.query.get("key")
    if key:
        match = _KEY.fullmatch(key)
        if match is None:
            raise bad_key()
        return match[1], False
    bearer = request.header("authorization")
    token = (bearer or "").removeprefix("Bearer ") or route.query.get("access_token", "")
    if not token:
        raise no_key()
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise bad_token()
    return match[1], True
