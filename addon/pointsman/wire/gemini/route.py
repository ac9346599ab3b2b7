"""Paths of the Gemini API: the model and what is wanted of it stand there, and the key may.

    /v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse&key=…
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, quote, unquote

ENDPOINTS: Final = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count_tokens",
}
_PATH = re.compile(r"(/(?:v1|v1beta|v1alpha)/models/)([^/?#:]+)((?::|%3[aA])([A-Za-z]+))")


@dataclass(frozen=True, slots=True)
class Route:
    """One path, taken apart. `head`, `name`, `tail` and the query put together are the path."""

    head: str
    name: str  # of the model, as it is written
    tail: str
    method: str
    query: str  # with its question mark; "" if there is none

    @property
    def model(self) -> str:
        """The model's name, percent-decoded."""
        return unquote(self.name)

    @property
    def endpoint(self) -> str:
        return ENDPOINTS[self.method]

    @property
    def streams(self) -> bool:
        return self.method == "streamGenerateContent"

    @property
    def array(self) -> bool:
        """A stream that is one JSON array: what comes unless server-sent events are asked for."""
        return self.streams and "sse" not in self._values("alt", "$alt")

    @property
    def keys(self) -> list[str]:
        """API keys in the query. Secrets."""
        return self._values("key", "$key")

    @property
    def tokens(self) -> list[str]:
        """OAuth tokens in the query. Secrets."""
        return self._values("access_token", "oauth_token", "bearer_token")

    def to(self, model: str) -> str:
        """The path for another model; all else stays as it is written."""
        return f"{self.head}{quote(model, safe='')}{self.tail}{self.query}"

    def _values(self, *names: str) -> list[str]:
        try:
            found = parse_qs(self.query[1:])
        except ValueError:  # more fields than the library reads
            return []
        return [value for name in names for value in found.get(name, ())]


def parse(path: str) -> Route | None:
    """None for every path that is none of this surface's: other methods, tuned models, Vertex."""
    plain, mark, query = path.partition("?")
    found = _PATH.fullmatch(plain)
    if found is None or found[4] not in ENDPOINTS:
        return None
    route = Route(found[1], found[2], found[3], found[4], mark + query)
    return None if "/" in route.model else route
