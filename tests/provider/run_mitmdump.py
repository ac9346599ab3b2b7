"""mitmdump in a process of its own, whose provider names lead to a stand-in.

    python tests/provider/run_mitmdump.py api.anthropic.com=41234,plain.example=41234 -s addon/router.py …

For what needs a real process: kill -9, and real programs as clients. All after the first
argument goes to mitmdump.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from mitmproxy.tools.main import mitmdump  # noqa: E402
from provider.resolve import Addresses  # noqa: E402


def main(arguments: list[str]) -> None:
    pairs = (entry.split("=") for entry in arguments[0].split(","))
    Addresses({host: int(port) for host, port in pairs}).install()
    mitmdump(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
