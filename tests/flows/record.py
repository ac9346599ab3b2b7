"""Record the flows in this directory: real SDKs, a real mitmdump with Pointsman, the stand-in provider.

python tests/flows/record.py [NAME ...]     each NAME of RECORDINGS into NAME.mitm; default: all of them
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from e2e.sdks import genai_client, openai_client  # noqa: E402
from flows import anthropic_python  # noqa: E402
from mitmproxy import http, io  # noqa: E402
from provider.proxy import SubprocessProxy  # noqa: E402
from provider.standin import StandIn  # noqa: E402
from sdk_js.node import Node, installed  # noqa: E402
from sdk_py.scenarios import ANTHROPIC, CHAT, GEMINI, RESPONSES, Scenario  # noqa: E402

# The SDK's helpers send what a program without them sends.
OPENAI = tuple(scenario for scenario in (*CHAT, *RESPONSES) if scenario.name != "helper")
Play = Callable[[StandIn, SubprocessProxy], None]
KEYS = {"anthropic": "sk-ant-api03-recorded", "gemini": "AIza-recorded"}


def once(scenarios: Sequence[Scenario]) -> Iterable[tuple[Scenario, str, dict[str, str], bool]]:
    """Each scenario with a key of its own, by turns streamed; most conversations are scored."""
    for number, scenario in enumerate(scenarios):
        scored = len(scenario.steps) > 1 and (number % 3 != 0 or scenario.name == "chained")
        headers = {} if scored else {"x-router-model": scenario.served}
        yield scenario, f"{KEYS.get(scenario.surface, 'sk-recorded')}{number}", headers, number % 2 == 0


def in_python(scenarios: Sequence[Scenario], connect: Callable[..., Any]) -> Play:
    def play(provider: StandIn, proxy: SubprocessProxy) -> None:
        for scenario, key, headers, streamed in once(scenarios):
            provider.script(*scenario.steps)
            more = (scenario.api,) if scenario.api else ()
            with closing(connect(proxy, key, *more)) as client:
                function = getattr(import_module(f"sdk_py.{scenario.surface}"), scenario.name)
                function(client, scenario.asked, headers, streamed)

    return play


def in_javascript(scenarios: Sequence[Scenario]) -> Play:
    def play(provider: StandIn, proxy: SubprocessProxy) -> None:
        sdks = installed()
        if sdks is None:
            raise SystemExit("needs node and the SDKs that scripts/install-sdks installs")
        with Node(sdks, proxy.url, proxy.ca_file, proxy.folder) as node:
            for scenario, key, headers, streamed in once(scenarios):
                provider.script(*scenario.steps)
                node.play(scenario, key, scenario.asked, headers, streamed)

    return play


RECORDINGS: dict[str, Play] = {
    "anthropic-python": anthropic_python.play,
    "anthropic-js": in_javascript(ANTHROPIC),
    "openai-python": in_python(OPENAI, openai_client),
    "openai-js": in_javascript(OPENAI),
    "genai-python": in_python(GEMINI, genai_client),
    "genai-js": in_javascript(GEMINI),
}


def record(names: Iterable[str], file: Path, folder: Path) -> Path:
    """Write the flows of all `names` to `file`; returns the database of the proxy that routed them."""
    database, whole = folder / "pointsman.sqlite", folder / "whole.mitm"
    settings = {"router_db": database, "store_streamed_bodies": "true"}
    with (
        StandIn(folder) as provider,
        SubprocessProxy(provider, folder, settings=settings, arguments=["-w", str(whole)]) as proxy,
    ):
        provider.families["openai"].compact = True  # type: ignore[attr-defined]  # as the service writes JSON
        for name in names:
            RECORDINGS[name](provider, proxy)
        provider.check()
        assert not provider.steps, "steps that nothing asked for"
    slim(whole, file)
    return database


def slim(whole: Path, file: Path) -> None:
    """A copy without the certificates that every flow carries; they are made anew by each run anyway."""
    with whole.open("rb") as source, file.open("wb") as target:
        writer = io.FlowWriter(target)
        for flow in io.FlowReader(source).stream():
            assert isinstance(flow, http.HTTPFlow)
            flow.client_conn.certificate_list = flow.server_conn.certificate_list = ()
            flow.client_conn.mitmcert = None
            writer.add(flow)


def main(names: Sequence[str]) -> None:
    for name in names or RECORDINGS:
        target = HERE / f"{name}.mitm"
        with tempfile.TemporaryDirectory() as scratch:
            record((name,), target, Path(scratch))
        print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
