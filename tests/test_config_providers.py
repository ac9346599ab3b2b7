"""Providers: the presets, what router.yaml changes of them, and names that lead to them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pointsman import config, config_providers, options
from pointsman.catalogue import HOME, Catalogue
from pointsman.config import File
from pointsman.config_providers import QUIRKS, is_private, presets, switches, url_problem
from pointsman.errors import ConfigError
from pointsman.options import SCALARS
from pointsman.surface import surfaces
from pointsman.upstream.bindings import available
from pointsman.values import Binding, Prices, Provider

RULES = {option.setting: option.rule for option in SCALARS}
CATALOGUE = Catalogue.load()
PRESETS = presets({})
KEY = "sk-ant-api03-planted5f2b8a"


def read(folder: Path, text: str, environ: dict[str, str] | None = None) -> File:
    path = folder / "router.yaml"
    path.write_text(text)
    return config.read(path, RULES, CATALOGUE, environ or {})


def provider(folder: Path, text: str, environ: dict[str, str] | None = None) -> Provider:
    return read(folder, f"providers: {{mine: {text}}}", environ).catalogue.providers["mine"]


# --- presets ------------------------------------------------------------------------------


def test_the_presets_that_there_have_to_be() -> None:
    assert set(PRESETS) >= {
        "anthropic", "openai", "gemini", "openrouter", "fireworks", "together", "deepseek", "moonshot",
        "minimax", "zai", "mistral", "groq", "xai", "litellm_proxy", "local",
    }  # fmt: skip


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_preset_is_well_formed(preset: Provider) -> None:
    assert preset.surface in surfaces()
    assert preset.base_url or switches(preset.name)
    if preset.base_url:
        assert url_problem(preset.base_url) == ""
        assert preset.base_url.startswith("https://") and not preset.base_url.endswith("/")
    assert not preset.models_of or CATALOGUE.provider(preset.models_of)
    assert set(preset.names) <= {row.name for row in CATALOGUE.provider(preset.models_of)}
    for header in preset.headers:
        assert header == header.lower()
    assert not {"model", "messages", "stream"} & set(preset.extra)
    assert preset.quirks <= set(QUIRKS[preset.surface])


@pytest.mark.parametrize("surface", ["anthropic", "openai_chat", "openai_responses", "gemini"])
def test_base_urls_end_where_the_paths_of_their_surface_begin(surface: str) -> None:
    bare = "deepseek"  # whose own documentation leaves the version out
    urls = [
        one.base_url
        for one in PRESETS.values()
        if one.surface == surface and one.base_url and one.name != bare
    ]
    assert urls
    for url in urls:
        last = url.rpartition("/")[2]
        versioned = last[:1] == "v" and last[1:2].isdigit()
        assert versioned is (surface != "anthropic")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_switched_on_by_its_variables_and_by_nothing_else(name: str) -> None:
    assert not available(PRESETS[name], {})
    values = {"url": "http://localhost:4000", "key": KEY}
    environ = {
        variable: values["url" if variable.endswith(("_URL", "_BASE")) else "key"]
        for variable in switches(name)
    }
    assert available(presets(environ)[name], environ)
    unset = dict.fromkeys(environ, "")
    assert not available(presets(unset)[name], unset)
    assert KEY not in repr(presets(environ)[name])


@pytest.mark.parametrize("surface", QUIRKS)
def test_the_quirks_are_those_that_the_writers_know(surface: str) -> None:
    text = (config_providers.DATA.parent / "wire" / surface / "request_writer.py").read_text()
    listed = re.search(r"copy this API:\n\n(.*?)\n\"\"\"", text, re.DOTALL)
    words = re.findall(r"^    (\w+(?:, \w+)*)  ", listed[1], re.MULTILINE) if listed else []
    assert [word for line in words for word in line.split(", ")] == list(QUIRKS[surface])
    assert set(re.findall(r'"(\w+)" (?:not )?in target\.quirks', text)) <= set(QUIRKS[surface])


def test_the_first_variable_that_is_set_holds_the_key() -> None:
    assert PRESETS["gemini"].key_env == "GEMINI_API_KEY"
    assert presets({"GOOGLE_API_KEY": "k"})["gemini"].key_env == "GOOGLE_API_KEY"
    assert presets({"GOOGLE_API_KEY": "k", "GEMINI_API_KEY": "k"})["gemini"].key_env == "GEMINI_API_KEY"


def test_every_preset_says_where_it_is_from() -> None:
    """A comment stands right above it, or above the one that shares its account."""
    text = (config_providers.DATA / "providers.yaml").read_text().splitlines()
    rows = yaml.safe_load("\n".join(text))
    for number, line in enumerate(text):
        name = line.partition(":")[0]
        if name in rows and name.rpartition("_")[0] not in rows:
            assert text[number - 1].startswith("# "), name


def test_a_gateways_address_may_come_from_the_environment() -> None:
    environ = {"LITELLM_PROXY_API_BASE": "http://localhost:4000/", "LITELLM_PROXY_API_KEY": "sk-1"}
    assert presets(environ)["litellm_proxy"].base_url == "http://localhost:4000"
    for wrong in ("localhost:4000", "http://example.com", "https://user:pw@example.com", ""):
        assert presets({"LITELLM_PROXY_API_BASE": wrong})["litellm_proxy"].base_url == ""


# --- router.yaml --------------------------------------------------------------------------


def test_a_provider_of_ones_own(tmp_path: Path) -> None:
    text = """
    providers:
      gateway:
        base_url: https://llm.example.com/v1/
        surface: openai_chat
        key: {env: [FIRST_KEY, SECOND_KEY]}
        models_of: anthropic
        names: {claude-opus-5: big}
        quirks: [openrouter]
        headers: {X-Team: routing}
        extra: {provider: {order: [anthropic], sort: null}, top_k: 5, ratio: 0.5, on: true}
    """
    found = read(tmp_path, text, {"SECOND_KEY": "k"}).catalogue.providers
    assert set(found) == {*PRESETS, "gateway"}
    assert found["gateway"] == Provider(
        name="gateway",
        surface="openai_chat",
        base_url="https://llm.example.com/v1",
        key_env="SECOND_KEY",
        models_of="anthropic",
        names={"claude-opus-5": "big"},
        quirks=frozenset({"openrouter"}),
        headers={"x-team": "routing"},
        extra={"provider": {"order": ["anthropic"], "sort": None}, "top_k": 5, "ratio": 0.5, "on": True},
    )


def test_a_key_may_lie_in_a_file_beside_router_yaml_or_be_none(tmp_path: Path) -> None:
    base = "base_url: http://localhost:8000/v1, surface: openai_chat"
    assert provider(tmp_path, f"{{{base}, key: {{file: keys/mine}}}}").key_file == str(
        tmp_path / "keys" / "mine"
    )
    assert provider(tmp_path, f"{{{base}, key: {{file: /etc/key}}}}").key_file == "/etc/key"
    for none in ("none", "None", "null", ""):
        assert not available(PRESETS["groq"], {})
        assert available(provider(tmp_path, f"{{{base}, key: {none}}}"), {})


def test_a_preset_can_be_changed_and_copied(tmp_path: Path) -> None:
    coding = "zai: {base_url: https://api.z.ai/api/coding/paas/v4}"
    text = f"providers: {{{coding}, second: {{like: groq, key: {{env: K2}}}}}}"
    found = read(tmp_path, text).catalogue.providers
    assert (found["zai"].key_env, found["zai"].models_of) == ("ZAI_API_KEY", "zai")
    assert found["zai"].base_url.endswith("/coding/paas/v4")
    assert (found["second"].name, found["second"].key_env) == ("second", "K2")
    assert found["second"].base_url == PRESETS["groq"].base_url
    local = read(tmp_path, "providers: {local: {base_url: 'http://[::1]:11434/v1'}}").catalogue.providers[
        "local"
    ]
    assert available(local, {})


MISTAKES = [
    ("providers: [groq]", "1", "providers", "must be a mapping of keys to values, not a list"),
    ("providers: {Groq: {}}", "1", "providers.Groq", "a word in small letters, and not origin"),
    ("providers: {origin: {like: groq}}", "1", "providers.origin", "and not origin"),
    ("providers: {groq: {bas_url: x}}", "1", "providers.groq.bas_url", "did you mean base_url?"),
    ("providers: {mine: {like: grok}}", "1", "providers.mine.like", "not 'grok'"),
    ("providers: {mine: {surface: openai_chat}}", "1", "providers.mine", "needs a base_url, or like"),
    ("providers: {mine: {base_url: https://a.example}}", "1", "providers.mine", "needs a surface, or like"),
    (
        "providers:\n  mine:\n    base_url: https://a.example\n    surface: antropic\n    key: none",
        "4",
        "providers.mine.surface",
        "must be anthropic, gemini, openai_chat or openai_responses, not 'antropic'",
    ),
    (
        "providers: {mine: {base_url: https://a.example, surface: anthropic}}",
        "1",
        "providers.mine",
        "needs a key: {env: NAME}, {file: PATH}, or none",
    ),
    (
        "providers: {local: {base_url: llm.example.com}}",
        "1",
        "providers.local.base_url",
        "must be an address like",
    ),
    (
        "providers: {local: {base_url: 'https://[::1'}}",
        "1",
        "providers.local.base_url",
        "must be an address like",
    ),
    (
        "providers: {local: {base_url: 'https://a.example:port'}}",
        "1",
        "providers.local.base_url",
        "an address",
    ),
    (
        "providers: {local: {base_url: 'ftp://a.example'}}",
        "1",
        "providers.local.base_url",
        "not 'ftp://a.example'",
    ),
    ("providers: {local: {base_url: 'http://a.example'}}", "1", "providers.local.base_url", "must be https"),
    ("providers: {local: {base_url: 'http://8.8.8.8'}}", "1", "providers.local.base_url", "must be https"),
    (
        "providers: {local: {base_url: 'https://a.example/v1?x=1'}}",
        "1",
        "providers.local.base_url",
        "its path",
    ),
    (
        "providers: {groq: {base_url: https://elsewhere.example/v1}}",
        "1",
        "providers.groq.base_url",
        "leads to another host, so say which key goes there",
    ),
    ("providers: {groq: {key: {}}}", "1", "providers.groq.key", "must be one of {env: NAME}"),
    ("providers: {groq: {key: {env: A, file: b}}}", "1", "providers.groq.key", "must be one of {env: NAME}"),
    ("providers: {groq: {key: {environ: A}}}", "1", "providers.groq.key.environ", "did you mean env?"),
    (
        "providers: {groq: {key: {env: []}}}",
        "1",
        "providers.groq.key.env",
        "an environment variable in capitals",
    ),
    ("providers: {groq: {headers: {X-Api-Key: a}}}", "1", "providers.groq.headers.X-Api-Key", "under key"),
    ("providers: {groq: {headers: {host: a}}}", "1", "providers.groq.headers.host", "that can be added"),
    ("providers: {groq: {headers: {'a b': c}}}", "1", "providers.groq.headers.a b", "that can be added"),
    ('providers: {groq: {headers: {a: "b\\nc: d"}}}', "1", "providers.groq.headers.a", "on one line"),
    ("providers: {groq: {extra: {model: a}}}", "1", "providers.groq.extra.model", "is for each request"),
    ("providers: {groq: {extra: {a: [.nan]}}}", "1", "providers.groq.extra.a[1]", "cannot be sent as JSON"),
    ("providers: {groq: {extra: {a: 2020-01-01}}}", "1", "providers.groq.extra.a", "cannot be sent as JSON"),
    ("providers: {groq: {extra: {a: &x [*x]}}}", "1", "providers.groq.extra", "contains itself"),
    ("providers: {groq: {quirks: [no_paralel]}}", "1", "providers.groq.quirks[1]", "not 'no_paralel'"),
    (
        "providers: {groq: {quirks: [no_store]}}",
        "1",
        "providers.groq.quirks",
        "no_store is no quirk of openai_chat",
    ),
    (
        "providers: {mine: {like: zai, surface: anthropic}}",
        "1",
        "providers.mine",
        "is no quirk of anthropic, but of another API",
    ),
    # Bindings.
    (
        "models:\n  claude-opus-5:\n    bindings: [origin, opnrouter/x]",
        "3",
        "models.claude-opus-5.bindings[2]",
        "'opnrouter' is not a provider; did you mean openrouter?",
    ),
    (
        "models: {claude-opus-5: {bindings: [{opnrouter: x}]}}",
        "1",
        "models.claude-opus-5.bindings[1].opnrouter",
        "did you mean openrouter?",
    ),
    (
        "models: {claude-opus-5: {bindings: [{provider: opnrouter}]}}",
        "1",
        "models.claude-opus-5.bindings[1].provider",
        "did you mean openrouter?",
    ),
    (
        "models: {claude-opus-5: {bindings: []}}",
        "1",
        "models.claude-opus-5.bindings",
        "at least one provider",
    ),
    (
        "models: {claude-opus-5: {bindings: [groq/]}}",
        "1",
        "models.claude-opus-5.bindings[1]",
        "PROVIDER/NAME",
    ),
    (
        "models: {claude-opus-5: {bindings: [{model: x}]}}",
        "1",
        "models.claude-opus-5.bindings[1]",
        "must say the provider, or origin",
    ),
    (
        "models: {claude-opus-5: {bindings: [origin, origin]}}",
        "1",
        "models.claude-opus-5.bindings[2]",
        "a second time",
    ),
    (
        "models: {claude-opus-5: {bindings: [{provider: groq, modle: x}]}}",
        "1",
        "models.claude-opus-5.bindings[1].modle",
        "did you mean model?",
    ),
    (
        "models: {claude-opus-5: {bindings: [{provider: groq, prices: {input: x}}]}}",
        "1",
        "models.claude-opus-5.bindings[1].prices.input",
        "must be a number",
    ),
    # Names of models.
    (
        "routes:\n  - strategy: fixed\n    model: opnrouter/moonshotai/kimi-k2.6",
        "3",
        "routes[1].model",
        "begins with no provider's name; did you mean openrouter?",
    ),
    (
        "routes: [{candidates: [claude-opus-5, opnrouter/moonshotai/kimi-k2.6]}]",
        "1",
        "routes[1].candidates[2]",
        "did you mean openrouter?",
    ),
    ("routes: [{strategy: fixed, model: openrouter/}]", "1", "routes[1].model", "is not in the catalogue"),
    ("routes: [{candidates: [local/qwen]}]", "1", "routes[1].candidates[1]", "'local/qwen' cannot be picked"),
]


@pytest.mark.parametrize(("text", "line", "key", "says"), MISTAKES, ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_error_with_its_place(
    tmp_path: Path, text: str, line: str, key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    error = caught.value
    assert (str(error.line), error.key) == (line, key)
    assert str(error).startswith(f"{tmp_path / 'router.yaml'}:{line}: {key}: ")
    assert says in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "text",
    [
        f"key: {KEY}",
        f"key: [{KEY}]",
        f"key: {{env: {KEY}}}",
        f"key: {{env: [GOOD, {KEY}]}}",
        f"key: {{env: {{a: {KEY}}}}}",
        f"key: {{file: {KEY}}}",
        f"key: {{env: {'a1b2c3d4' * 4}}}",
        f"headers: {{authorization: Bearer {KEY}}}",
        f"headers: {{x-note: 'Bearer {KEY}'}}",
        f"headers: {{x-note: [{KEY}]}}",
        f"base_url: 'https://{KEY}@api.groq.com/v1'",
        f"base_url: 'https://api.groq.com/v1?key={KEY}'",
        f"base_url: 'http://me:{KEY}@localhost'",
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"providers: {{groq: {{{text}}}}}")
    error: BaseException | None = caught.value
    while error is not None:
        assert "planted" not in str(error) and "a1b2c3d4" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True), ("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("192.168.0.4", True),
        ("172.16.0.1", True), ("fd00::1", True), ("ollama", True), ("gpu.lan", True),
        ("host.docker.internal", True),
        ("172.32.0.1", False), ("example.com", False), ("localhost.example.com", False), ("8.8.8.8", False),
    ],
)  # fmt: skip
def test_which_hosts_need_no_tls(host: str, private: bool) -> None:
    assert is_private(host) is private


# --- bindings and names -------------------------------------------------------------------


def test_bindings_in_every_form(tmp_path: Path) -> None:
    text = """
    models:
      claude-opus-5:
        bindings:
          - origin
          - openrouter: anthropic/claude-opus-5
          - openrouter/anthropic/claude-opus-5:nitro
          - anthropic
          - provider: groq
            model: opus
            prices: {input: 1}
            context_tokens: 1000
            max_output_tokens: 100
            extra: {provider: {order: [a]}}
      minimax-m2.7: {bindings: [minimax, {provider: minimax_anthropic}]}
      mine: {bindings: [local/qwen3], quality_tier: 1}
      theirs: {bindings: [zai/glm-9]}
    """
    models = read(tmp_path, text).catalogue
    opus = models.rows["claude-opus-5"]
    openrouter = models.providers["openrouter"]
    assert opus.bindings[:4] == (
        Binding(None, "claude-opus-5"),
        Binding(openrouter, "anthropic/claude-opus-5"),
        Binding(openrouter, "anthropic/claude-opus-5:nitro"),
        Binding(models.providers["anthropic"], "claude-opus-5"),
    )
    last = opus.bindings[4]
    assert last.prices == Prices(
        1.0, opus.prices.output, opus.prices.cache_read, opus.prices.cache_write, opus.prices.cache_write_1h
    )
    assert (last.model, last.context_tokens, last.max_output_tokens) == ("opus", 1000, 100)
    assert last.extra == {"provider": {"order": ["a"]}}
    assert [one.model for one in models.rows["minimax-m2.7"].bindings] == ["MiniMax-M2.7", "MiniMax-M2.7"]
    assert models.rows["mine"].provider == "local"
    assert models.rows["theirs"].provider == "zai"


def test_a_name_with_a_provider_is_the_row_of_what_stands_behind_it(tmp_path: Path) -> None:
    models = read(tmp_path, "").catalogue
    for name, row, there in (
        ("openrouter/moonshotai/kimi-k2.6", "kimi-k2.6", "moonshotai/kimi-k2.6"),
        ("OpenRouter/anthropic/claude-haiku-4.5", "claude-haiku-4-5", "anthropic/claude-haiku-4.5"),
        ("litellm_proxy/openai/gpt-5.5", "gpt-5.5", "openai/gpt-5.5"),
        ("minimax/minimax-m2.7", "minimax-m2.7", "MiniMax-M2.7"),
        ("anthropic/claude-haiku-4-5-20251001", "claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ):
        model = models.reference(name)
        assert model is not None and model.name == row
        assert model.prices == models.rows[row].prices
        assert [(one.name, one.model) for one in model.bindings] == [(name.partition("/")[0].lower(), there)]
    unknown = models.reference("groq/llama-9")
    assert unknown is not None
    assert (unknown.name, unknown.target, unknown.prices) == ("groq/llama-9", False, Prices())
    assert models.reference("kimi-k2.6") is models.rows["kimi-k2.6"]
    assert models.resolve("groq/llama-9") is None


def test_a_candidate_that_is_named_twice_has_both_bindings_in_order(tmp_path: Path) -> None:
    names = "openrouter/moonshotai/kimi-k2.6, groq/kimi-k2.6, glm-5, openrouter/z-ai/glm-5"
    text = f"routes: [{{candidates: [{names}]}}]"
    (route,) = read(tmp_path, text).routes
    assert route.candidates == ("kimi-k2.6", "glm-5")
    assert [one.name for one in route.models["kimi-k2.6"].bindings] == ["openrouter", "groq"]
    assert route.models["glm-5"].bindings[0] == HOME
    assert route.models["glm-5"].bindings[1].model == "z-ai/glm-5"


# --- settings -----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


def test_settings_know_which_providers_can_be_asked(tmp_path: Path) -> None:
    environ = {"GROQ_API_KEY": KEY, "POINTSMAN_LOCAL_URL": "http://localhost:11434/v1", "XAI_API_KEY": " "}
    settings = options.build(SimpleNamespace(), environ)
    assert settings.available == {"groq", "local"}
    assert KEY not in repr(settings)


def test_a_name_at_a_provider_that_is_nearly_a_known_one_is_warned_about(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
    for name, warning in (
        ("openai/gpt-5.55", ("route 1: nothing is known of openai/gpt-5.55; did you mean gpt-5.5?",)),
        ("openai/gpt-5.5", ()),
        ("openai/o9-entirely-new", ()),
        ("groq/gpt-5.55", ()),
    ):
        (tmp_path / "router.yaml").write_text(f"routes: [{{strategy: fixed, model: {name}}}]")
        assert options.build(SimpleNamespace(), environ).warnings == warning


def test_what_is_named_and_cannot_be_had_is_warned_about(tmp_path: Path) -> None:
    away = "{name: away, strategy: fixed, model: groq/llama-9}"
    text = f"routes: [{away}, {{turn: title, candidates: [claude-opus-5]}}]"
    (tmp_path / "router.yaml").write_text(text)
    settings = options.build(SimpleNamespace(), {})
    assert settings.warnings == ("away: groq/llama-9 cannot be had at groq: GROQ_API_KEY is not set",)
    assert options.build(SimpleNamespace(), {"GROQ_API_KEY": "k"}).warnings == ()
