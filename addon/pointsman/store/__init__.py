"""Every decision on disk, in one SQLite file.

`Store` is the only writer: it lives in the proxy, and what it acknowledges survives a
`kill -9` of the process. `Reader` looks at the same file without ever writing to it; the
command line uses it beside a running proxy.
"""

from pointsman.store.reading import Expected, Reader, Record, SessionRow, Spent
from pointsman.store.writing import Store

__all__ = ["Expected", "Reader", "Record", "SessionRow", "Spent", "Store"]
