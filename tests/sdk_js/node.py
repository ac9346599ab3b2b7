"""A node process that plays scenarios with the SDKs for JavaScript, one after the other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

from sdk_py.scenarios import Scenario

HERE = Path(__file__).resolve().parent
SDKS = "POINTSMAN_SDKS"  # names another folder than that of scripts/install-sdks
REPLY_SECONDS = 60.0


def installed() -> Path | None:
    """The folder that holds the SDKs' `node_modules`; None without node or without them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get(SDKS) or cache / "pointsman" / "sdks")
    found = shutil.which("node") and (folder / "node_modules" / "undici").is_dir()
    return folder.absolute() if found else None


class Node:
    """`with Node(sdks, proxy_url, ca_file, home) as node: node.play(scenario, key, model, {}, streamed)`."""

    def __init__(self, sdks: Path, proxy_url: str, ca_file: Path, home: Path) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "HTTPS_PROXY": proxy_url,
            "NODE_EXTRA_CA_CERTS": str(ca_file),
            SDKS: str(sdks),
        }
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            ["node", str(HERE / "play.mjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=self.environment,
            cwd=self.environment["HOME"],
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()

    def play(
        self, scenario: Scenario, key: str, model: str, headers: dict[str, str], streamed: bool
    ) -> list[Any]:
        """The answers as the SDK made them. Raises RuntimeError with what went wrong in JavaScript."""
        assert self.process is not None and self.process.stdin is not None and self.process.stdout is not None
        asked = {"surface": scenario.surface, "name": scenario.name, "key": key, "api": scenario.api}
        asked |= {"model": model, "headers": headers, "streamed": streamed}
        late = threading.Timer(REPLY_SECONDS, self.process.kill)
        late.start()
        try:
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            late.cancel()
        reply = json.loads(line or '{"error": "node ended, or said nothing for a minute"}')
        if "error" in reply:
            raise RuntimeError(reply["error"])
        answers: list[Any] = reply["answers"]
        return answers
