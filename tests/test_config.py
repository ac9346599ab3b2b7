"""router.yaml: what it can say, and each mistake as one error with its place and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pointsman import config, config_capabilities
from pointsman.catalogue import Catalogue
from pointsman.config import File
from pointsman.config_providers import read_providers
from pointsman.config_routers import read_routers
from pointsman.config_routes import Route
from pointsman.errors import ConfigError
from pointsman.options import SCALARS
from pointsman.scoring.knobs import Overrides
from pointsman.values import Facts, TurnKind

RULES = {option.setting: option.rule for option in SCALARS}
CATALOGUE = Catalogue.load()


def read(folder: Path, text: str | bytes) -> File:
    path = folder / "router.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.read(path, RULES, CATALOGUE)


def facts(
    model: str = "claude-opus-4-8", turn: TurnKind = TurnKind.MAIN, surface: str = "anthropic"
) -> Facts:
    return Facts(
        surface=surface,
        endpoint="generate",
        requested_model=model,
        stream=True,
        turn=turn,
        user_texts=(),
        tool_loop=False,
        session_hint=None,
        first_user_text="",
        client="unknown",
        message_count=1,
        input_tokens_estimate=10,
    )


# --- what it can say ----------------------------------------------------------------------


def test_no_file_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    catalogue = CATALOGUE.with_providers(read_providers(None))
    nothing = File({}, {}, (), catalogue, read_routers(None, catalogue))
    assert config.read(None, RULES, CATALOGUE) == nothing
    for text in ("", "\n", "# nothing\n", "---\n"):
        assert read(tmp_path, text) == nothing


def test_settings_keep_their_types(tmp_path: Path) -> None:
    file = read(
        tmp_path,
        "marker: off\nfail: closed\nmax_price_ratio: 1.5\nlog_prompts: yes\nembed_timeout_ms: 200\n"
        "subscription: route\nenabled: false\nsession_ttl_s: 60\nmax_body_bytes: 1e6\nbundle: 2024\n",
    )
    assert file.values == {
        "marker": "off",  # YAML 1.1 alone would read False
        "fail": "closed",
        "max_price_ratio": 1.5,
        "log_prompts": True,
        "embed_timeout_ms": 200,
        "subscription": "route",
        "enabled": False,
        "session_ttl_s": 60,
        "max_body_bytes": 1_000_000,
        "bundle": "2024",
    }
    assert type(file.values["max_body_bytes"]) is int


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = read(tmp_path, "db: logs/p.sqlite\nbundle: ./mine/v3\n")
    assert file.values == {"db": str(tmp_path / "logs" / "p.sqlite"), "bundle": str(tmp_path / "mine" / "v3")}
    assert read(tmp_path, "db: /var/p.sqlite\nbundle: v0.1\n").values == {
        "db": "/var/p.sqlite",
        "bundle": "v0.1",
    }


def test_bundles_are_a_list_or_words_with_commas(tmp_path: Path) -> None:
    for text, bundles in (
        ("bundles: all", ("all",)),
        ("bundles: v0.1, v0.2", ("v0.1", "v0.2")),
        ("bundles: [v0.1, latest]", ("v0.1", "latest")),
        ("bundles: [mine/v1, 'v0.1, /srv/v2']", (f"{tmp_path}/mine/v1", "v0.1", "/srv/v2")),
        ("bundles: []", ()),
    ):
        assert read(tmp_path, text).values["bundles"] == bundles
    with pytest.raises(ConfigError, match=r"router\.yaml:1: bundles: must be a list"):
        read(tmp_path, "bundles: {v0.1: yes}")


def test_hosts_are_added_to_the_providers_own(tmp_path: Path) -> None:
    hosts = read(tmp_path, "hosts:\n  anthropic: [LLM.example.com, gw.example.com:8443]\n").hosts
    assert config.all_hosts(hosts, {"anthropic": ("llm.example.com",)})["anthropic"] == (
        ("api.anthropic.com", 443),
        ("llm.example.com", 443),
        ("gw.example.com", 8443),
    )
    assert read(tmp_path, "hosts: {anthropic: one.example.com}\n").hosts == {
        "anthropic": ("one.example.com",)
    }


def test_every_capability_of_the_shipped_rows_can_be_said(tmp_path: Path) -> None:
    """What a user copies from a row must be taken; two columns of the price table are for people only."""
    said = {key for row in Catalogue.load().models for key in row.capabilities}
    assert said - {"reasoning", "prompt_cache"} <= set(config_capabilities.CAPABILITIES)
    text = "models: {gemini-2.5-pro: {capabilities: {thinking_budget: [1, 9], candidates: 2, chat: no}}}\n"
    row = read(tmp_path, text).catalogue.resolve("gemini-2.5-pro")
    assert row is not None
    assert (row.capabilities["thinking_budget"], row.capabilities["candidates"]) == ((1, 9), 2)


def test_a_route_says_everything_once(tmp_path: Path) -> None:
    text = """
    routes:
      - name: strong
        surface: anthropic
        requested: claude-opus-*
        turn: [main, subagent]
        strategy: cluster
        candidates: [claude-sonnet-5-5, claude-haiku-*, claude-fable-5]
        knobs: {alpha: 0.7, speed_weight: 0.1, output_cost_ratio: 2, expected_output_tokens: 500,
                per_model_verbosity: true}
        max_price_ratio: 0.5
        min_quality_tier: 2
    """
    (route,) = read(tmp_path, text).routes
    assert route == Route(
        name="strong",
        surface="anthropic",
        requested="claude-opus-*",
        names_turn=True,
        candidates=("claude-sonnet-5-5", "claude-haiku-4-5", "claude-haiku-5-5", "claude-fable-5"),
        knobs=Overrides(0.7, 0.1, 2.0, 500, True),
        max_price_ratio=0.5,
        min_quality_tier=2,
    )
    assert route.allows is not None
    assert route.allows("claude-haiku-4-5")
    assert not route.allows("claude-opus-4-8")


def test_a_glob_never_opts_in_and_never_takes_a_retired_model(tmp_path: Path) -> None:
    (route,) = read(tmp_path, "routes: [{candidates: claude-*}]").routes
    assert route.candidates
    assert not any("fable" in name or "mythos" in name or "-3-" in name for name in route.candidates)
    assert read(tmp_path, "routes: [{strategy: cluster}]").routes[0].allows is None


def test_fixed_keeps_the_name_as_it_is_written(tmp_path: Path) -> None:
    (route,) = read(tmp_path, "routes: [{strategy: fixed, model: claude-haiku-4-5-20251001}]").routes
    assert (route.strategy, route.model, route.name) == ("fixed", "claude-haiku-4-5-20251001", "route 1")


def test_which_actions_a_route_is_for() -> None:
    route = Route("r", requested="claude-opus-*")
    assert route.matches(facts("claude-opus-4-8"))
    assert not route.matches(facts("claude-sonnet-5"))
    assert not route.matches(facts(turn=TurnKind.TITLE))
    assert Route("r", requested="claude-haiku-4-5").matches(facts("claude-haiku-4-5-20251001"))
    assert Route("r", requested="claude-haiku-4-5-2025*").matches(facts("claude-haiku-4-5-20251001"))
    assert Route("r", requested="Claude-Opus-4-8").matches(facts("claude-opus-4-8[1m]"))
    assert not Route("r", surface="gem*").matches(facts())


def test_background_turns_are_taken_only_when_named(tmp_path: Path) -> None:
    text = "routes: [{turn: background}, {turn: any}, {turn: [title, main]}, {}]"
    background, everything, some, plain = read(tmp_path, text).routes
    assert background.matches(facts(turn=TurnKind.TITLE))
    assert not background.matches(facts())
    assert everything.turns == frozenset(TurnKind)
    assert some.turns == {TurnKind.TITLE, TurnKind.MAIN}
    assert [route.names_turn for route in (background, everything, some, plain)] == [True, True, True, False]
    assert plain.turns == {TurnKind.MAIN, TurnKind.SUBAGENT}


def test_a_route_behind_one_that_takes_everything_is_warned_about(tmp_path: Path) -> None:
    file = read(tmp_path, "routes: [{name: all}, {name: late, requested: claude-opus-*}]")
    assert [warning.split(": ", 1)[1] for warning in file.warnings] == [
        "late never applies, since all takes all of it"
    ]
    assert read(tmp_path, "routes: [{requested: claude-opus-*}, {name: rest}]").warnings == ()
    assert read(tmp_path, "routes: [{name: all}, {turn: title}]").warnings == ()


def test_models_are_changed_and_added(tmp_path: Path) -> None:
    text = """
    models:
      claude-opus-4-8:
        prices: {input: 4, cache_write: null}
        quality_tier: 3
        opt_in: true
        capabilities: {effort: [low, high], system_role: no, thinking_default: null}
      claude-next: {like: claude-opus-5-5, aliases: [next, newest], prices: {output: 30}}
      mystery: {provider: elsewhere, context_tokens: 100000}
    """
    models = read(tmp_path, text).catalogue
    opus = models.resolve("claude-opus-4-8")
    assert opus
    assert (opus.prices.input, opus.prices.output, opus.prices.cache_write) == (4.0, 25.0, None)
    assert (opus.quality_tier, opus.opt_in) == (3, True)
    assert opus.capabilities["effort"] == ("low", "high")
    assert opus.capabilities["system_role"] is False
    assert opus.capabilities["thinking_default"] is None
    assert opus.capabilities["thinking"] == ("adaptive", "disabled")
    new = models.resolve("newest")
    assert new
    assert (new.name, new.provider, new.prices.input, new.prices.output) == (
        "claude-next",
        "anthropic",
        4.0,
        30.0,
    )
    assert new.target
    mystery = models.resolve("mystery")
    assert mystery
    assert not mystery.target
    assert CATALOGUE.resolve("claude-opus-4-8") != opus


def test_a_retired_model_can_be_made_a_target(tmp_path: Path) -> None:
    text = "models: {claude-opus-4-1: {target: true}}\nroutes: [{candidates: [claude-opus-4-1]}]"
    file = read(tmp_path, text)
    assert file.routes[0].candidates == ("claude-opus-4-1",)


def test_an_added_model_can_be_a_candidate(tmp_path: Path) -> None:
    file = read(
        tmp_path, "routes: [{candidates: [next]}]\nmodels: {n: {like: claude-opus-5, aliases: [next]}}"
    )
    assert file.routes[0].candidates == ("n",)


# --- mistakes -----------------------------------------------------------------------------

MISTAKES = [
    # Not YAML, or not a mapping.
    ("marker: [text", "1", "", "is not YAML"),
    ("a:\n\tb: 1", "2", "", "a tab cannot indent YAML; use spaces"),
    ("a: 1\n b: 2", "2", "", "is not YAML: mapping values are not allowed here"),
    ("marker: text\n---\nmarker: off", "2", "", "single document"),
    ("marker: *nowhere", "1", "", "undefined alias"),
    ("[1, 2]", "1", "", "must be a mapping of keys to values, not a list"),
    ("just words", "1", "", "must be a mapping of keys to values, not 'just words'"),
    ("a: 1\nmark\x00er: text", "", "", "is not YAML: unacceptable character"),
    ("? [a]\n: 1", "1", "", "has a key that is not a plain word"),
    # Keys.
    ("\nmraker: text", "2", "mraker", "is not a known key here; did you mean marker?"),
    ("zzz: text", "1", "zzz", "is not a known key here; known are enabled, db, bundle, bundles, marker"),
    ("marker: text\nfail: open\nmarker: off", "3", "marker", "is given twice; it stands in line 1 already"),
    ("<<: {marker: text}", "1", "<<", "is not a known key here"),
    ("config: x", "1", "config", "is not a known key here"),
    # Scalars.
    ("marker: loud", "1", "marker", "must be auto, text, comment or off, not 'loud'"),
    ("marker: Text", "1", "marker", "must be auto, text, comment or off, not 'Text'"),
    ("marker:", "1", "marker", "has no value"),
    ("marker: [text]", "1", "marker", "must be a single value, not a list"),
    ("db: ~nobody-here/x.sqlite", "1", "db", "the home of a user who has none: '~nobody-here/x.sqlite'"),
    ("bundle: ~nobody-here/x", "1", "bundle", "the home of a user who has none"),
    ("fail: {open: true}", "1", "fail", "must be a single value, not a mapping"),
    ("log_prompts: 1", "1", "log_prompts", "must be true or false, not '1'"),
    ("max_price_ratio: high", "1", "max_price_ratio", "must be a number, not 'high'"),
    ("max_price_ratio: .nan", "1", "max_price_ratio", "must be a number, not '.nan'"),
    ("max_price_ratio: .inf", "1", "max_price_ratio", "must be a number, not '.inf'"),
    ("max_price_ratio: -1", "1", "max_price_ratio", "must be between 0 and 1000, not '-1'"),
    ("embed_timeout_ms: 1.5", "1", "embed_timeout_ms", "must be a whole number, not '1.5'"),
    ("embed_timeout_ms: 1:30", "1", "embed_timeout_ms", "must be a whole number, not '1:30'"),
    ("embed_timeout_ms: 0", "1", "embed_timeout_ms", "must be between 1 and 60000, not '0'"),
    # Hosts.
    ("hosts: []", "1", "hosts", "must be a mapping of keys to values, not a list"),
    ("hosts:\n  antropic: [a.example]", "2", "hosts.antropic", "did you mean anthropic?"),
    (
        "hosts:\n  anthropic:\n    - a.example\n    - https://b.example",
        "4",
        "hosts.anthropic[2]",
        "must be a host name",
    ),
    (
        "hosts: {anthropic: ['*.example.com']}",
        "1",
        "hosts.anthropic[1]",
        "must be a host name like api.example.com",
    ),
    (
        "hosts: {anthropic: ['a.example:0']}",
        "1",
        "hosts.anthropic[1]",
        "must have a port between 1 and 65535",
    ),
    ("hosts: {anthropic: }", "1", "hosts.anthropic", "must be a list, not nothing"),
    ("hosts: {anthropic: ['']}", "1", "hosts.anthropic[1]", "must be text and not empty"),
    # Routes.
    ("routes: {a: 1}", "1", "routes", "must be a list, not a mapping"),
    ("routes:\n  - 7", "2", "routes[1]", "must be a mapping of keys to values, not '7'"),
    ("routes:\n  - name: a\n  - name: a", "3", "routes[2]", "there is a route named 'a' already"),
    ("routes:\n  - stratgy: fixed", "2", "routes[1].stratgy", "did you mean strategy?"),
    (
        "routes: [{strategy: random}]",
        "1",
        "routes[1].strategy",
        "must be cluster, fixed, classified or passthrough, not 'random'",
    ),
    (
        "routes: [{surface: antropic}]",
        "1",
        "routes[1].surface",
        "matches no known surface: 'antropic'; did you mean",
    ),
    (
        "routes: [{requested: claude-opsu-*}]",
        "1",
        "routes[1].requested",
        "matches no known model: 'claude-opsu-*'",
    ),
    ("routes: [{requested: 'claude-['}]", "1", "routes[1].requested", "has an open bracket: 'claude-['"),
    ("routes: [{turn: evening}]", "1", "routes[1].turn", "must be main, subagent"),
    ("routes: [{turn: [main, evening]}]", "1", "routes[1].turn[2]", "not 'evening'"),
    (
        "routes: [{model: claude-opus-*}]",
        "1",
        "routes[1].model",
        "the glob over requested models is called requested",
    ),
    ("routes:\n  - name: a\n    strategy: fixed", "3", "routes[1].strategy", "needs a model to serve"),
    (
        "routes: [{strategy: passthrough, model: claude-opus-5}]",
        "1",
        "routes[1].model",
        "only goes with strategy fixed, not passthrough",
    ),
    (
        "routes: [{strategy: fixed, model: claude-opus-55}]",
        "1",
        "routes[1].model",
        "did you mean claude-opus-5-5?",
    ),
    (
        "routes:\n  - strategy: fixed\n    model: claude-opus-5\n    knobs: {alpha: 1}",
        "4",
        "routes[1].knobs",
        "only goes with strategy cluster, not fixed",
    ),
    (
        "routes: [{candidates: [claude-sonnet-5, claude-sonet-4-6]}]",
        "1",
        "routes[1].candidates[2]",
        "'claude-sonet-4-6' is not in the catalogue; did you mean claude-sonnet-4-6?",
    ),
    ("routes: [{candidates: []}]", "1", "routes[1].candidates", "must name at least one model"),
    ("routes: [{candidates: [claude-9-*]}]", "1", "routes[1].candidates[1]", "matches no known model"),
    (
        "routes: [{candidates: [claude-3-opus]}]",
        "1",
        "routes[1].candidates[1]",
        "'claude-3-opus' cannot be picked",
    ),
    ("routes: [{knobs: {alfa: 1}}]", "1", "routes[1].knobs.alfa", "did you mean alpha?"),
    ("routes: [{knobs: {alpha: 1.1}}]", "1", "routes[1].knobs.alpha", "must be between 0 and 1, not '1.1'"),
    (
        "routes: [{knobs: {alpha: 0.7, speed_weight: 0.4}}]",
        "1",
        "routes[1].knobs",
        "must not exceed 1 together",
    ),
    (
        "routes: [{min_quality_tier: 5}]",
        "1",
        "routes[1].min_quality_tier",
        "must be between 1 and 4, not '5'",
    ),
    ("routes: [{max_price_ratio: }]", "1", "routes[1].max_price_ratio", "has no value"),
    # Models.
    ("models: [a]", "1", "models", "must be a mapping of keys to values, not a list"),
    (
        "models:\n  claude-opus-4-8:\n    price: {}",
        "3",
        "models.claude-opus-4-8.price",
        "did you mean prices?",
    ),
    ("models: {m: {prices: {input: 1}}}", "1", "models.m", "a new row needs a provider, or like: MODEL"),
    (
        "models: {claude-haiku-4-5-20251001: {}}",
        "1",
        "models.claude-haiku-4-5-20251001",
        "(claude-haiku-4-5 is)",
    ),
    ("models: {m: {like: claude-opus-99}}", "1", "models.m.like", "'claude-opus-99' is not in the catalogue"),
    (
        "models: {claude-opus-5: {prices: {input: free}}}",
        "1",
        "models.claude-opus-5.prices.input",
        "must be a number",
    ),
    (
        "models: {claude-opus-5: {prices: {input: -1}}}",
        "1",
        "models.claude-opus-5.prices.input",
        "must be between 0",
    ),
    (
        "models: {claude-opus-5: {quality_tier: 0}}",
        "1",
        "models.claude-opus-5.quality_tier",
        "between 1 and 4",
    ),
    ("models: {claude-opus-5: {opt_in: }}", "1", "models.claude-opus-5.opt_in", "has no value"),
    (
        "models: {claude-opus-5: {aliases: [claude-opus-4-8]}}",
        "1",
        "models.claude-opus-5",
        "belongs to another model",
    ),
    (
        "models: {claude-opus-5: {capabilities: {efort: [low]}}}",
        "1",
        "models.claude-opus-5.capabilities.efort",
        "effort",
    ),
    (
        "models: {claude-opus-5: {capabilities: {sampling: some}}}",
        "1",
        "models.claude-opus-5.capabilities.sampling",
        "must be all, one or none, not 'some'",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_error_with_its_place(
    tmp_path: Path, text: str, line: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    error = caught.value
    assert (str(error.line or ""), error.key) == (line, key)
    place = f"{tmp_path / 'router.yaml'}" + (f":{line}" if line else "") + (f": {key}" if key else "")
    assert str(error).startswith(f"{place}: ")
    assert says in str(error)
    assert "\n" not in str(error)


def test_what_is_no_text_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"router\.yaml:2: is not UTF-8 text"):
        read(tmp_path, b"marker: text\nfail: \xff\n")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory"):
        config.read(tmp_path, RULES, CATALOGUE)


def test_endless_nesting_is_an_error_and_no_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, "a: " + "[" * 20_000)
    with pytest.raises(ConfigError):
        read(tmp_path, "routes: &r [*r]")


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"%@#\t\n ,?1.routesmdlhn"), max_size=60))
def test_any_text_is_read_or_refused_as_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        read(folder, text)
    except ConfigError as error:
        assert str(error).startswith(str(folder / "router.yaml"))
        assert "\n" not in str(error)


# --- changes ------------------------------------------------------------------------------


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    assert config.stamp(None) == ""
    missing = config.stamp(path)
    path.write_text("marker: text\n", encoding="utf-8")
    first = config.stamp(path)
    assert config.stamp(path) == first != missing
    path.write_text("marker: comment\n", encoding="utf-8")
    second = config.stamp(path)
    assert second != first
    replacement = tmp_path / "new.yaml"
    replacement.write_text("marker: xommexx\n", encoding="utf-8")
    replacement.rename(path)
    assert config.stamp(path) not in (first, second)
