"""Environments of a test's own: what this one has installed, less what a test must not see.

Packages are built and installed as anybody's are; third-party packages are not copied but linked,
so that an environment costs a second or two and no network.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

# Tests import what they share from beside them.
sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORK = (ROOT / "packages" / "core", ROOT / "packages" / "testing", ROOT / "integration")
WORKSPACE = (*sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml")), FRAMEWORK[-1])


@dataclass(frozen=True)
class Environment:
    """A folder with an interpreter of its own."""

    folder: Path

    def run(self, command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a line of shell in which ``dagcast``, ``python`` and ``uv`` are this environment's.

        Raises:
            AssertionError: the command failed; says what it printed.
        """
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        own = {"PATH": path, "VIRTUAL_ENV": str(self.folder), **_THREADS}
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=cwd,
            env={**_inherited(), **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran


_THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "UV_OFFLINE": "1"}


# These would let in what is to be absent, or install into the environment that runs the tests.
_NOT_INHERITED = {"PYTHONPATH", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "COLUMNS"}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}


@pytest.fixture(scope="session")
def bare_environment(tmp_path_factory) -> Environment:
    """Core, testing and integration alone: no team, no marketplace, no simulator."""
    return _environment(tmp_path_factory.mktemp("environment") / "venv", FRAMEWORK)


@pytest.fixture(scope="session")
def market_environment(tmp_path_factory) -> Environment:
    """Everything that the workspace holds."""
    return _environment(tmp_path_factory.mktemp("environment") / "venv", WORKSPACE)


@pytest.fixture(scope="session")
def wheel_environment(tmp_path_factory) -> Environment:
    """Core, testing and integration from built wheels: nothing in it points to the sources."""
    built = tmp_path_factory.mktemp("wheels")
    for package in _copied(FRAMEWORK, tmp_path_factory):
        _uv("build", "--quiet", "--wheel", "--out-dir", str(built), str(package))
    made = _environment(tmp_path_factory.mktemp("environment") / "venv", ())
    wheels = map(str, sorted(built.glob("*.whl")))
    python = str(made.folder / "bin" / "python")
    _uv("pip", "install", "--quiet", "--no-deps", "--python", python, *wheels)
    return made


def _environment(folder: Path, packages: Sequence[Path]) -> Environment:
    _uv("venv", "--quiet", "--python", sys.executable, str(folder))
    site = next(folder.glob("lib/python*/site-packages"))
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if item.name.startswith(("dagcast", "_virtualenv", "__pycache__")):
            continue
        if item.suffix == ".dist-info":
            # Through a link uv does not see that a package is there, and would fetch it again.
            shutil.copytree(item, site / item.name)
        else:
            (site / item.name).symlink_to(item)
    # What is linked brings no scripts along, and a team types this one.
    script = folder / "bin" / "pytest"
    script.write_text(
        f"#!{folder / 'bin' / 'python'}\nimport pytest\nraise SystemExit(pytest.console_main())\n"
    )
    script.chmod(0o755)
    if packages:
        _install(folder, *packages)
    return Environment(folder)


@pytest.fixture(scope="session")
def installed_into(tmp_path_factory):
    """Build packages and install them into a folder, which an import path may name."""

    def install(*packages: Path) -> Path:
        target = tmp_path_factory.mktemp("installed")
        _uv("pip", "install", "--quiet", "--no-deps", "--python", sys.executable,
            "--target", str(target), *map(str, _copied(packages, tmp_path_factory)))  # fmt: skip
        return target

    return install


def _copied(packages, tmp_path_factory) -> list[Path]:
    # Builds leave files beside the sources.
    place = tmp_path_factory.mktemp("sources")
    return [Path(shutil.copytree(package, place / package.name)) for package in packages]


def _install(folder: Path, *packages: Path) -> None:
    named = [part for package in packages for part in ("--editable", str(package))]
    _uv(
        "pip", "install", "--quiet", "--no-deps", "--python", str(folder / "bin" / "python"), *named
    )


def _uv(*arguments: str) -> None:
    ran = subprocess.run(
        ["uv", *arguments],
        env={**_inherited(), **_THREADS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
