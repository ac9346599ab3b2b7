"""Options become settings: declaration in mitmproxy, precedence, defaults, and mistakes."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.options import Options
from pointsman import config_capabilities, config_models, config_routes, options, paths
from pointsman.errors import ConfigError
from pointsman.options import OPTIONS, SCALARS, Settings, build, changed, check_names, find_config
from pointsman.surface import surfaces


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a home of its own, so that no router.yaml of this machine is found."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


def given(**settings: Any) -> SimpleNamespace:
    return SimpleNamespace(**{f"router_{name}": value for name, value in settings.items()})


def declared() -> Options:
    """mitmproxy's own options with ours added, as its loader does it."""
    master = Options()

    class Loader:
        def add_option(self, name: str, typespec: Any, default: Any, help: str, choices: Any = None) -> None:
            master.add_option(name, typespec, default, help, choices)

    options.add_options(Loader())
    return master


# --- in mitmproxy -------------------------------------------------------------------------


def test_mitmproxy_takes_every_option_and_its_defaults_build() -> None:
    master = declared()
    assert build(master) == build(SimpleNamespace())
    for option in OPTIONS:
        assert getattr(master, option.name) == option.default


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_explains_itself_in_one_paragraph(option: options.Option) -> None:
    assert len(option.help) > 30
    assert option.help.endswith(".")
    assert "\n" not in option.help


def test_set_on_the_command_line_arrives() -> None:
    master = declared()
    master.set(
        "router_marker=comment",
        "router_max_price_ratio=0.5",
        "router_log_prompts",
        "router_session_ttl_s=60",
        "router_hosts=anthropic=a.example",
        "router_hosts=anthropic=b.example:8443",
    )
    settings = build(master)
    assert (settings.marker, settings.max_price_ratio, settings.log_prompts) == ("comment", 0.5, True)
    assert settings.session_ttl_s == 60
    assert settings.hosts["anthropic"][1:] == (("a.example", 443), ("b.example", 8443))


def test_options_imports_no_mitmproxy(root: Path) -> None:
    for name in ("options", "config", "config_models", "checks", "yaml_nodes", "catalogue"):
        source = (root / "addon" / "pointsman" / f"{name}.py").read_text(encoding="utf-8")
        modules = {
            node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)
        }
        assert not any(module.startswith("mitmproxy") for module in modules)


# --- defaults and precedence --------------------------------------------------------------


def test_defaults(away: Path) -> None:
    settings = build(SimpleNamespace())
    assert settings.enabled
    assert (settings.marker, settings.fail, settings.subscription) == ("auto", "open", "passthrough")
    assert settings.max_price_ratio == 1.0
    assert settings.bundle == ""
    assert not settings.log_prompts
    assert not settings.log_embeddings
    assert settings.embed_timeout_ms == 1500
    assert settings.max_body_bytes == 64 * 1024 * 1024
    assert settings.db == paths.default_database() == away / "data" / "pointsman" / "pointsman.sqlite"
    assert (settings.routes, settings.warnings, settings.config) == ((), (), None)
    assert settings.catalogue.resolve("claude-opus-4-8")


def test_the_file_wins_over_defaults_and_options_over_the_file(away: Path) -> None:
    (away / "work" / "router.yaml").write_text("marker: text\nmax_price_ratio: 2\nfail: closed\ndb: p.db\n")
    settings = build(given(marker="comment", max_price_ratio="1.0"))
    assert settings.marker == "comment"
    assert settings.fail == "closed"
    assert settings.max_price_ratio == 2.0  # an option at its default does not count as set
    assert settings.db == away / "work" / "p.db"
    assert settings.config == away / "work" / "router.yaml"
    assert build(given(db="~/x.db")).db == away / "home" / "x.db"


def test_which_file_is_found(away: Path) -> None:
    assert find_config("") is None
    (away / "config" / "pointsman").mkdir(parents=True)
    (away / "config" / "pointsman" / "router.yaml").write_text("marker: text\n")
    assert build(SimpleNamespace()).marker == "text"
    (away / "work" / "router.yaml").write_text("marker: comment\n")
    assert build(SimpleNamespace()).marker == "comment"
    named = away / "named.yaml"
    named.write_text("marker: off\n")
    assert build(given(config=str(named))).marker == "off"


def test_a_named_file_must_exist(away: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yaml: router_config: there is no such file"):
        build(given(config=str(away / "absent.yaml")))


def test_hosts_of_file_and_option_add_up(away: Path) -> None:
    (away / "work" / "router.yaml").write_text("hosts: {anthropic: [one.example]}\n")
    settings = build(given(hosts=["anthropic=two.example:8443"]))
    own = {host for surface in surfaces().values() for host in surface.HOSTS}
    assert settings.provider_hosts == own | {"one.example", "two.example"}
    assert settings.surfaces_of("API.anthropic.com.") == ("anthropic",)
    assert settings.surfaces_of("anthropic.com") == ()
    assert settings.surfaces_of("one.example", 80) == ("anthropic",)  # without TLS
    assert settings.surfaces_of("one.example", 443)
    assert settings.surfaces_of("two.example", 8443)
    assert not settings.surfaces_of("two.example", 443)
    assert not settings.surfaces_of("api.anthropic.com.evil.example", 443)


def test_routing_subscriptions_is_warned_about() -> None:
    (warning,) = build(given(subscription="route")).warnings
    assert "forbid" in warning


# --- mistakes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"marker": "loud"}, "router_marker: must be auto, text, comment or off, not 'loud'"),
        ({"db": "~nobody-here/x"}, "router_db: starts with the home of a user who has none"),
        ({"config": "~nobody-here/x"}, "router_config: starts with the home of a user who has none"),
        ({"fail": ""}, "router_fail: must be open or closed, not ''"),
        ({"max_price_ratio": "cheap"}, "router_max_price_ratio: must be a number, not 'cheap'"),
        ({"max_price_ratio": "nan"}, "router_max_price_ratio: must be a number, not 'nan'"),
        ({"max_price_ratio": -0.5}, "router_max_price_ratio: must be between 0 and 1000, not -0.5"),
        ({"embed_timeout_ms": 0}, "router_embed_timeout_ms: must be between 1 and 60000, not 0"),
        ({"session_ttl_s": True}, "router_session_ttl_s: must be a whole number, not True"),
        ({"log_prompts": 3}, "router_log_prompts: must be true or false, not 3"),
        (
            {"hosts": ["a.example"]},
            "router_hosts: must be surface=host, for example anthropic=llm.example.com",
        ),
        (
            {"hosts": ["antropic=a.example"]},
            "router_hosts: 'antropic' is not a known surface; did you mean anthropic?",
        ),
        ({"hosts": ["anthropic=http://a"]}, "router_hosts: must be a host name"),
    ],
)
def test_a_wrong_option_is_named_with_what_would_be_right(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(given(**settings))
    assert str(caught.value).startswith(message)


def test_a_broken_file_is_refused_as_a_whole(away: Path) -> None:
    (away / "work" / "router.yaml").write_text("marker: text\nfail: maybe\n")
    with pytest.raises(ConfigError, match=r"router\.yaml:2: fail: must be open or closed, not 'maybe'"):
        build(SimpleNamespace())


# --- changes while running ----------------------------------------------------------------


def test_a_changed_file_is_noticed(away: Path) -> None:
    file = away / "work" / "router.yaml"
    file.write_text("marker: text\n")
    settings = build(SimpleNamespace())
    assert not changed(settings)
    assert settings.fingerprint() == settings.stamp
    file.write_text("marker: comment\n")
    assert changed(settings)
    assert not changed(build(SimpleNamespace()))
    file.unlink()
    assert changed(settings)


def test_a_file_that_appears_is_noticed(away: Path) -> None:
    settings = build(SimpleNamespace())
    assert not changed(settings)
    (away / "work" / "router.yaml").write_text("marker: text\n")
    assert changed(settings)


def test_a_named_file_that_disappears_is_a_change(away: Path) -> None:
    file = away / "r.yaml"
    file.write_text("marker: text\n")
    settings = build(given(config=str(file)))
    file.unlink()
    assert changed(settings)


def test_settings_are_frozen_and_every_scalar_is_among_them() -> None:
    settings = build(SimpleNamespace())
    with pytest.raises(AttributeError):
        settings.marker = "text"  # type: ignore[misc]
    assert {option.setting for option in SCALARS} <= set(Settings.__slots__)


# --- documentation ------------------------------------------------------------------------


def test_every_option_and_key_is_documented(root: Path) -> None:
    text = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    for option in OPTIONS:
        assert f"`{option.name}`" in text
        assert option.help in " ".join(text.split())


def test_the_documented_example_is_right(root: Path, tmp_path: Path) -> None:
    text = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
    settings = build(given(config=str(tmp_path / "example.yaml")))
    assert [route.strategy for route in settings.routes] == ["passthrough", "cluster", "fixed"]
    assert settings.warnings == ()


def test_every_key_of_a_route_and_a_model_is_documented(root: Path) -> None:
    text = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    table = {word for line in text.splitlines() if line.startswith("| `") for word in line.split("`")}
    assert set(config_routes.ROUTE_KEYS) <= table
    assert set(config_models.KEYS) <= table
    assert set(config_routes.KNOBS) <= table
    models = (root / "docs" / "models.md").read_text(encoding="utf-8")
    for name in config_capabilities.CAPABILITIES:
        assert f"`{name}`" in models


def test_a_name_that_no_script_defines_is_a_mistake() -> None:
    """mitmproxy keeps it for later and says nothing."""
    check_names(["flow_detail", "another_script"])
    with pytest.raises(ConfigError, match=r"router_markr: .*did you mean router_marker"):
        check_names(["another_script", "router_markr"])
