"""The shipped catalogue: names, figures, capabilities and what an answer costs."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pointsman.catalogue import DATA, Catalogue, cost_usd, spellings
from pointsman.errors import ConfigError
from pointsman.values import Model, Prices, Usage

CATALOGUE = Catalogue.load()


def row(name: str) -> Model:
    found = CATALOGUE.resolve(name)
    assert found is not None, name
    return found


# --- names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "family"),
    [
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-8[1m]", "claude-opus-4-8"),
        ("claude-opus-4-6-20260205[1m]", "claude-opus-4-6"),
        ("anthropic/claude-opus-5", "claude-opus-5"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("claude-opus-4-0", "claude-opus-4"),
        (" Claude-Sonnet-5 ", "claude-sonnet-5"),
        ("gpt-5.5-2026-04-23", "gpt-5.5"),
        ("models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini/gemini-3.8-flash", "gemini-3.8-flash"),
        ("minimax/MiniMax-M2.5", "minimax-m2.5"),
        ("moonshot/kimi-k2.6", "kimi-k2.6"),
    ],
)
def test_a_name_resolves_to_its_family(asked: str, family: str) -> None:
    assert row(asked).name == family


@pytest.mark.parametrize(
    "asked",
    ["", "/", "claude", "claude-opus-9", "claude-haiku-4-5-2025", "claude-opus-4-8-fast", "20251001", "[1m]"],
)
def test_an_unknown_name_resolves_to_nothing(asked: str) -> None:
    assert CATALOGUE.resolve(asked) is None


@pytest.mark.parametrize(
    "asked",
    [
        "gpt-6.1-sol",
        "gpt-6-astra",
        "gpt-6-sol",
        "gpt-6-luna",
        "gpt-5.5",
        "gemini-3.8-flash",
        "gemini-3.5-flash-lite",
        "minimax-m2.7",
        "kimi-k2.6",
        "claude-opus-4-8",
        "claude-sonnet-5",
        "claude-haiku-4-5",
    ],
)
def test_what_clients_ask_for_is_known_with_its_prices(asked: str) -> None:
    assert row(asked).name == asked
    assert row(asked).target
    assert row(asked).prices.cache_read


def test_spellings_lose_one_ending_at_a_time() -> None:
    assert list(spellings("A/m-20250101[1m]")) == [
        "a/m-20250101[1m]", "m-20250101[1m]", "a/m-20250101", "m-20250101", "a/m", "m",
    ]  # fmt: skip


def test_every_current_row_of_the_price_list_is_known(shared: Path) -> None:
    with (shared / "data" / "models.csv").open(encoding="utf-8", newline="") as file:
        names = [line["model"] for line in csv.DictReader(file) if line["role"] == "current"]
    assert len(names) > 100
    assert [name for name in names if CATALOGUE.resolve(name) is None] == []


def test_two_models_cannot_share_a_name() -> None:
    with pytest.raises(ConfigError, match="'b' of c belongs to another model"):
        Catalogue.of([Model("a", "x", aliases=("b",)), Model("c", "x", aliases=("b",))])
    with pytest.raises(ConfigError, match="'A' of c belongs"):
        Catalogue.of([Model("a", "x"), Model("c", "x", aliases=("A",))])


# --- rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [model for model in CATALOGUE.models if model.target], ids=lambda model: model.name
)
def test_a_target_has_prices_a_context_and_a_tier(model: Model) -> None:
    prices = model.prices
    assert prices.input and prices.output and prices.input <= prices.output
    assert model.context_tokens and model.context_tokens >= 100_000
    assert model.quality_tier in (1, 2, 3, 4)
    assert model.provider


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda model: model.name)
def test_no_figure_is_zero(model: Model) -> None:
    prices = [price for price in (model.prices, model.prices.above) if price]
    figures = [getattr(price, name) for price in prices for name in Prices.__slots__ if name != "above"]
    figures += [model.context_tokens, model.max_output_tokens, model.quality_tier, model.token_factor]
    assert 0 not in figures


ANTHROPIC = [model for model in CATALOGUE.provider("anthropic") if model.target]


@pytest.mark.parametrize("model", ANTHROPIC, ids=lambda model: model.name)
def test_an_anthropic_target_says_everything_that_the_rules_read(model: Model) -> None:
    has = model.capabilities
    assert model.prices.cache_write == pytest.approx(1.25 * (model.prices.input or 0))
    assert model.prices.cache_write_1h == pytest.approx(2 * (model.prices.input or 0))
    assert model.max_output_tokens
    assert set(has["thinking"]) & {"enabled", "adaptive"}
    assert has["thinking_default"] in ("on", "off", None)
    assert has["sampling"] in ("one", "none")
    for flag in ("images", "documents", "tools", "system_role", "forced_tool", "prefill"):
        assert isinstance(has[flag], bool)
    for values in ("effort", "speed", "service_tier", "tool_types", "needs"):
        assert isinstance(has[values], tuple)


def test_gated_models_are_opt_in_and_retired_ones_no_targets() -> None:
    names = {model.name for model in CATALOGUE.models if model.opt_in}
    assert names == {"claude-fable-5", "claude-fable-5-1", "claude-mythos-5", "claude-mythos-5-1"}
    for retired in ("claude-3-haiku", "claude-3-5-sonnet", "claude-opus-4-1", "claude-sonnet-4"):
        assert not row(retired).target
        assert row(retired).prices.output


def test_what_the_rules_say_per_model() -> None:
    assert row("claude-haiku-4-5").capabilities["thinking"] == ("enabled", "disabled")
    assert row("claude-haiku-4-5").capabilities["effort"] == ()
    assert row("claude-opus-4-6").capabilities["effort"] == ("low", "medium", "high", "max")
    assert row("claude-sonnet-5-5").capabilities["thinking"] == ("adaptive", "between_tools")
    assert row("claude-opus-5-5").capabilities["thinking"] == ("adaptive",)
    assert row("claude-opus-4-8").token_factor > row("claude-opus-4-6").token_factor
    assert "none" not in row("gpt-6-astra").capabilities["effort"]
    assert "none" not in row("gpt-6.1-sol").capabilities["effort"]
    assert row("gpt-6-sol").capabilities["chat_tools"] == "effort_none"
    assert row("gemini-2.5-pro").capabilities["thinking_level"] == ()
    assert "minimal" not in row("gemini-3.7-flash").capabilities["thinking_level"]


def test_a_glob_matches_names_and_a_name_its_family() -> None:
    assert [model.name for model in CATALOGUE.matching("claude-haiku-*")] == [
        "claude-haiku-4-5",
        "claude-haiku-5-5",
    ]
    assert [model.name for model in CATALOGUE.matching("claude-haiku-4-5-20251001")] == ["claude-haiku-4-5"]
    assert CATALOGUE.matching("nothing-*") == ()
    assert CATALOGUE.provider("nobody") == ()


# --- cost ---------------------------------------------------------------------------------

PRICED = Model("m", "x", Prices(input=2.0, output=10.0, cache_read=0.2, cache_write=2.5, cache_write_1h=4.0))


def test_every_kind_of_token_has_its_price() -> None:
    usage = Usage(1_000_000, 100_000, 2_000_000, 400_000, 250_000)
    assert cost_usd(usage, PRICED) == pytest.approx(2.0 + 1.0 + 0.4 + 1.0 + 1.0)


def test_a_cost_is_unknown_where_a_count_or_a_price_is() -> None:
    unpriced = Model("m", "x", Prices(input=2.0, output=10.0))
    assert cost_usd(Usage(), PRICED) is None
    assert cost_usd(Usage(input_tokens=5), PRICED) is None
    assert cost_usd(Usage(1000, 100, 5), unpriced) is None
    assert cost_usd(Usage(1000, 100, 0), unpriced) == pytest.approx(0.003)
    assert cost_usd(Usage(0, 0), Model("m", "x")) == 0.0
    plain = Model("m", "x", Prices(input=2.0, output=1.0))
    assert cost_usd(Usage(1000, 0, None, 500, 500), plain) == pytest.approx(0.004)  # written as plain input


def test_a_long_prompt_costs_its_own_price_throughout() -> None:
    haiku = row("claude-haiku-5-5")
    assert cost_usd(Usage(100_000, 1_000_000), haiku) == pytest.approx(0.01 + 0.5)
    assert cost_usd(Usage(100_001, 1_000_000), haiku) == pytest.approx(0.0500005 + 2.5)
    # What is read from the cache counts towards the length.
    assert cost_usd(Usage(1, 0, 100_000), haiku) == pytest.approx((0.5 + 0.05 * 100_000) / 1e6)


# --- the files ----------------------------------------------------------------------------


def test_every_cell_of_the_overrides_has_a_source() -> None:
    document = yaml.safe_load((DATA / "overrides.yaml").read_text(encoding="utf-8"))
    sources, used = document["sources"], set()
    for group in document["groups"]:
        cells = {key: cell for key, cell in group.items() if key not in ("for", "except", "capabilities")}
        for key, cell in {**cells, **group.get("capabilities", {})}.items():
            assert set(cell) == {"is", "by"}, (group["for"], key)
            assert cell["by"] in sources, (group["for"], key)
            used.add(cell["by"])
    assert used == set(sources)


def test_every_group_of_the_overrides_matches_something() -> None:
    document = yaml.safe_load((DATA / "overrides.yaml").read_text(encoding="utf-8"))
    for group in document["groups"]:
        for pattern in group["for"]:
            assert CATALOGUE.matching(pattern), pattern


def refresh(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(root / "scripts" / "refresh-catalogue")
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


def test_the_figures_are_those_of_the_price_list(root: Path, shared: Path) -> None:
    done = refresh(root, "--models-csv", str(shared / "data" / "models.csv"), "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_fills_in_what_a_table_says_and_nothing_else(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "addon" / "pointsman" / "data", tmp_path / "addon" / "pointsman" / "data")
    (tmp_path / "scripts").mkdir()
    shutil.copy(root / "scripts" / "refresh-catalogue", tmp_path / "scripts")
    table = tmp_path / "models.csv"
    columns = (
        "model,litellm_key,provider,input_usd_per_mtok,output_usd_per_mtok,cache_read_usd_per_mtok,"
        "context_window,max_output,vision,tools,reasoning,prompt_caching,price_source,role"
    )
    line = "zai/glm-9,zai/glm-9,zai,1.0,3.0,,200000,,1,1,1,0,litellm 2.0.0,current"
    table.write_text(f"{columns}\n{line}\n", encoding="utf-8")
    assert refresh(tmp_path, "--models-csv", str(table), "--check").returncode == 1
    assert refresh(tmp_path, "--models-csv", str(table)).stdout == "135 models from litellm 2.0.0\n"
    written = yaml.safe_load(
        (tmp_path / "addon" / "pointsman" / "data" / "models.json").read_text(encoding="utf-8")
    )
    glm = written["models"]["glm-9"]
    assert glm["prices"] == {
        "input": 1.0,
        "output": 3.0,
        "cache_read": None,
        "cache_write": None,
        "cache_write_1h": None,
    }
    assert glm["max_output_tokens"] is None
    assert glm["context_tokens"] == 200_000
