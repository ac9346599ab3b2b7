"""What the documents say exists, and what exists is documented."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pointsman import (
    clients,
    config,
    config_models,
    config_providers,
    config_routes,
    dry_run,
    local,
    options,
    trust,
)
from pointsman.cli.main import main
from pointsman.embedding import Embedder
from pointsman.options import OPTIONS
from pointsman.scoring import knobs
from pointsman.scoring.bundle import resolve
from pointsman.scoring.cluster import score
from pointsman.shelf import check, open_shelf
from pointsman.values import Provider

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path for folder in ("", "docs", "certs", "bundles") for path in (ROOT / folder).glob("*.md")
)
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
PROVIDERS = (ROOT / "docs" / "providers.md").read_text()

documents = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def subcommands() -> set[str]:
    assert isinstance(main, click.Group)
    context = click.Context(main)
    return {name for name in main.list_commands(context) if main.get_command(context, name)}


# --- options ----------------------------------------------------------------------------------


@documents
def test_every_option_that_is_mentioned_exists(path: Path) -> None:
    mentioned = set(re.findall(r"\brouter_[a-z_]+\b", path.read_text()))
    assert mentioned <= {option.name for option in OPTIONS}


@pytest.mark.parametrize("name", [option.name for option in OPTIONS])
def test_every_option_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", CONFIGURATION)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_help(option: object) -> None:
    text = getattr(option, "help", "")
    assert len(text) > 20
    assert text.endswith(".")


@pytest.mark.parametrize("word", [*config_routes.STRATEGIES, *config_routes.KNOBS, *config.SECTIONS])
def test_every_word_of_router_yaml_is_documented(word: str) -> None:
    assert re.search(rf"\b{word}\b", CONFIGURATION)


# --- commands ---------------------------------------------------------------------------------


@documents
def test_every_command_that_is_mentioned_exists(path: Path) -> None:
    text = path.read_text()
    mentioned = set(re.findall(r"(?:^    |`|\(|/)pointsman ([a-z]+)", text, re.MULTILINE))
    assert mentioned <= subcommands()
    for name in re.findall(r"pointsman env ([a-z]+)", text):
        assert name in clients.CLIENTS


@pytest.mark.parametrize("name", sorted(subcommands() - {"run"}))
def test_every_command_is_in_the_readme_and_helps(name: str) -> None:
    assert re.search(rf"^    pointsman {name}\b", README, re.MULTILINE)
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


@documents
def test_options_of_commands_exist(path: Path) -> None:
    """`pointsman X --flag` as documented is a flag of X."""
    context = click.Context(main)
    assert isinstance(main, click.Group)
    for name, rest in re.findall(r"\bpointsman ([a-z]+)([^`\n#]*)", path.read_text()):
        command = main.get_command(context, name)
        if isinstance(command, click.Group) and (words := rest.split()):
            command = command.get_command(context, words[0])
            assert command is not None, f"pointsman {name}{rest}"
        if command is None or name == "run":
            continue
        known = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known, f"pointsman {name}{rest}"


@documents
def test_every_script_that_is_mentioned_can_be_run(path: Path) -> None:
    for name in set(re.findall(r"\bscripts/([a-z-]+)\b(?!\.|/)", path.read_text())):
        script = ROOT / "scripts" / name
        assert script.is_file(), f"scripts/{name}"
        assert script.stat().st_mode & 0o111


# --- names and links --------------------------------------------------------------------------


@documents
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_path_that_is_answered_here_is_documented() -> None:
    text = (ROOT / "docs" / "dry-run.md").read_text()
    assert [f"{method} {path}" for method, path in local.ENDPOINTS if f"`{method} {path}`" not in text] == []
    assert f"`{dry_run.HEADER}`" in text and f"`{local.SURFACE_HEADER}`" in text


def test_every_header_that_a_request_may_have_is_in_the_table() -> None:
    code = (ROOT / "addon" / "pointsman" / "asked.py").read_text()
    names = {name for name in knobs.HEADERS if name.startswith("x-router-")}
    names |= {dry_run.HEADER, *re.findall(r'headers\.get\("(x-router-[a-z-]+)"', code)}
    assert len(names) > len(knobs.NAMES) + 2
    assert [name for name in sorted(names) if f"\n| `{name}` | " not in CONFIGURATION] == []


def test_the_hosts_that_the_authority_may_sign_for_are_listed() -> None:
    text = (ROOT / "certs" / "README.md").read_text()
    assert [host for host in trust.KNOWN_HOSTS if f"`{host}`" not in text] == []
    assert all(f"`{file}`" in text for file in (trust.CA_FILE, trust.CERT_FILE, trust.BUNDLE_FILE))


def test_the_steps_for_adding_a_model_make_it_a_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step by step as the page says, on what is shipped; then the model is scored and can be picked."""
    text = (ROOT / "docs" / "adding-a-model.md").read_text()
    newest = resolve(ROOT / "bundles").name
    code, config = (
        re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[-1].replace("v0.1", newest)
        for kind in ("python", "yaml")
    )
    shutil.copytree(ROOT / "bundles" / newest, tmp_path / "bundles" / newest)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    exec(code, {})
    (tmp_path / "router.yaml").write_text(config)
    settings = options.build(SimpleNamespace())
    running: Any = SimpleNamespace(id=Embedder.id, dim=Embedder.dim)
    shelf = open_shelf(settings, running)
    check(settings, shelf)
    bundle = shelf.named["mine-1"]
    row = settings.catalogue.rows["claude-next"]
    assert row.target and not row.opt_in
    among = ("claude-next", "claude-opus-5-5")
    assert "claude-next" in {score(bundle, vector, eligible=among).model for vector in bundle.centroids}


# --- providers --------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", config_providers.presets({}).values(), ids=lambda preset: preset.name)
def test_every_preset_is_in_the_table_with_its_variables(preset: Provider) -> None:
    table = PROVIDERS.partition("## How models are named")[0]
    (row,) = re.findall(rf"^\| `{preset.name}` \|.*$", table, re.MULTILINE)
    _, _, variables, surface, maker, _ = (cell.strip() for cell in row.split("|"))
    assert tuple(re.findall(r"`(\w+)`", variables)) == config_providers.switches(preset.name)
    assert (surface, maker) == (f"`{preset.surface}`", preset.models_of)


def test_every_key_of_a_provider_and_a_binding_is_documented() -> None:
    table = {word for line in PROVIDERS.splitlines() if line.startswith("| `") for word in line.split("`")}
    assert {*config_providers.KEYS, *config_models.BINDING_KEYS} <= table
    quirks = PROVIDERS.partition("## Quirks")[2]
    assert {quirk for known in config_providers.QUIRKS.values() for quirk in known} <= set(quirks.split("`"))


def test_the_examples_of_providers_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    sections = re.findall(r"```yaml\n(.*?)```", PROVIDERS, re.DOTALL)
    assert len(sections) >= 3
    (tmp_path / "router.yaml").write_text("\n".join(sections))
    settings = options.build(SimpleNamespace(), {"WORK_LLM_KEY": "k"})
    assert {"work", "local"} <= settings.available
    assert [one.name for one in settings.catalogue.rows["claude-opus-4-8"].bindings] == [
        "origin", "openrouter", "work",
    ]  # fmt: skip
