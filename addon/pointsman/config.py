"""router.yaml: hosts, providers, routes, models, and settings that options can override.

Every mistake is one ConfigError with file, line and key. docs/configuration.md explains each key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pointsman import yaml_nodes
from pointsman.catalogue import Catalogue
from pointsman.checks import Places, Rule, Text
from pointsman.config_models import read_models
from pointsman.config_providers import read_providers
from pointsman.config_routers import read_routers
from pointsman.config_routes import Route, read_routes, shadowed
from pointsman.errors import ConfigError
from pointsman.surface import surfaces
from pointsman.yaml_nodes import Value, suggestion

SECTIONS = ("hosts", "providers", "models", "routes", "routers")


@dataclass(frozen=True, slots=True)
class File:
    """What router.yaml says. `values` has only the settings that it gives."""

    values: Mapping[str, Any]
    hosts: Mapping[str, tuple[str, ...]]
    routes: tuple[Route, ...]
    catalogue: Catalogue
    routers: Mapping[str, Route]
    warnings: tuple[str, ...] = ()


def read(
    path: Path | None,
    scalars: Mapping[str, Rule],
    catalogue: Catalogue,
    environ: Mapping[str, str] | None = None,
) -> File:
    """router.yaml over the shipped catalogue; empty where there is no file. Raises ConfigError.

    `scalars` are the settings that are also options, with their rules; `environ` None: the process's own.
    """
    document = yaml_nodes.load(path) if path else None
    fields = document.fields((*scalars, *SECTIONS)) if document else {}
    catalogue = catalogue.with_providers(read_providers(fields.get("providers"), environ))
    if "models" in fields:
        catalogue = read_models(fields["models"], catalogue)
    routes = read_routes(fields["routes"], catalogue) if "routes" in fields else ()
    return File(
        values={name: _setting(value, scalars[name]) for name, value in fields.items() if name in scalars},
        hosts=_hosts(fields["hosts"]) if "hosts" in fields else {},
        routes=routes,
        catalogue=catalogue,
        routers=read_routers(fields.get("routers"), catalogue),
        warnings=shadowed(routes, path),
    )


def _setting(value: Value, rule: Rule) -> Any:
    """Paths are relative to the file, not to wherever the proxy was started."""
    if isinstance(rule, Places):
        return tuple(_beside(value, name) for item in value.items() for name in item.read(rule))
    setting = value.read(rule)
    return _beside(value, setting) if value.key in ("db", "bundle") else setting


def _beside(value: Value, name: str) -> str:
    is_path = os.sep in name or (name and value.key == "db")
    return str(Path(value.file).parent / Path(name).expanduser()) if is_path else name


# --- hosts --------------------------------------------------------------------------------


def _hosts(value: Value) -> dict[str, tuple[str, ...]]:
    hosts: dict[str, tuple[str, ...]] = {}
    for surface, entries in value.fields(surfaces()).items():
        for entry in entries.items():
            name = entry.read(Text(empty=False))
            if problem := host_problem(name):
                entry.fail(problem)
            hosts[surface] = (*hosts.get(surface, ()), name.lower())
    return hosts


def host_problem(name: str) -> str:
    """What is wrong with a host, with or without a port; "" if nothing."""
    host, colon, port = name.partition(":")
    labels = host.rstrip(".").split(".")
    legal = all(label and label.replace("-", "a").isalnum() and label.isascii() for label in labels)
    if not legal or len(host) > 253 or port.startswith("//"):
        return f"must be a host name like api.example.com or api.example.com:8443, not {name[:80]!r}"
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        return f"must have a port between 1 and 65535 after the colon, not {port[:20]!r}"
    return ""


def given_hosts(entries: Sequence[str], key: str) -> dict[str, tuple[str, ...]]:
    """Entries of the form surface=host, as the option has them. Raises ConfigError."""
    hosts: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        surface, equals, host = (part.strip() for part in entry.partition("="))
        if not equals:
            problem = f"must be surface=host, for example anthropic=llm.example.com, not {entry[:80]!r}"
            raise ConfigError(problem, key=key)
        if surface not in surfaces():
            raise ConfigError(f"{surface!r} is not a known surface{suggestion(surface, surfaces())}", key=key)
        if problem := host_problem(host):
            raise ConfigError(problem, key=key)
        hosts[surface] = (*hosts.get(surface, ()), host.lower())
    return hosts


def all_hosts(*added: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[tuple[str, int], ...]]:
    """(host, port) of each surface: the provider's own first, then what was added, without repeats."""
    merged: dict[str, tuple[tuple[str, int], ...]] = {}
    for name, surface in surfaces().items():
        names = [*surface.HOSTS, *(host for hosts in added for host in hosts.get(name, ()))]
        merged[name] = tuple(dict.fromkeys(_host_and_port(host) for host in names))
    return MappingProxyType(merged)


def _host_and_port(name: str) -> tuple[str, int]:
    host, _, port = name.partition(":")
    return host.rstrip("."), int(port or 443)


# --- changes on disk ----------------------------------------------------------------------


def stamp(path: Path | None) -> str:
    """Changes whenever the file does: one `stat`, no reading. "" where there is no file."""
    if path is None:
        return ""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_mtime_ns}.{status.st_size}.{status.st_ino}"
