"""The wheel has everything a checkout has; the locks are what they claim to be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pointsman
import pytest
from pointsman import trust

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-test.lock")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without network: hatchling is among the test tools."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel installed. Its dependencies are this environment's, to save the time."""
    folder = tmp_path_factory.mktemp("installed") / "with space"
    venv.create(folder, symlinks=True)
    program = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(program), "install", "--quiet"]
    command += ["--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return program


def run(program: Path, *arguments: str, folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["POINTSMAN_HOME"] = str(folder / "home")
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_package_data_bundles_script_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "pointsman/" + str(path.relative_to(ROOT)) for path in (ROOT / "bundles").rglob("*") if path.is_file()
    }
    wanted |= {"pointsman/" + path.name for path in (ROOT / "addon" / "pointsman").glob("*.py")}
    wanted |= {"pointsman/data/" + path.name for path in (ROOT / "addon" / "pointsman" / "data").iterdir()}
    wanted |= {"pointsman/script/router.py"}
    assert wanted <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_carries_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert all(name.startswith(("pointsman/", "pointsman-")) for name in names)
    assert not [name for name in names if re.search(r"__pycache__|\.pyc$|\.sqlite|mitmproxy-ca", name)]


def test_an_installed_wheel_routes(python: Path, tmp_path: Path) -> None:
    """Bundle, encoder and catalogue are found inside the package, and the script loads."""
    program = """
import runpy
from types import SimpleNamespace
from pointsman import engine, options, paths, shelf
assert paths.checkout() is None, paths.checkout()
settings = options.build(SimpleNamespace())
embedder = engine.open_embedder()
bundle = shelf.open_shelf(settings, embedder).default
from pointsman.scoring.cluster import score
print(score(bundle, embedder.embed("write a parser")).model)
print(len(runpy.run_path(str(paths.router_script()))["addons"]))
print(paths.certs_dir())
"""
    model, addons, certs = run(python, "-c", program, folder=tmp_path).splitlines()
    assert model
    assert addons == "1"
    assert certs == str(tmp_path / "home" / "certs")


def test_an_installed_wheel_has_the_command(python: Path, tmp_path: Path) -> None:
    command = python.with_name("pointsman")
    assert run(command, "--version", folder=tmp_path).strip() == f"pointsman, version {pointsman.__version__}"
    assert "doctor" in run(command, "--help", folder=tmp_path)


def test_an_installed_wheel_starts_the_proxy(python: Path, tmp_path: Path) -> None:
    """Nothing is there yet: the authority is made in the user's data directory, then the proxy listens."""
    certs = tmp_path / "home" / "certs"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"POINTSMAN_HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [str(python.with_name("pointsman")), "run", "--set", "listen_port=0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "proxy listening at 127.0.0.1" in line:
                break
        process.terminate()
    assert f"New certificate authority in {certs} (there was none)." in said
    assert "listening at 127.0.0.1" in said
    assert trust.ensure(certs, trust.provider_hosts()).renewed == ""


# --- locks ------------------------------------------------------------------------------------


def pins(lock: str) -> dict[str, set[str]]:
    """Project names and the versions the lock pins them to; a name may have one per range of Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ]+)", (ROOT / lock).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_hashed_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "no option lines"
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_tests_run_with_what_users_run() -> None:
    for_users, for_tests = (pins(lock) for lock in LOCKS)
    assert {name: for_tests.get(name) for name in for_users} == for_users


def test_the_locks_cover_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [item for name in ("test", "train") for item in project["optional-dependencies"][name]]
    for lock, wanted in ((LOCKS[0], project["dependencies"]), (LOCKS[1], project["dependencies"] + extras)):
        names = {re.split(r"[<>=!~ ;\[]", item)[0].lower() for item in wanted}
        assert names <= pins(lock).keys()


def test_heavy_training_tools_are_not_for_users() -> None:
    assert not {"scikit-learn", "scipy", "litellm", "torch", "pytest"} & pins(LOCKS[0]).keys()
