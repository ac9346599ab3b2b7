"""Where things are: the same answers from a checkout and from an installed wheel.

A checkout keeps bundles/, certs/ and addon/router.py beside the package; the wheel
carries bundles and script inside it (see pyproject.toml) and keeps generated files
in the user's data directory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """Root of the checkout that this package runs from; None when it was installed."""
    root = PACKAGE.parent.parent
    here = PACKAGE.parent.name == "addon" and (root / "pyproject.toml").is_file()
    return root if here else None


def bundles_dir() -> Path:
    """Directory that holds the bundles, the `latest` pointer and the encoder."""
    root = checkout()
    return root / "bundles" if root else PACKAGE / "bundles"


def router_script() -> Path:
    """The script for `mitmdump -s`."""
    root = checkout()
    return root / "addon" / "router.py" if root else PACKAGE / "script" / "router.py"


def data_dir() -> Path:
    """Directory of the user's own data, the database among them; not created here.

    `POINTSMAN_HOME` wins, then the platform's custom (`XDG_DATA_HOME` on Linux).
    """
    if home := os.environ.get("POINTSMAN_HOME"):
        return Path(home).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Pointsman"
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says to ignore relative paths.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "share") / "pointsman"


def cache_dir() -> Path:
    """Directory of what can be made again; not created here. Below `POINTSMAN_HOME` if that is set."""
    if home := os.environ.get("POINTSMAN_HOME"):
        return Path(home).expanduser() / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "Pointsman"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "pointsman"


def default_database() -> Path:
    """The store's file unless `router_db` says otherwise."""
    return data_dir() / "pointsman.sqlite"


def certs_dir() -> Path:
    """mitmproxy's confdir as `scripts/run` and `pointsman run` set it; holds the generated CA."""
    root = checkout()
    return root / "certs" if root else data_dir() / "certs"


def mitmproxy_confdir() -> Path:
    """mitmproxy's own confdir, in use where mitmdump is started by hand."""
    return Path.home() / ".mitmproxy"


def command() -> str:
    """How a shell calls this `pointsman`: by name where PATH leads to it, else by its whole path, quoted."""
    beside = Path(sys.executable).with_name("pointsman")
    found = shutil.which("pointsman")
    if found and (not beside.is_file() or Path(found).samefile(beside)):
        return "pointsman"
    if beside.is_file():
        return shlex.quote(str(beside))
    return f"{shlex.quote(sys.executable)} -m pointsman"
