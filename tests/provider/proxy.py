"""Real mitmproxy in front of the stand-in: in a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from provider.standin import StandIn

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # mitmproxy 12 uses old names of pyparsing 3.3
    from mitmproxy import options
    from mitmproxy.tools.dump import DumpMaster

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "addon" / "router.py"
RUNNER = Path(__file__).with_name("run_mitmdump.py")
START_SECONDS = 60.0


def trust(ca_file: Path) -> ssl.SSLContext:
    """A client's TLS context that trusts one CA and nothing else."""
    return ssl.create_default_context(cafile=str(ca_file))


class _Ears(logging.Handler):
    """Keeps what was logged at WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)


class _Bell:
    """An addon that says when the proxy runs."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def running(self) -> None:
        self.rung.set()


@dataclass
class InProcessProxy:
    """mitmproxy with the given addons in a thread. Start it inside `provider.reachable()`.

    One at a time in a process: mitmproxy's `ctx`, and the class that Pointsman replaces, are global.

    `confdir` may be shared: the CA in it is made once.
    """

    provider: StandIn
    confdir: Path
    addons: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.ears = _Ears()
        self.bell = _Bell()
        self.failure: BaseException | None = None
        self.master: DumpMaster | None = None
        self.thread = threading.Thread(target=self._main, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.confdir / "mitmproxy-ca-cert.pem"

    @property
    def warnings(self) -> list[str]:
        """All that was logged at WARNING and above, tracebacks included."""
        plain = logging.Formatter()
        return [plain.format(record) for record in self.ears.heard]

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self.ears)
        self.thread.start()
        while not self.bell.rung.wait(0.01):
            if not self.thread.is_alive():
                self.__exit__()
                raise RuntimeError(f"mitmproxy did not start: {self.failure!r} {self.warnings}")
        assert self.master is not None
        proxyserver: Any = self.master.addons.get("proxyserver")
        self.port = proxyserver.listen_addrs()[0][1]
        return self

    def __exit__(self, *_: object) -> None:
        if self.master is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed if it never started
                self.master.shutdown()
        self.thread.join(20)
        logging.getLogger().removeHandler(self.ears)

    def left(self) -> list[str]:
        """What is open or under way in the proxy: connections of clients and to servers, and their tasks."""

        def count() -> list[str]:
            handlers = list(proxyserver.connections.values())
            found = [f"{one.client.peername} {list(one.transports)}" for one in handlers]
            tasks = asyncio.all_tasks(self.master.event_loop) if self.master else set()
            return found + [repr(task) for task in tasks if "ConnectionHandler" in repr(task.get_coro())]

        assert self.master is not None
        proxyserver: Any = self.master.addons.get("proxyserver")
        left: list[str] = self.call(count)
        return left

    def call(self, function: Any) -> Any:
        """Run `function()` in the proxy's event loop and return its result."""

        async def run() -> Any:
            return function()

        assert self.master is not None
        return asyncio.run_coroutine_threadsafe(run(), self.master.event_loop).result(10)

    @contextlib.contextmanager
    def setting(self, **values: Any) -> Iterator[None]:
        """Change options while it runs, and back again."""
        assert self.master is not None
        chosen = self.master.options
        before = {name: getattr(chosen, name) for name in values}
        self.call(lambda: chosen.update(**values))
        try:
            yield
        finally:
            self.call(lambda: chosen.update(**before))

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as failure:
            self.failure = failure

    async def _run(self) -> None:
        self.confdir.mkdir(parents=True, exist_ok=True)
        chosen = options.Options(
            listen_host="127.0.0.1",
            listen_port=0,
            confdir=str(self.confdir),
            ssl_verify_upstream_trusted_ca=str(self.provider.ca_file),
        )
        self.master = DumpMaster(chosen, with_termlog=False, with_dumper=False)
        self.master.addons.add(*self.addons, self.bell)
        chosen.update(**{"connection_strategy": "lazy", **self.settings})
        await self.master.run()
        # mitmproxy leaves its sockets to the garbage collector; a process of its own would end now.
        proxyserver: Any = self.master.addons.get("proxyserver")
        await proxyserver.servers.update([])
        for handler in list(proxyserver.connections.values()):
            for one in list(handler.transports.values()):
                if one.writer is not None:
                    one.writer.transport.abort()
        await asyncio.sleep(0.01)  # what was aborted is closed by callbacks


@dataclass
class SubprocessProxy:
    """mitmdump in a process of its own; `script` None is bare mitmproxy."""

    provider: StandIn
    folder: Path
    script: Path | None = SCRIPT
    settings: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    listen_port: int = 0
    port: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)  # of its own, keys of providers say

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = self.folder / "mitmdump.log"
        self.starts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "conf" / "mitmproxy-ca-cert.pem"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def command(self) -> list[str]:
        addresses = ",".join(f"{host}={port}" for host, port in self.provider.addresses.items())
        settings = {
            "confdir": self.folder / "conf",
            "listen_host": "127.0.0.1",
            "listen_port": self.listen_port,
            "ssl_verify_upstream_trusted_ca": self.provider.ca_file,
            "connection_strategy": "lazy",
            **self.settings,
        }
        command = [sys.executable, str(RUNNER), addresses]
        command += ["-s", str(self.script)] if self.script is not None else []
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        return [*command, *self.arguments]

    def start(self) -> Self:
        """Start it (again), and wait until it listens. The log starts anew."""
        self.starts += 1
        own = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(self.folder))
        environment = {**os.environ, **own, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **self.environment}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.folder,
            )
        self.port = self._wait_for_port()
        return self

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def _wait_for_port(self) -> int:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            _, found, rest = self.log.partition("proxy listening at ")
            if found and "\n" in rest:
                return int(rest.partition("\n")[0].rstrip(".").rpartition(":")[2])
            if self.process.poll() is not None:
                raise RuntimeError(f"mitmdump exited with {self.process.returncode}:\n{self.log}")
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"mitmdump does not listen:\n{self.log}")
