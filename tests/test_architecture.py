"""The direction of dependencies, read from the imports; and what must not lie in addon/."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "addon" / "pointsman"

# Rooms from the innermost outwards; a directory is one room. A room imports from rows above its own, and
# from itself. What is not named here serves the command line, and stands in the row before `cli`.
ROWS: tuple[set[str], ...] = (
    {"values", "errors", "paths", "plain"},
    {"wording", "wire", "scoring", "embedding", "session", "store", "roots", "checks"},
    {"cache_key", "semantic_cache", "catalogue", "surface", "upstream", "yaml_nodes"},
    {"config_capabilities", "switching", "trust", "own_calls"},
    {"config_providers"},
    {"config_models"},
    {"clients", "probe", "config_documents", "reach"},
    {"config_routes"},
    {"config_routers"},
    {"config"},
    {"options"},
    {"shelf"},
    {"asked", "prices"},
    {"plan"},
    {"settling"},
    {"candidates"},
    {"tasks"},
    {"pipeline"},
    {"classifying"},
    {"engine"},
    {"outgoing"},
    {"telling", "row"},
    {"answer"},
    {"action"},
    {"attempts"},
    {"dry_run"},
    {"local", "model_list"},
    {"addon"},
    set(),
    {"cli"},
    {"__main__"},
)
UNLISTED = ROWS.index(set())

# Of the rows above, these rooms may use only this much, and the first row.
ONLY = {
    "wire": set[str](),
    "scoring": set[str](),
    "pipeline": {
        "asked", "scoring", "session", "shelf", "switching", "embedding", "catalogue", "options",
        "config_routes", "reach", "plan", "settling", "candidates", "tasks", "prices",
    },
    "upstream": {"wire"},
}

# Rooms without I/O, and what would bring I/O in.
PURE = ("wire", "scoring", "session", "values", "errors", "wording", "cache_key", "semantic_cache")
IMPURE_MODULES = {
    "aiohttp", "asyncio", "http", "httpx", "httpx2", "mitmproxy", "requests", "socket", "sqlite3",
    "sqlite_utils", "subprocess", "threading", "time", "urllib3",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names a module imports, relative ones made absolute; also those inside functions."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            prefix = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def rooms_used(path: Path) -> set[str]:
    inside = (name.split(".") for name in imports(path) if name.startswith("pointsman."))
    names = {parts[1] for parts in inside}
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


def row(name: str) -> int:
    return next((number for number, names in enumerate(ROWS) if name in names), UNLISTED)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_dependencies_point_one_way(path: Path) -> None:
    own = room(path)
    used = rooms_used(path) - {own}
    outward = {name for name in used if row(name) >= row(own) and not row(name) == row(own) == UNLISTED}
    assert not outward, f"{own} must not import {sorted(outward)}"
    assert "addon" not in used, "the addon needs a running mitmproxy"
    if own in ONLY:
        assert used - ROWS[0] <= ONLY[own]


@pytest.mark.parametrize(
    "path", [path for path in modules() if room(path) in PURE], ids=lambda path: path.name
)
def test_pure_rooms_do_no_input_or_output(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path)}
    assert not used & IMPURE_MODULES


def test_only_the_addon_and_its_helpers_import_mitmproxy() -> None:
    users = {
        room(path) for path in modules() if any(name.split(".")[0] == "mitmproxy" for name in imports(path))
    }
    helpers = {"action", "answer", "attempts", "dry_run", "local", "model_list", "outgoing", "upstream"}
    assert users <= {"addon", "cli"} | helpers


def test_nothing_in_addon_shadows_another_module() -> None:
    """mitmproxy puts the script's directory first on sys.path."""
    names = {path.stem for path in (ROOT / "addon").iterdir() if path.name != "__pycache__"}
    assert names == {"router", "pointsman"}
    assert not names & set(sys.stdlib_module_names)
