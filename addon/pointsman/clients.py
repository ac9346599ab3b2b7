"""What each client needs in its environment to go through the proxy and to trust it.

Observed with Claude Code 2.1.197, Codex 0.169.0, Gemini CLI 0.61.0, opencode 1.18.33 and the SDKs of
November 2026. Some variables add a root, so they get our certificate alone; others replace all roots, so
they get a file that has the system's roots too.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pointsman import roots
from pointsman.trust import Authority

LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Client:
    """One client. `host` is where its model requests go."""

    title: str
    host: str
    adds: tuple[str, ...] = ()  # variables that add roots
    replaces: tuple[str, ...] = ()  # variables that replace the roots
    plain: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


CLIENTS: Mapping[str, Client] = {
    "claude": Client("Claude Code", "api.anthropic.com", adds=("NODE_EXTRA_CA_CERTS",)),
    "codex": Client("Codex", "api.openai.com", replaces=("SSL_CERT_FILE",)),
    # Gemini CLI reads no other variable for roots.
    "gemini": Client("Gemini CLI", "generativelanguage.googleapis.com", adds=("NODE_EXTRA_CA_CERTS",)),
    "opencode": Client("opencode", "api.anthropic.com", adds=("NODE_EXTRA_CA_CERTS",)),
    # The SDKs do not read REQUESTS_CA_BUNDLE.
    "python": Client("Python SDKs", "api.anthropic.com", replaces=("SSL_CERT_FILE",)),
    "node": Client(
        "JavaScript SDKs",
        "api.anthropic.com",
        adds=("NODE_EXTRA_CA_CERTS",),
        plain={"NODE_USE_ENV_PROXY": "1"},
        note="Node reads HTTPS_PROXY since 22.21 and 24.5; on older ones, Node 20 among them, "
        "set undici's EnvHttpProxyAgent as the global dispatcher in the program.",
    ),
    "curl": Client("curl", "api.anthropic.com", replaces=("CURL_CA_BUNDLE",)),
}


def exports(clients: list[Client], port: int, authority: Authority, bundle: Path) -> dict[str, str]:
    """Variables and values for the given clients, in the order to print them.

    `bundle` is the file with the system's roots and the CA. The environment of this process matters: a
    company's root that a variable names already is kept, and so is what NO_PROXY lists.
    """
    proxy = f"http://127.0.0.1:{port}"
    names = {"HTTPS_PROXY": proxy}
    if os.environ.get("https_proxy"):
        names["https_proxy"] = proxy  # most clients prefer the lower-case one, so it must not lead elsewhere
    names["NO_PROXY"] = no_proxy(os.environ.get("NO_PROXY", ""))
    if os.environ.get("no_proxy"):
        names["no_proxy"] = no_proxy(os.environ["no_proxy"])
    for client in clients:
        for variable in client.adds:
            taken = roots.foreign_file(variable, own=(authority.confdir, bundle.parent))
            names[variable] = str(bundle if taken else authority.cert_file)
        names.update(dict.fromkeys(client.replaces, str(bundle)))
        names.update(client.plain)
    return names


def no_proxy(existing: str) -> str:
    """The list in force, and this machine, which no client should ask the proxy for."""
    listed = [item.strip() for item in existing.split(",") if item.strip()]
    return ",".join(dict.fromkeys([*listed, *LOCAL]))


def lines(names: Mapping[str, str], shell: str) -> list[str]:
    """Commands that set the variables in a shell: sh (also bash and zsh), fish or powershell."""
    if shell == "fish":
        return [f"set -gx {name} {_fish(value)};" for name, value in names.items()]
    if shell == "powershell":
        return [f"$env:{name} = '{_powershell(value)}'" for name, value in names.items()]
    return [f"export {name}={shlex.quote(value)}" for name, value in names.items()]


def bypassed(host: str) -> str:
    """The entry of NO_PROXY that would keep a client from using the proxy for the host; "" if none does."""
    for variable in ("NO_PROXY", "no_proxy"):
        for item in os.environ.get(variable, "").split(","):
            name = item.strip().lstrip("*").lstrip(".").lower()
            if item.strip() == "*" or (name and (host == name or host.endswith("." + name))):
                return item.strip()
    return ""


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell(value: str) -> str:
    """Inside single quotes PowerShell knows one escape, and takes typographic quotes for quotes too."""
    return "".join(char * 2 if char in "'\u2018\u2019\u201a\u201b" else char for char in value)
