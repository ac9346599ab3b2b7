"""What was acknowledged before a `kill -9` of the writing process is there afterwards."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from pointsman.store import Reader

ADDON = Path(__file__).parents[2] / "addon"

WRITER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from pointsman.store import Store
from pointsman.values import CredentialKind, Decision, Outcome, TurnKind, Usage

store = Store(sys.argv[2])
lock = threading.Lock()

def acknowledge(line):
    with lock:
        sys.stdout.write(line)
        sys.stdout.flush()

def work(name):
    for index in range(10**9):
        key = f"{name}-{index}"
        decision = Decision(
            id=key, at=float(index), surface="anthropic", endpoint="generate", client="test",
            turn=TurnKind.MAIN, session=name, credential_kind=CredentialKind.API_KEY,
            credential_fingerprint="f", requested_model="a", served_model=f"m{index}", previous_model=None,
            provider="anthropic", host="h", stream=True, strategy="cluster", reason="cluster",
        )
        store.record(decision).result()
        acknowledge(f"r {key}\\n")
        store.update(key, Outcome(status=200, usage=Usage(output_tokens=index))).result()
        acknowledge(f"u {key}\\n")

for number in range(4):
    threading.Thread(target=work, args=(f"{sys.argv[3]}w{number}",), daemon=True).start()
threading.Event().wait()
"""


def start(path: Path, name: str) -> subprocess.Popen[str]:
    """A writer that says on its standard output what the store acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ADDON), str(path), name], stdout=subprocess.PIPE, text=True
    )


def kill(process: subprocess.Popen[str]) -> list[str]:
    """What it acknowledged before it was killed."""
    assert process.stdout is not None
    os.kill(process.pid, signal.SIGKILL)
    with process.stdout as output:
        lines = output.readlines()
    assert process.wait(timeout=10) == -signal.SIGKILL
    return [line.strip() for line in lines if line.endswith("\n")]


def test_acknowledged_writes_survive_twenty_kills_of_two_processes_that_share_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pointsman.db"
    moments = random.Random(20)
    acknowledged: list[str] = []
    for round_ in range(10):
        writers = [start(path, f"k{round_}{side}") for side in "ab"]
        for writer in writers:
            assert writer.stdout is not None
            acknowledged.append(writer.stdout.readline().strip())
        for writer in writers:
            time.sleep(moments.uniform(0, 0.05))
            acknowledged += kill(writer)
    assert len(acknowledged) > 200
    connection = sqlite3.connect(path)
    rows = dict(connection.execute("SELECT id, output_tokens FROM decisions"))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    for line in acknowledged:
        verb, key = line.split()
        assert key in rows, f"{key} was acknowledged and is gone"
        assert verb == "r" or rows[key] == int(key.rsplit("-", 1)[1])
    with Reader(path) as reader:
        sessions = {row.key: row.model for row in reader.sessions(limit=1000, since=-1)}
    for line in acknowledged:
        session, index = line.split()[1].rsplit("-", 1)
        assert int(sessions[session][1:]) >= int(index)
