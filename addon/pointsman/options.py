"""mitmproxy options and router.yaml become one frozen `Settings`.

Precedence, weakest first: the defaults below, router.yaml, options that the user set. An option counts as set
by the user when it differs from its default; so an option cannot force a default back over the file.
mitmproxy is not imported here: `add_options` is handed its loader, and `build` takes any object that has
some of the options as attributes, so that the command line builds the same settings without a proxy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from pointsman import config, paths
from pointsman.catalogue import Catalogue
from pointsman.checks import Flag, Number, Place, Places, Rule, Text, Word, WordOrNumber
from pointsman.config_routes import RATIO, Route
from pointsman.errors import ConfigError
from pointsman.upstream.bindings import missing
from pointsman.yaml_nodes import suggestion

__all__ = ["OPTIONS", "Option", "Route", "Settings", "add_options", "build", "changed", "find_config"]


class Loader(Protocol):
    """What mitmproxy hands to `load`."""

    def add_option(
        self, name: str, typespec: Any, default: Any, help: str, choices: Sequence[str] | None = None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `setting` is its name in router.yaml and in Settings; mitmproxy's has router_ before it."""

    setting: str
    type: Any  # as mitmproxy knows it: bool, int, str or Sequence[str]; it has no float
    default: Any
    help: str
    rule: Rule

    @property
    def name(self) -> str:
        return f"router_{self.setting}"

    @property
    def choices(self) -> tuple[str, ...] | None:
        return self.rule.words if isinstance(self.rule, Word) else None

    def read(self, value: Any) -> Any:
        """Raises ConfigError that names the option."""
        try:
            return self.rule.read(value)
        except ValueError as error:
            raise ConfigError(str(error), key=self.name) from error


CONFIG: Final = Option(
    "config", str, "",
    "Path of router.yaml. Empty: ./router.yaml, else ~/.config/pointsman/router.yaml, if there is one.",
    Place(),
)  # fmt: skip
EXTRA_HOSTS: Final = Option(
    "hosts", Sequence[str], [],
    "Further hosts that speak a provider's API, each as surface=host, for example anthropic=llm.example.com.",
    Text(),
)  # fmt: skip
SCALARS: Final = (
    Option(
        "enabled", bool, True,
        "Route at all. False serves every request with the model it asks for, and still logs it.",
        Flag(),
    ),
    Option(
        "db", str, "",
        "Path of the SQLite file with all decisions. Empty: pointsman.sqlite in the user's data directory.",
        Place(),
    ),
    Option(
        "bundle", str, "",
        "Version or directory of the bundle that models are scored with. Empty: the latest that is shipped.",
        Place(),
    ),
    Option(
        "bundles", str, "",
        "Bundles that are loaded beside router_bundle, for requests that name one with x-router-bundle: all, "
        "latest, or versions and directories, separated by commas.",
        Places(),
    ),
    Option(
        "marker", str, "auto",
        "How an answer shows which model wrote it. auto is text, but comment where a text would do harm: "
        "with Anthropic's thinking, and for Claude Code. A request header x-router-marker wins.",
        Word(("auto", "text", "comment", "off")),
    ),
    Option(
        "fail", str, "open",
        "What a defect in routing leads to: open sends the request to the conversation's last model, else to "
        "the requested one; closed answers 503.",
        Word(("open", "closed")),
    ),
    Option(
        "max_price_ratio", str, "1.0",
        "Never pick a model priced above this many times the requested one.",
        RATIO,
    ),
    Option(
        "subscription", str, "passthrough",
        "Requests with a subscription login (OAuth) instead of an API key: passthrough only logs them, route "
        "routes them like others. Providers offer these logins for ordinary use of their own applications "
        "and may forbid routing them: whether you may is for you to decide, and your account bears the risk.",
        Word(("passthrough", "route")),
    ),
    Option("log_prompts", bool, False, "Store the user's words with each decision.", Flag()),
    Option(
        "log_embeddings", bool, False,
        "Store the vector of the user's words with each decision. It can be partly turned back into text.",
        Flag(),
    ),
    Option(
        "embed_timeout_ms", int, 1500,
        "How long a request waits for its vector before it goes out unscored, in milliseconds.",
        Number(1, 60_000, whole=True),
    ),
    Option(
        "classify_timeout_ms", int, 8000,
        "How long the first request of a conversation waits for the classifier of a classified router, in "
        "milliseconds, before the router's fallback serves it.",
        Number(1, 600_000, whole=True),
    ),
    Option(
        "websocket", str, "refuse",
        "A model API over a WebSocket, which Codex tries first: refuse answers 426, after which clients use "
        "plain requests at once; passthrough lets it through unrouted.",
        Word(("refuse", "passthrough")),
    ),
    Option(
        "session_ttl_s", int, 3600,
        "How long a silent conversation is remembered, in seconds.",
        Number(1, 2_592_000, whole=True),
    ),
    Option(
        "max_body_bytes", int, 64 * 1024 * 1024,
        "Largest body that is read, in bytes after decompression; a larger one passes unrouted.",
        Number(1024, 1 << 31, whole=True),
    ),
    Option(
        "prelude_grace_ms", str, "auto",
        "How long a stream waits for the provider before its head and the marker are sent, in milliseconds; "
        "0 sends them at once, off never. auto is off where the client talks to its own provider, since it "
        "reads that head, and 250 where another one answers.",
        WordOrNumber(("auto", "off"), Number(0, 600_000, whole=True)),
    ),
    Option(
        "first_byte_timeout_s", int, 120,
        "How long another provider than the client's own, or one that another can stand in for, may take "
        "until its streamed answer begins, in seconds; 0 is as long as it likes.",
        Number(0, 3600, whole=True),
    ),
    Option(
        "stall_timeout_s", int, 300,
        "How long such an answer may pause once it has begun, in seconds; 0 is as long as it likes.",
        Number(0, 3600, whole=True),
    ),
    Option(
        "cache", str, "off",
        "Give an answer again to a request that asks the same: on keeps answers in memory for an hour. It is "
        "approximate. A request header x-router-cache: off leaves one request out.",
        Word(("off", "on")),
    ),
    Option(
        "cache_mb", int, 64,
        "Memory for kept answers, in MiB. One account may hold an eighth of it at most.",
        Number(1, 65_536, whole=True),
    ),
)  # fmt: skip
OPTIONS: Final = (CONFIG, EXTRA_HOSTS, *SCALARS)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that configuration decides."""

    enabled: bool
    db: Path
    bundle: str
    bundles: tuple[str, ...]
    marker: str
    fail: str
    max_price_ratio: float
    subscription: str
    log_prompts: bool
    log_embeddings: bool
    embed_timeout_ms: int
    classify_timeout_ms: int
    websocket: str
    session_ttl_s: int
    max_body_bytes: int
    prelude_grace_ms: str  # auto, off, or a number
    first_byte_timeout_s: int
    stall_timeout_s: int
    cache: str
    cache_mb: int
    hosts: Mapping[str, tuple[tuple[str, int], ...]]  # (host, port) of each surface
    routes: tuple[Route, ...]
    routers: Mapping[str, Route]  # virtual models, by name in small letters
    catalogue: Catalogue
    available: frozenset[str]  # names of the providers that have an address and their key
    warnings: tuple[str, ...]  # what is allowed but may not be meant
    unreachable: tuple[str, ...]  # of them those that are about models without a provider that has its key
    config: Path | None  # the router.yaml in force
    config_option: str  # router_config as it was given
    stamp: str  # of router.yaml, taken before it was read

    def surfaces_of(self, host: str, port: int = 443) -> tuple[str, ...]:
        """The surfaces that a host speaks on a port; none for a host that is no provider's.

        A host given without a port has 443, and 80 where it is spoken to without TLS.
        """
        wanted = (host.lower().rstrip("."), 443 if port == 80 else port)
        return tuple(surface for surface, hosts in self.hosts.items() if wanted in hosts)

    @property
    def provider_hosts(self) -> frozenset[str]:
        return frozenset(name for hosts in self.hosts.values() for name, _ in hosts)

    def fingerprint(self) -> str:
        """Of router.yaml as it is now, by `stat` alone; differs from `stamp` once it has changed.

        A file that appears, disappears or comes to win over another counts as a change.
        """
        try:
            path = find_config(self.config_option)
        except ConfigError:
            path = self.config
        return _stamp(path)


def add_options(loader: Loader) -> None:
    """Declare the options; called once from the addon's `load`."""
    for option in OPTIONS:
        loader.add_option(option.name, option.type, option.default, option.help, option.choices)


def check_names(unknown: Iterable[str]) -> None:
    """Raise ConfigError for a router_… that is none of ours.

    mitmproxy keeps whatever is set and not defined in `options.deferred`, in case a script defines it later,
    so that a typing mistake would stay silent.
    """
    for name in sorted(unknown):
        if name.startswith("router_"):
            known = tuple(option.name for option in OPTIONS)
            raise ConfigError(f"is not an option of Pointsman{suggestion(name, known)}", key=name)


def build(opts: Any, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from mitmproxy's options, or from any object with some of them as attributes.

    Whether providers have their keys is looked up in `environ`, the process's own if None. Raises ConfigError
    that names the option, or file, line and key, and what would be right.
    """
    config_option = CONFIG.read(getattr(opts, CONFIG.name, CONFIG.default))
    path = find_config(config_option)
    stamp = _stamp(path)
    file = config.read(path, {option.setting: option.rule for option in SCALARS}, Catalogue.load(), environ)
    values = {option.setting: _value(option, opts, file.values) for option in SCALARS}
    given = config.given_hosts(getattr(opts, EXTRA_HOSTS.name, ()), EXTRA_HOSTS.name)
    values["db"] = Path(values["db"]).expanduser() if values["db"] else paths.default_database()
    lacking = {name: missing(one, environ) for name, one in file.catalogue.providers.items()}
    routes = (*file.routes, *file.routers.values())
    unreachable = _unreachable(routes, lacking)
    return Settings(
        **values,
        hosts=config.all_hosts(file.hosts, given),
        routes=file.routes,
        routers=file.routers,
        catalogue=file.catalogue,
        available=frozenset(name for name, why in lacking.items() if not why),
        unreachable=unreachable,
        warnings=file.warnings + unreachable + _unheard_of(routes, file.catalogue) + _warnings(values),
        config=path,
        config_option=config_option,
        stamp=stamp,
    )


def changed(settings: Settings) -> bool:
    """Whether router.yaml is no longer the file that `settings` were made from."""
    return settings.fingerprint() != settings.stamp


def find_config(given: str) -> Path | None:
    """The router.yaml in force; None if there is none. Raises ConfigError when a named one is missing."""
    if given:
        path = Path(given).expanduser().absolute()
        if not path.is_file():
            raise ConfigError("there is no such file", file=str(path), key=CONFIG.name)
        return path
    folders = (Path.cwd(), config_dir())
    return next((folder / "router.yaml" for folder in folders if (folder / "router.yaml").is_file()), None)


def config_dir() -> Path:
    """Where a router.yaml for all of a user's directories lies (`XDG_CONFIG_HOME` is honoured)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "pointsman"


def _value(option: Option, opts: Any, file: Mapping[str, Any]) -> Any:
    default = option.read(option.default)
    value = option.read(getattr(opts, option.name, option.default))
    return file.get(option.setting, default) if value == default else value


def _stamp(path: Path | None) -> str:
    return f"{path} {config.stamp(path)}" if path else ""


def _unheard_of(routes: Iterable[Route], models: Catalogue) -> tuple[str, ...]:
    """Names at providers that have a model by nearly the same name: they may be meant, or be new."""
    warnings = []
    for route in routes:
        for model in (*route.models.values(), *route.tiers.values()):
            provider, _, there = model.name.partition("/")
            known = tuple(row.name for row in models.provider(model.provider))
            close = suggestion(there, known) if provider in models.providers and there else ""
            if "did you mean" in close:
                warnings.append(f"{route.name}: nothing is known of {model.name}{close}")
    return tuple(warnings)


def _unreachable(routes: Iterable[Route], lacking: Mapping[str, str]) -> tuple[str, ...]:
    """Models that are named with providers of which none can be asked."""
    warnings = []
    for route in routes:
        for model in (*route.models.values(), *route.tiers.values()):
            named = [binding.provider for binding in model.bindings]
            if named and all(provider is not None and lacking[provider.name] for provider in named):
                why = "; ".join(dict.fromkeys(lacking[one.name] for one in named if one))
                names = ", ".join(dict.fromkeys(one.name for one in named if one))
                warnings.append(f"{route.name}: {model.name} cannot be had at {names}: {why}")
    return tuple(warnings)


def _warnings(values: Mapping[str, Any]) -> tuple[str, ...]:
    if values["subscription"] != "route":
        return ()
    return (
        "subscription logins are routed: providers may forbid that, and your account bears the risk "
        "(subscription: passthrough stops it)",
    )
