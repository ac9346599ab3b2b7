"""The files that training reads: prompts as JSON lines, everything else as CSV, gzipped or not.

Each reader yields checked rows. What is wrong raises DataError with the file, the line and the
column; members and columns that nothing here knows are ignored.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.errors import DataError


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a CSV file, and where it stands."""

    path: Path
    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        value = self.cells.get(column, "").strip()
        if not value:
            raise self.wrong(column, "is empty")
        return value

    def number_or_none(self, column: str, low: float = 0.0, high: float = math.inf) -> float | None:
        return self.figure(column, low, high) if self.cells.get(column, "").strip() else None

    def figure(self, column: str, low: float = 0.0, high: float = math.inf) -> float:
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
            raise self.wrong(column, f"must be a number {bounds}, not {ascii(text)[:40]}")
        return value

    def wrong(self, column: str, problem: str) -> DataError:
        return DataError(f"{self.path}: line {self.number}: column {column}: {problem}")


def rows(path: Path, *needed: str | Sequence[str]) -> Iterator[Line]:
    """The rows of a CSV file that has the columns `needed`; of a sequence of names one suffices."""
    reader = csv.reader(io.StringIO(_read(path), newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        for names in needed:
            choices = (names,) if isinstance(names, str) else names
            if not set(choices) & set(header):
                raise DataError(f"{path}: line 1: there must be a column {' or '.join(choices)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path}: line {reader.line_num}: has {len(cells)} columns, the first line {len(header)}"
                )
            yield Line(path, reader.line_num, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: not readable as CSV: {error}") from error


def objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a file of JSON lines."""
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number}: not readable as JSON: {error}") from error
        if not isinstance(value, dict):
            raise DataError(f'{path}: line {number}: must be an object, as in {{"id": …, "text": …}}')
        yield number, value


def member(path: Path, number: int, value: Mapping[str, Any], key: str, otherwise: str | None = None) -> str:
    """A text in an object of `objects`; `otherwise` is for one that is missing or null."""
    found = value.get(key)
    if found is None and otherwise is not None:
        return otherwise
    if isinstance(found, int) and not isinstance(found, bool) and key == "id":
        return str(found)
    if not isinstance(found, str) or not found.strip():
        raise DataError(f"{path}: line {number}: member {key}: must be a text that is not empty")
    return found


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: is not UTF-8") from error
