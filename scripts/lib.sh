# shellcheck shell=bash
# What scripts/run and scripts/test share: a Python, a .venv, and in it what a lock names.
# Sourced, never run. Needs bash 3.2, which is what macOS has.

set -euo pipefail

ROOT=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv

say() { printf '%s\n' "$*" >&2; }

# A Python that can make an environment: 3.12 or newer, and not newer than what the locks have wheels for.
# pyenv's shims answer to names they cannot run, and some systems ship Python without ensurepip: so each
# candidate is tried, not only looked for.
usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 12) <= sys.version_info < (3, 15))' >/dev/null 2>&1
}

find_python() {
    local name dir found
    for name in python3.13 python3.12 python3.14 python3; do
        found=$(command -v "$name" 2>/dev/null) || continue
        if usable "$found"; then printf '%s\n' "$found" && return; fi
    done
    for dir in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13* "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*; do
        if usable "$dir/bin/python"; then printf '%s\n' "$dir/bin/python" && return; fi
    done
    if command -v uv >/dev/null 2>&1; then
        found=$(uv python find --no-project '>=3.12,<3.15' 2>/dev/null) ||
            { say "No Python 3.12 or newer found; asking uv for one." &&
                uv python install 3.13 >&2 && found=$(uv python find --no-project 3.13); } || return 1
        if usable "$found"; then printf '%s\n' "$found" && return; fi
    fi
    return 1
}

no_python() {
    say "Pointsman needs Python 3.12, 3.13 or 3.14, with venv and ensurepip. Looked for:"
    say "  python3.13, python3.12, python3.14 and python3 on PATH"
    say "  3.12 and newer in ${PYENV_ROOT:-$HOME/.pyenv}/versions"
    say "  uv on PATH, to find or install one"
    say "Install any of them (on Debian and Ubuntu also python3-venv) and start again."
    exit 1
}

# make_venv: .venv exists, works, and belongs to this directory (its launchers hold absolute paths).
make_venv() {
    local python
    if [ -f "$VENV/pointsman.root" ] && [ "$(cat "$VENV/pointsman.root")" = "$ROOT" ] &&
        usable "$VENV/bin/python"; then
        return
    fi
    python=$(find_python) || no_python
    say "Making .venv with $("$python" --version) ($python)"
    "$python" -m venv --clear "$VENV"
    link_package
    printf '%s\n' "$ROOT" >"$VENV/pointsman.root"
}

# The package is used from the checkout: a path file and a launcher need neither network nor a build.
link_package() {
    local site
    site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$ROOT/addon" >"$site/pointsman.pth"
    printf '#!/usr/bin/env bash\nexec %q -m pointsman "$@"\n' "$VENV/bin/python" >"$VENV/bin/pointsman"
    chmod +x "$VENV/bin/pointsman"
}

# install LOCK: does nothing if the environment was already made from exactly this lock. A copy of the lock
# is the stamp, written last, so that an interrupted installation is repeated.
install() {
    local lock=$ROOT/$1 stamp=$VENV/$1
    cmp -s "$lock" "$stamp" && return
    say "Installing from $1"
    if ! "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --require-hashes --requirement "$lock"; then
        say "The installation did not finish. It needs the network once; start again when it is there."
        exit 1
    fi
    cp "$lock" "$stamp"
}
