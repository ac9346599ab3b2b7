"""Names of tools and ids of calls as a target takes them, and the way back.

A name goes out as the client has it wherever the target's API takes it. A namespace (Codex has its tools in
such) is put before the name with two underscores; OpenAI's own default one, `functions`, is left away. What
is too long, has other characters or is taken already ends in a hash of what it stands for. So the same tool
has the same name in every turn, and no two have the same.

The answer's side takes the table of `tool_names`: the name that the target uses → the client's own `Tool`,
whose `name`, `namespace` and `custom` are what the client must see.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pointsman.wire.neutral import CallPart, Request, Tool
from pointsman.wire.translation.free_text import MEMBER

CUSTOM_INPUT: Final = MEMBER
"""The one argument of the function that stands for a custom tool: its free text."""

_DEFAULT_NAMESPACE: Final = "functions"
_HASH: Final = 8  # hex digits
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")
_FIT: Final = re.compile(r"[A-Za-z0-9_-]+")

type _Key = tuple[str, str]  # namespace, name


@dataclass(frozen=True, slots=True)
class NameRule:
    """What an API wants of the names of tools. `letter_first`: no digit and no hyphen in front."""

    length: int = 64
    letter_first: bool = False

    def takes(self, name: str) -> bool:
        starts = not self.letter_first or name[:1].isalpha() or name[:1] == "_"
        return 0 < len(name) <= self.length and starts and _FIT.fullmatch(name) is not None

    def fitted(self, name: str, what: str) -> str:
        """`name` as far as it fits, and a hash of `what` it stands for."""
        plain = _UNFIT.sub("_", name)
        if self.letter_first and not (plain[:1].isalpha() or plain[:1] == "_"):
            plain = f"_{plain}"
        return f"{plain[: self.length - _HASH - 1]}_{_digest(what)}"


@dataclass(slots=True)
class Names:
    """The names of one request's tools at one target. `back` is the way to the client's own."""

    rule: NameRule
    _there: dict[_Key, str] = field(default_factory=dict)
    back: dict[str, Tool] = field(default_factory=dict)

    def of(self, namespace: str, name: str) -> str:
        """What the target calls it. A tool that is not offered (any more) may still stand in the history."""
        found = self._there.get((namespace, name))
        if found is None and (bare := self._bare(namespace, name)):
            return bare
        return found or self.add(Tool(name, namespace=namespace))

    def add(self, tool: Tool) -> str:
        key = (tool.namespace, tool.name)
        if key in self._there:
            return self._there[key]
        wanted = tool.name
        if tool.namespace and tool.namespace != _DEFAULT_NAMESPACE:
            joint = "" if tool.namespace.endswith("__") else "__"
            wanted = f"{tool.namespace}{joint}{tool.name}"
        if not self.rule.takes(wanted) or wanted in self.back:
            wanted = self.rule.fitted(wanted, repr(key))
        self._there[key] = wanted
        self.back[wanted] = tool
        return wanted

    def _bare(self, namespace: str, name: str) -> str:
        """Codex leaves the default namespace away in calls."""
        return "" if namespace else self._there.get((_DEFAULT_NAMESPACE, name), "")


def names_for(request: Request, rule: NameRule) -> Names:
    """All names, those of the offered tools first."""
    names = Names(rule)
    for tool in request.tools:
        names.add(tool)
    for part in _calls(request):
        names.of(part.namespace, part.name)
    return names


def tool_names(request: Request, rule: NameRule) -> Mapping[str, Tool]:
    """What the target calls the client's tools → the client's tools."""
    return MappingProxyType(names_for(request, rule).back)


def _calls(request: Request) -> Iterator[CallPart]:
    for message in request.messages:
        yield from (part for part in message.parts if isinstance(part, CallPart))


# --- ids of calls -------------------------------------------------------------------------


def fitting_id(call_id: str, limit: int) -> str:
    """The id itself where it has at most `limit` characters: letters, digits, hyphens and underscores."""
    if len(call_id) <= limit and _FIT.fullmatch(call_id):
        return call_id
    plain = _UNFIT.sub("_", call_id)[: limit - 2 * _HASH - 1]
    return f"{plain}_{_digest(call_id, 2 * _HASH)}"


def _digest(text: str, digits: int = _HASH) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=digits // 2).hexdigest()
