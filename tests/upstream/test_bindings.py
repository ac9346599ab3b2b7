"""Where an attempt goes, and with which key: read when it is made, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pointsman.config_providers import presets
from pointsman.errors import ConfigError
from pointsman.upstream.bindings import available, is_own_host, missing, secret, url
from pointsman.values import Provider

KEY = "sk-planted-5f2b8a"


def provider(
    surface: str = "openai_chat", base_url: str = "https://llm.example.com/v1", **more: str
) -> Provider:
    return Provider("p", surface, base_url, **more)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("anthropic", "/v1/messages?beta=true", "https://api.anthropic.com/v1/messages?beta=true"),
        ("openai", "/responses", "https://api.openai.com/v1/responses"),
        ("openai", "/backend-api/codex/responses", "https://api.openai.com/v1/responses"),
        ("openai_chat", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("groq", "/chat/completions", "https://api.groq.com/openai/v1/chat/completions"),
        ("zai", "/v1/chat/completions", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("deepseek_anthropic", "/v1/messages", "https://api.deepseek.com/anthropic/v1/messages"),
        (
            "gemini",
            "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse&key=AIzaPlanted",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        ),
    ],
)
def test_an_address_is_the_providers_and_has_nothing_of_the_clients_host(
    name: str, path: str, expected: str
) -> None:
    assert url(presets({})[name], path) == expected


@pytest.mark.parametrize("name", ["key", "KEY", "access_token"])
def test_a_key_in_the_clients_query_stays_at_home(name: str) -> None:
    assert KEY not in url(provider(), f"/v1/chat/completions?{name}={KEY}&a=1")
    assert url(provider(), f"/v1/chat/completions?{name}={KEY}&a=").endswith("/chat/completions?a=")


def test_a_key_is_read_anew_each_time() -> None:
    named = provider(key_env="THE_KEY")
    environ = {"THE_KEY": f" {KEY}\n"}
    assert secret(named, environ) == KEY
    environ["THE_KEY"] = "another"
    assert secret(named, environ) == "another"
    del environ["THE_KEY"]
    with pytest.raises(ConfigError, match=r"^THE_KEY is not set$"):
        secret(named, environ)
    assert KEY not in repr(named)


def test_the_processs_own_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    assert secret(provider(key_env="THE_KEY")) == KEY
    assert available(provider(key_env="THE_KEY"))
    monkeypatch.setenv("THE_KEY", "  ")
    assert missing(provider(key_env="THE_KEY")) == "THE_KEY is not set"


def test_a_key_in_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "key"
    filed = provider(key_file=str(path))
    with pytest.raises(ConfigError, match="key cannot be read: No such file"):
        secret(filed, {})
    path.write_text(f"{KEY}\n")
    assert secret(filed, {}) == KEY
    for wrong in ("", "\n\n", "x" * 70_000):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match="holds no key"):
            secret(filed, {})
    with pytest.raises(ConfigError, match="Is a directory"):
        secret(provider(key_file=str(tmp_path)), {})


@pytest.mark.parametrize("wrong", [f"{KEY}\r\nx-evil: 1", f"{KEY} {KEY}", f"{KEY}\u00e9", f"{KEY}\x7f"])
def test_what_no_header_can_hold_is_no_key_and_is_not_repeated(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "key").write_text(wrong)
    for one in (provider(key_env="THE_KEY"), provider(key_file=str(tmp_path / "key"))):
        with pytest.raises(ConfigError, match="holds no key") as caught:
            secret(one, {"THE_KEY": wrong})
        assert KEY not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_server_that_takes_no_key_needs_an_address_only() -> None:
    assert secret(provider(), {}) == ""
    assert available(provider(), {})
    assert "base_url" in missing(provider(base_url=""), {})


@pytest.mark.parametrize(
    ("scheme", "host", "port", "own"),
    [
        ("https", "llm.example.com", 443, True),
        ("https", "LLM.example.com.", 443, True),
        ("http", "llm.example.com", 443, False),
        ("https", "llm.example.com", 8443, False),
        ("https", "example.com", 443, False),
        ("https", "llm.example.com.evil.example", 443, False),
    ],
)
def test_a_clients_credential_goes_to_its_own_host_only(scheme: str, host: str, port: int, own: bool) -> None:
    assert is_own_host("https://llm.example.com/v1", scheme, host, port) is own
