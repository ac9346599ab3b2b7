"""The tables of docs/translation.md, made of the tables in the code; run, it writes them there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pointsman.surface import Translating, surfaces, translates
from pointsman.wire.translation.answer_losses import PASSED_OVER, UNSAID
from pointsman.wire.translation.losses import OTHERS, pair

DOCUMENT: Final = Path(__file__).resolve().parents[3] / "docs" / "translation.md"
_PLACE: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NAMES: Final = {
    "anthropic": "Messages",
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "gemini": "Gemini",
}


def rewritten(document: str) -> str:
    """The document with its tables as the code has them now."""
    makers = {
        "read": _read(),
        "written": _written(),
        "pairs": _pairs(),
        "passed_over": _answers("from", PASSED_OVER),
        "unsaid": _answers("to", UNSAID),
    }
    return _PLACE.sub(lambda found: found[1] + "\n".join(makers[found[2]]) + "\n" + found[3], document)


def _all() -> Iterator[tuple[str, Translating]]:
    for name, title in _NAMES.items():
        surface = surfaces()[name]
        assert translates(surface)
        yield title, surface


def _read() -> list[str]:
    lines = ["| from | what | | |", "| --- | --- | --- | --- |"]
    for title, surface in _all():
        lines += _rows(title, surface.READING.lost, surface.READING.refused)
    return lines


def _written() -> list[str]:
    lines = ["| to | what | | |", "| --- | --- | --- | --- |"]
    for title, surface in _all():
        lines += _rows(title, surface.WRITING.lost, surface.WRITING.refused)
    return lines


def _rows(title: str, lost: Mapping[str, str], refused: Mapping[str, str]) -> Iterator[str]:
    for verb, table in (("lost", lost), ("refused", refused)):
        for word, why in table.items():
            yield f"| {title} | {_shown(word)} | {verb} | {why} |"


def _pairs() -> list[str]:
    lines = ["| from | to | lost | refused |", "| --- | --- | --- | --- |"]
    for title, source in _all():
        for other, target in _all():
            if source is target:
                continue
            lost, refused = pair(source.READING, target.WRITING)
            cells = (title, other, _listed(lost), _listed(refused))
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _answers(direction: str, tables: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = [f"| {direction} | what | |", "| --- | --- | --- |"]
    for name, title in _NAMES.items():
        lines += [f"| {title} | {word} | {why} |" for word, why in tables.get(name, {}).items()]
    return lines


def _listed(words: Mapping[str, str]) -> str:
    return ", ".join(_shown(word) for word in words)


def _shown(word: str) -> str:
    """Paths and members as code; what is a phrase of ours stays one."""
    if word == OTHERS:
        return "members that are not known"
    return word if " " in word else f"`{word}`"


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
