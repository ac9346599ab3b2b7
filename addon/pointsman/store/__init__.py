"""Every decision on disk, in one SQLite file.

`Store` is the only writer: it lives in the proxy, and what it acknowledges survives a
`kill -9` of the process. `Reader` looks at the same file without ever writing to it; the
command line uses it beside a running proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman.store.reading import Expected, Reader, Record, SessionRow, Spent
    from pointsman.store.writing import Store

__all__ = ["Expected", "Reader", "Record", "SessionRow", "Spent", "Store"]


def __getattr__(name: str) -> Any:
    # On first use: the status line needs a connection in few milliseconds and none of these.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = "writing" if name == "Store" else "reading"
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
