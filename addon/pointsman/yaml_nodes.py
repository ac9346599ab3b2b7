"""YAML with places: every value knows its line, so that a mistake can be shown where it stands.

`yaml.compose` gives nodes with marks and builds no objects. Scalars are taken by their text and judged by a
rule of checks.py, so `marker: off` is the word off and not False, and `1:30` no sexagesimal number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pointsman.checks import Rule
from pointsman.errors import ConfigError

_NULL = "tag:yaml.org,2002:null"
NOTHING = ScalarNode(_NULL, "")  # stands for a document that has no nodes
_ENDLESS = (float("inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Value:
    """One value in the file: its node, the dotted key that leads to it, and the file's name."""

    node: Node
    key: str
    file: str
    line: int

    def fail(self, message: str) -> NoReturn:
        raise ConfigError(message, file=self.file, line=self.line, key=self.key)

    @property
    def is_null(self) -> bool:
        return isinstance(self.node, ScalarNode) and self.node.tag == _NULL

    def read(self, rule: Rule) -> Any:
        """The scalar as the rule understands it. Raises ConfigError."""
        if not isinstance(self.node, ScalarNode):
            self.fail(f"must be a single value, not {_kind(self.node)}")
        if self.is_null:
            self.fail("has no value")
        try:
            return rule.read(self.node.value)
        except ValueError as error:
            self.fail(str(error))

    @property
    def is_scalar(self) -> bool:
        return isinstance(self.node, ScalarNode)

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, MappingNode)

    @property
    def text(self) -> str:
        """A scalar as it is written; "" for anything else."""
        return self.node.value if isinstance(self.node, ScalarNode) else ""

    def secretly(self, rule: Rule, problem: str) -> Any:
        """`read` for what may be a secret by mistake: the error says `problem`, never what stands there."""
        try:
            return self.read(rule)
        except ConfigError:
            pass
        self.fail(problem)

    def plain(self) -> Any:
        """The value as JSON can hold it. Raises ConfigError for what it cannot: dates, NaN, loops."""
        try:
            return self._plain()
        except RecursionError:
            self.fail("contains itself, or is nested too deeply")

    def _plain(self) -> Any:
        if isinstance(self.node, MappingNode):
            return {name: member._plain() for name, member in self.members().items()}
        if isinstance(self.node, SequenceNode):
            return [item._plain() for item in self.items()]
        try:
            value = SafeConstructor().construct_document(self.node)
        except (yaml.YAMLError, ValueError) as error:
            self.fail(f"cannot be read: {' '.join(str(error).split())[:80]}")
        if not isinstance(value, str | int | float | None) or value != value or value in _ENDLESS:
            self.fail(f"cannot be sent as JSON: {self.text[:60]!r}")
        return value

    def items(self) -> list[Value]:
        """The elements of a list; a single value counts as a list of one."""
        if isinstance(self.node, ScalarNode) and not self.is_null:
            return [self]
        if not isinstance(self.node, SequenceNode):
            self.fail(f"must be a list, not {_kind(self.node)}")
        return [self._part(node, f"{self.key}[{number}]") for number, node in enumerate(self.node.value, 1)]

    def members(self) -> dict[str, Value]:
        """Keys and values of a mapping, as written. Raises ConfigError for a key that comes twice."""
        if not isinstance(self.node, MappingNode):
            self.fail(f"must be a mapping of keys to values, not {_kind(self.node)}")
        members: dict[str, Value] = {}
        for key_node, node in self.node.value:
            name = key_node.value if isinstance(key_node, ScalarNode) else None
            inside = f"{self.key}.{name}" if self.key else str(name)
            part = Value(node, inside, self.file, key_node.start_mark.line + 1)
            if not isinstance(name, str):
                Value(node, self.key, self.file, part.line).fail("has a key that is not a plain word")
            if name in members:
                part.fail(f"is given twice; it stands in line {members[name].line} already")
            members[name] = part
        return members

    def fields(self, known: Mapping[str, Any] | tuple[str, ...]) -> dict[str, Value]:
        """`members`, of which every key must be known."""
        members = self.members()
        for name, value in members.items():
            if name not in known:
                value.fail(f"is not a known key here{suggestion(name, known)}")
        return members

    def _part(self, node: Node, key: str) -> Value:
        return Value(node, key, self.file, node.start_mark.line + 1)


def suggestion(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """`; did you mean alpha?`, or what there is to choose from."""
    close = get_close_matches(word.lower(), list(known), 1, 0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known are {', '.join(known)}" if len(known) <= 32 else ""


def load(path: Path) -> Value | None:
    """The document in a file; None if it is empty. Raises ConfigError."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", file=str(path), line=line) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, path) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"is not YAML: {' '.join(str(error).split())}", file=str(path)) from error
    document = Value(node, "", str(path), node.start_mark.line + 1) if node else None
    return None if document is None or document.is_null else document


def _syntax(error: yaml.MarkedYAMLError, path: Path) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(filter(None, (error.context, error.problem))) or "cannot be parsed"
    if "'\\t'" in problem:
        problem = "a tab cannot indent YAML; use spaces"
    return ConfigError(f"is not YAML: {problem}", file=str(path), line=mark.line + 1 if mark else None)


def _kind(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return "nothing" if node.tag == _NULL else f"{node.value[:60]!r}"
