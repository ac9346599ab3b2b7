"""`pointsman preflight` asks everything that is configured, at strict providers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pointsman import own_calls
from pointsman.cli.main import main
from provider.answers import Answer, Fault, Step, Text, Think
from provider.record import Record
from provider.standin import StandIn

ROUTER = "Router (3-tier, classifier=minimax-m2.7)"
DOCUMENT = {
    "kind": "intelligent-router-v0",
    "classifier_model_id": "small",
    "fallback_model_id": "small",
    "tiers": {"small": {"model": "litellm_proxy/minimax-m2.7", "temperature": 1.0}},
    "routing": {"Frontend": "small"},
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with StandIn(tmp_path_factory.mktemp("preflight"), alpn=("http/1.1",)) as made, made.reachable():
        yield made


@pytest.fixture
def provider(running: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """The providers, and a home without configuration and keys."""
    for name in os.environ:
        if name.endswith(("_API_KEY", "_API_BASE", "_PROXY")):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "POINTSMAN_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))
    monkeypatch.chdir(tmp_path)
    running.reset()
    yield running
    running.check()


@pytest.fixture
def keys(provider: StandIn, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    def give(**variables: str) -> dict[str, str]:
        made = {variable: provider.key(owner, "preflight") for variable, owner in variables.items()}
        for variable, key in made.items():
            monkeypatch.setenv(variable, key)
        if "LITELLM_PROXY_API_KEY" in made:
            monkeypatch.setenv("LITELLM_PROXY_API_BASE", "https://litellm.example")
        return made

    return give


def run(*arguments: str, config: Any = None) -> Result:
    if config is not None:
        Path("router.yaml").write_text(json.dumps(config))
    return CliRunner().invoke(main, ["preflight", "--timeout", "10", *arguments])


def lines(*arguments: str, config: Any = None) -> tuple[int, list[str]]:
    result = run(*arguments, config=config)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output.splitlines()


def test_the_shipped_router(provider: StandIn, keys: Callable[..., dict[str, str]]) -> None:
    (key,) = keys(LITELLM_PROXY_API_KEY="litellm").values()
    code, said = lines("router-classified-3tier")
    assert said == [
        f"{ROUTER}: validating 3 tier model(s)...",
        f"  ✓ {ROUTER} :: kimi-k2.6: OK",
        f"  ✓ {ROUTER} :: minimax-m2.7: OK",
        f"  ✓ {ROUTER} :: gpt-5.5: OK",
        f"✓ {ROUTER}: OK (3 tier(s))",
    ]
    assert code == 0
    assert key not in "\n".join(said)
    sent = {record.model: record.body for record in provider.messages}
    wanted = ("temperature", "top_p", "reasoning_effort")
    assert {name: tuple(body.get(each) for each in wanted) for name, body in sent.items()} == {
        "moonshot/kimi-k2.6": (1.0, None, None),
        "minimax/MiniMax-M2.7": (1.0, 0.95, None),
        "openai/gpt-5.5": (None, None, "high"),
    }
    assert {str(body["messages"]) for body in sent.values()} == {str([{"role": "user", "content": "1+1="}])}


def test_one_tier_that_fails(provider: StandIn, keys: Callable[..., dict[str, str]]) -> None:
    (key,) = keys(LITELLM_PROXY_API_KEY="litellm").values()

    def answer(record: Record) -> Step:
        said = f"Invalid model name passed in model=moonshot/kimi-k2.6 for {key}"
        return Fault(400, said) if "kimi" in record.model else Answer()

    provider.responder = answer
    code, said = lines("router-classified-3tier")
    assert said == [
        f"{ROUTER}: validating 3 tier model(s)...",
        f"  ✗ {ROUTER} :: kimi-k2.6: 400 Invalid model name passed in model=moonshot/kimi-k2.6 for [secret]",
        f"  ✓ {ROUTER} :: minimax-m2.7: OK",
        f"  ✓ {ROUTER} :: gpt-5.5: OK",
        f"✗ {ROUTER}: one or more tiers failed",
    ]
    assert code == 1
    assert len(provider.messages) == 3  # the others are asked all the same


def test_json(provider: StandIn, keys: Callable[..., dict[str, str]]) -> None:
    (key,) = keys(LITELLM_PROXY_API_KEY="litellm").values()
    provider.responder = lambda record: Fault(503, "busy") if "gpt" in record.model else Answer()
    result = run("--json")
    assert result.exit_code == 1
    assert key not in result.output
    found = json.loads(result.output)
    assert found["ok"] is False
    (router,) = (route for route in found["routes"] if route["name"] == "router-classified-3tier")
    assert (router["title"], router["strategy"], router["ok"]) == (ROUTER, "classified", False)
    kimi, _, gpt = router["targets"]
    assert (kimi["id"], kimi["ok"], kimi["error"]) == ("kimi-k2.6", True, None)
    assert kimi["bindings"][0].pop("ms") > 0
    assert kimi["bindings"] == [
        {
            "provider": "litellm_proxy",
            "model": "moonshot/kimi-k2.6",
            "parameters": {"temperature": 1.0},
            "ok": True,
            "status": None,
            "error": None,
        }
    ]
    assert (gpt["ok"], gpt["error"], gpt["bindings"][0]["status"]) == (False, "503 busy", 503)


def test_a_thought_is_an_answer_and_nothing_is_none(
    provider: StandIn, keys: Callable[..., dict[str, str]]
) -> None:
    keys(LITELLM_PROXY_API_KEY="litellm")
    provider.responder = lambda record: Answer((Think("one and one is"),), stop_reason="length")
    config = {"routers": {"mine": {"document": DOCUMENT}}}
    assert lines("mine", config=config)[0] == 0
    provider.responder = lambda record: Answer((Text(""),), think=None)
    code, said = lines("mine", config=config)
    assert code == 0  # it has cost tokens, so there is somebody
    assert said[1:] == ["  ✓ mine :: small: OK", "✓ mine: OK (1 tier(s))"]


def test_without_tiers_nobody_is_asked(provider: StandIn, keys: Callable[..., dict[str, str]]) -> None:
    keys(LITELLM_PROXY_API_KEY="litellm")
    config = {"routers": {"mine": {"document": DOCUMENT | {"tiers": {}}}}}
    code, said = lines("mine", config=config)
    assert (code, said) == (1, ["✗ mine: has no tiers"])
    assert provider.records == []
    assert json.loads(run("mine", "--json").output)["routes"][0]["error"] == "has no tiers"


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        (
            "classifier_model_id",
            "smal",
            "document.classifier_model_id: 'smal' is not a tier; did you mean small?",
        ),
        (
            "fallback_model_id",
            "smol",
            "document.fallback_model_id: 'smol' is not a tier; did you mean small?",
        ),
        (
            "routing",
            {"Frontend": "smal"},
            "document.routing.Frontend: 'smal' is not a tier; did you mean small?",
        ),
        ("vision_capable_model_ids", ["smal"], "document.vision_capable_model_ids: 'smal' is not a tier"),
    ],
)
def test_a_typo_is_said_before_anything_is_asked(
    provider: StandIn, member: str, value: Any, message: str
) -> None:
    result = run(config={"routers": {"mine": {"document": DOCUMENT | {member: value}}}})
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert provider.records == []


def test_each_binding_of_a_model_and_each_only_once(
    provider: StandIn, keys: Callable[..., dict[str, str]]
) -> None:
    keys(OPENROUTER_API_KEY="openrouter", MOONSHOT_API_KEY="moonshot")
    provider.script_at("openrouter", Fault(402, "no credits"))
    models = ["openrouter/moonshotai/kimi-k2.6", "moonshot/kimi-k2.6"]
    config = {
        "routers": {
            "first": {"strategy": "fixed", "model": "moonshot/kimi-k2.6"},
            "second": {"candidates": models},
        }
    }
    code, said = lines("first", "second", config=config)
    assert code == 1
    assert said[:3] == [
        "first: validating 1 model(s)...",
        "  ✓ first :: kimi-k2.6: OK",
        "✓ first: OK (1 model(s))",
    ]
    assert said[3:5] == [
        "second: validating 1 model(s)...",
        "  ✗ second :: kimi-k2.6: openrouter: 402 no credits",
    ]
    assert said[5] == "    ✗ openrouter (moonshotai/kimi-k2.6): 402 no credits"
    assert said[6].startswith("    ✓ moonshot (kimi-k2.6): OK, ")
    assert said[7:] == ["✗ second: one or more models failed"]
    assert sorted(record.family for record in provider.messages) == ["moonshot", "openrouter"]


def test_what_a_clients_own_key_reaches_is_no_failure(
    provider: StandIn, keys: Callable[..., dict[str, str]]
) -> None:
    config = {"routes": [{"name": "small", "requested": "claude-opus-4-8", "strategy": "fixed",
                          "model": "claude-haiku-4-5"}]}  # fmt: skip
    assert lines(config=config) == (
        0,
        [
            "small: validating 1 model(s)...",
            "  - small :: claude-haiku-4-5: had with the client's own credential only: cannot be checked",
            "✓ small: OK (1 model(s))",
        ],
    )
    assert provider.records == []


def test_what_has_no_key_fails_where_it_was_asked_for(provider: StandIn) -> None:
    code, said = lines("router-classified-3tier")
    assert code == 1
    assert said[1].startswith(f"  ✗ {ROUTER} :: kimi-k2.6: ")
    assert "LITELLM_PROXY_API_KEY" in said[1]
    assert "MOONSHOT_API_KEY" in said[1]
    assert said[3].startswith(f"  - {ROUTER} :: gpt-5.5: had with the client's own credential only")
    assert said[-1] == f"✗ {ROUTER}: one or more tiers failed"
    assert lines() == (
        0,
        ["There is nothing to check: no route or virtual model leads to a provider with a key."],
    )
    assert provider.records == []


def test_a_defect_at_one_place_leaves_the_others_to_be_checked(
    provider: StandIn, keys: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys(LITELLM_PROXY_API_KEY="litellm")
    asking = own_calls.ask

    async def broken(binding: Any, *arguments: Any, **options: Any) -> Any:
        if "kimi" in binding.model:
            raise KeyError("a defect")
        return await asking(binding, *arguments, **options)

    monkeypatch.setattr(own_calls, "ask", broken)
    code, said = lines("router-classified-3tier")
    assert code == 1
    assert said[1:3] == [
        f"  ✗ {ROUTER} :: kimi-k2.6: cannot be asked: KeyError",
        f"  ✓ {ROUTER} :: minimax-m2.7: OK",
    ]


def test_a_name_that_is_none(provider: StandIn) -> None:
    result = run("router-3tier")
    assert result.exit_code == 2
    assert "there is no router-3tier; there are router-classified-3tier, router-cluster" in result.output
