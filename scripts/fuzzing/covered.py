"""Which lines of `pointsman.wire` the inputs reach that a run has kept; without libFuzzer."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType

from pointsman import wire

ROOT = str(Path(wire.__file__).parent)


def report(surface: str, folder: Path) -> int:
    """One line per module: lines reached of those there are, and the numbers of those not reached."""
    reached = _reached(surface, folder)
    total = hit = 0
    for path in sorted(reached.keys() | _modules(surface)):
        lines = _lines(Path(path))
        seen = reached.get(path, set()) & lines
        total, hit = total + len(lines), hit + len(seen)
        missing = ", ".join(map(str, sorted(lines - seen)))[:100]
        name = str(Path(path).relative_to(ROOT))
        share = len(seen) / max(1, len(lines))
        print(f"{name:34} {len(seen):4} of {len(lines):4} lines {share:5.0%}  {missing}")
    print(f"{surface}: {hit} of {total} lines, {hit / max(1, total):.1%}")
    return 0


def _modules(surface: str) -> set[str]:
    root = Path(ROOT)
    return {str(path) for path in (root / surface).rglob("*.py")} if (root / surface).is_dir() else set()


def _reached(surface: str, folder: Path) -> dict[str, set[int]]:
    reached: dict[str, set[int]] = {}

    def seen(code: CodeType, line: int) -> object:
        if code.co_filename.startswith(ROOT):
            reached.setdefault(code.co_filename, set()).add(line)
        return sys.monitoring.DISABLE

    monitoring, tool = sys.monitoring, sys.monitoring.COVERAGE_ID
    monitoring.use_tool_id(tool, "pointsman-fuzz")
    monitoring.register_callback(tool, monitoring.events.LINE, seen)
    monitoring.set_events(tool, monitoring.events.LINE)
    try:
        _check_all(surface, folder)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return reached


def _check_all(surface: str, folder: Path) -> None:
    from fuzz import targets
    from fuzz.ground import ground
    from fuzz.oracle import Choice

    checks = targets.OF_SURFACES if surface != "parsers" else targets.PARSERS
    standing = ground(surface) if surface != "parsers" else None
    for target, check in checks.items():
        for path in sorted((folder / target / "corpus").glob("*")):
            data = path.read_bytes()
            try:
                check(standing, data, Choice(data))
            except Exception:
                continue  # findings are the run's business


def _lines(path: Path) -> set[int]:
    """Lines of code inside functions: what runs at import is no merit of an input."""
    waiting = [compile(path.read_bytes(), str(path), "exec")]
    lines: set[int] = set()
    while waiting:
        code = waiting.pop()
        inner = [item for item in code.co_consts if isinstance(item, CodeType)]
        waiting += inner
        # Bodies of modules and classes are not optimised code.
        if code.co_flags & 1:
            lines |= {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno}
    return lines
