"""What a run found: each kind of finding once, its shortest input beside the traceback."""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Callable
from pathlib import Path

_MAX_KINDS = 60
_NUMBER = re.compile(r"[0-9]+|'[^']*'")


class Findings:
    """Files `KIND.input` and `KIND.txt` in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.kinds = {path.stem: path.stat().st_size for path in folder.glob("*.input")}

    def add(self, data: bytes, error: BaseException) -> None:
        kind = signature(error)
        if len(self.kinds) >= _MAX_KINDS or self.kinds.get(kind, len(data) + 1) <= len(data):
            return
        self.kinds[kind] = len(data)
        (self._folder / f"{kind}.input").write_bytes(data)
        told = "".join(traceback.format_exception(error, limit=-12))
        (self._folder / f"{kind}.txt").write_text(told, encoding="utf-8", errors="replace")


def signature(error: BaseException) -> str:
    """The same for errors of one cause: the type, the first line of what it says, and where it was raised."""
    frames = [f"{Path(f.filename).name}:{f.name}" for f in traceback.extract_tb(error.__traceback__)][-4:]
    said = _NUMBER.sub("#", (str(error).splitlines() or [""])[0])[:80]
    digest = hashlib.sha256("|".join([type(error).__name__, said, *frames]).encode("utf-8", "replace"))
    return f"{type(error).__name__}-{digest.hexdigest()[:8]}"


def shortest(data: bytes, fails: Callable[[bytes], str | None], rounds: int = 4000) -> bytes:
    """A shorter input with the same failure, by leaving out pieces of it; `fails` gives its signature."""
    wanted = fails(data)
    size = max(1, len(data) // 2)
    while size and rounds > 0:
        at, shrunk = 0, False
        while at < len(data) and rounds > 0:
            rounds -= 1
            candidate = data[:at] + data[at + size :]
            if fails(candidate) == wanted:
                data, shrunk = candidate, True
            else:
                at += size
        if not shrunk:
            size //= 2
    return data
