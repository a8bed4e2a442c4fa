"""Every check that a developer, CI or a release runs; `nox --list` explains them.

Each session gets an environment of its own from the workspace through uv. A package's `tests`
and `lowest` sessions see only what that package declares, so an undeclared import fails there
even though it passes in the shared environment. Packages that declare the same requirements take
turns in one environment: what one of them does not declare is uninstalled before its tests, and
what they have in common is compiled once.

Where all run, two sessions run at a time, and the output of each comes in one block. Whoever asks
for one long session can spread it over the cores: `nox -s integration -- -n 2 --dist loadfile`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nox
from packaging.version import Version

nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.allow_parallel = True
# Where all sessions run; one that is asked for has both cores, and shows its output as it comes.
if not {"-s", "--session", "--sessions", "-e", "-k", "--keywords", "-t", "--tags"} & set(sys.argv):
    nox.options.parallel = 2

ROOT = Path(__file__).parent
# What is no team's.
FRAMEWORK = ("dagcast", "core", "testing")
RELEASES = ROOT / "integration" / "releases"
PYTHON = "3.11"
# Distribution name -> folder, relative to the root; a package that `dagcast new` adds is found too.
PACKAGES = {
    nox.project.load_toml(file)["project"]["name"]: file.parent.relative_to(ROOT)
    for file in sorted(
        [*ROOT.glob("packages/*/pyproject.toml"), ROOT / "integration/pyproject.toml"]
    )
}


def _requirements(package: str) -> list[str]:
    metadata = _pyproject(package)
    groups: dict[str, list[str]] = metadata.get("dependency-groups", {})  # type: ignore[assignment]
    project: dict[str, list[str]] = metadata["project"]  # type: ignore[assignment]
    return [*project["dependencies"], *groups.get("test", [])]


def _pyproject(package: str) -> dict[str, object]:
    return nox.project.load_toml(ROOT / PACKAGES[package] / "pyproject.toml")


def _alike() -> dict[str, list[str]]:
    """Name the groups of packages that declare the same requirements, with two members or more."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in PACKAGES:
        groups.setdefault(tuple(sorted(_requirements(name))), []).append(name)
    return {f"{g[0]} and {len(g) - 1} more": g for g in groups.values() if len(g) > 1}


ALIKE = _alike()
nox.options.sessions = [
    "gates",
    "lint",
    # Long ones first, so that no core waits for them at the end.
    "integration",
    *(
        f"{session}({name})"
        for name in PACKAGES
        if not any(name in group for group in ALIKE.values())
        for session in ("tests", "lowest")
    ),
    "contracts",
    "browser",
    *(["tests_alike", "lowest_alike"] if ALIKE else []),
    "types",
    "docs",
    "wheels",
]

# uv does not read pip's settings: without this it would ignore a local folder of wheels that
# pip was given, and download a CUDA build of torch instead. The folder is never required.
if "PIP_FIND_LINKS" in os.environ and "UV_FIND_LINKS" not in os.environ:
    os.environ["UV_FIND_LINKS"] = os.environ["PIP_FIND_LINKS"]
# Compiling torch and pandas afresh in every subprocess costs more than all our tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# One thread per process: pytest-xdist already uses the cores, and results stay repeatable.
TEST_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _sync(session: nox.Session, *options: str) -> None:
    """Bring the session's environment to exactly what ``options`` select from the workspace."""
    # Sessions side by side resolve into one lock file of the workspace: one after the other.
    with (_environments(session) / "sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        session.run_install(
            "uv",
            "sync",
            "--quiet",
            "--exact",
            f"--python={session.virtualenv.location}",
            *options,
            env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        )


def _environments(session: nox.Session) -> Path:
    """Name the folder that has the environments of all sessions."""
    return Path(session.virtualenv.location).parent


def _everything(session: nox.Session) -> None:
    _sync(session, "--all-packages", "--group", "dev")


@nox.session(python=PYTHON)
def gates(session: nox.Session) -> None:
    """Check versions between members, assembly, who imports whom, circles, and what is tracked."""
    _everything(session)
    # uv ignores version ranges between workspace members, so this is not redundant.
    session.run("uv", "pip", "check", f"--python={session.virtualenv.location}")
    _check_assembly(session)
    session.run("lint-imports", "--no-cache")
    session.run("python", "tests/contracts/imports.py")
    problems = _tracked_file_problems()
    if problems:
        session.error("\n".join(problems))


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Lint and check the formatting."""
    session.install("ruff>=0.17,<0.18")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python=PYTHON)
def types(session: nox.Session) -> None:
    """Type-check every package strictly."""
    _everything(session)
    session.run("mypy", *session.posargs or [str(p / "src") for p in PACKAGES.values()])


@nox.session(python=PYTHON)
@nox.parametrize("package", list(PACKAGES), ids=list(PACKAGES))
def tests(session: nox.Session, package: str) -> None:
    """Test one package alone, with only its declared dependencies."""
    _test(session, package)


@nox.session(python=PYTHON)
@nox.parametrize("group", list(ALIKE), ids=list(ALIKE))
def tests_alike(session: nox.Session, group: str) -> None:
    """The same for packages of equal requirements, one after the other in one environment."""
    _each(session, ALIKE[group], _test)


def _test(session: nox.Session, package: str) -> None:
    _sync(session, "--package", package, "--group", "test")
    _pytest(session, *_processes(session, package), str(PACKAGES[package]))


@nox.session(python=PYTHON)
def contracts(session: nox.Session) -> None:
    """Test what spans packages: assembly, label permutations, conformance of what is installed."""
    _everything(session)
    _pytest(session, "tests/contracts")


# Halves of about the same length, so that neither core waits for the other; folders whose tests
# kill copies of their own process come first, while it has no threads of a library.
INTEGRATION = {
    "loop": ("tests/faults", "tests/end_to_end"),
    "worlds": ("tests/businesses", "tests/real", "tests/worlds"),
}


@nox.session(python=PYTHON)
@nox.parametrize("half", list(INTEGRATION), ids=list(INTEGRATION))
def integration(session: nox.Session, half: str) -> None:
    """Run the whole loop on small worlds, and on real data where it is present."""
    _everything(session)
    # Whoever chooses tests by name need not know in which half they are.
    _pytest(session, *INTEGRATION[half], none_is_fine=bool(session.posargs))


@nox.session(python=PYTHON)
def browser(session: nox.Session) -> None:
    """Open review pages in the machine's chromium: what is seen, pressed, heard, printed, measured.

    Nothing is downloaded but the driver; without a chromium (Debian: `apt-get install chromium`)
    the session is skipped.
    """
    if not any(map(shutil.which, ("chromium", "chromium-browser"))):
        session.skip("no chromium is installed: apt-get install chromium")
    _sync(session, "--all-packages", "--group", "dev", "--group", "browser")
    # Figures that were measured are printed, whether or not they are good.
    _pytest(session, "-rP", "tests/browser")


@nox.session(python=PYTHON)
@nox.parametrize("package", list(PACKAGES), ids=list(PACKAGES))
def lowest(session: nox.Session, package: str) -> None:
    """Test what can differ of one package at the lowest versions that it declares."""
    _test_lowest(session, package)


@nox.session(python=PYTHON)
@nox.parametrize("group", list(ALIKE), ids=list(ALIKE))
def lowest_alike(session: nox.Session, group: str) -> None:
    """The same for packages of equal requirements, one after the other in one environment."""
    _each(session, ALIKE[group], _test_lowest)


def _test_lowest(session: nox.Session, package: str) -> None:
    # torch first and alone: lowest-direct resolution must not go looking for other builds of it.
    session.install("torch==2.13.0")
    floors = _declared_floors(package)
    members = [
        argument
        for name in _workspace_needs(package)
        for argument in _member_at_floor(session, name, floors.get(name))
    ]
    session.install(
        "--exact",
        "--resolution=lowest-direct",
        "--no-sources",
        "torch==2.13.0",
        *members,
        *_test_requirements(package),
    )
    # A library that differs shows in one run through our code; more numbers find our own errors.
    session.env["DAGCAST_TEST_EXAMPLES"] = "40"
    _pytest(session, "-m", "not again", *_processes(session, package), str(PACKAGES[package]))


@nox.session(python=PYTHON)
def build(session: nox.Session) -> None:
    """Build every package's wheel and sdist into dist/."""
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run_install("uv", "build", "--quiet", "--all-packages", "--out-dir", "dist")
    session.install("twine>=6")
    built = sorted([*(ROOT / "dist").glob("*.whl"), *(ROOT / "dist").glob("*.tar.gz")])
    session.run("twine", "check", "--strict", *map(str, built))


@nox.session(python=PYTHON)
def wheels(session: nox.Session) -> None:
    """Install the built wheels in a clean environment, away from the sources, and use them."""
    build_folder = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(build_folder, ignore_errors=True)
    session.run_install(
        "uv", "build", "--quiet", "--wheel", "--all-packages", "--out-dir", str(build_folder)
    )
    session.install("torch==2.13.0")
    session.install(*map(str, sorted(build_folder.glob("*.whl"))))
    session.chdir(session.create_tmp())
    session.run("dagcast", "--version")
    _check_assembly(session)
    _pytest(session, "--pyargs", "dagcast_testing.conformance")
    # A team with a repository of its own and none of the other teams: its CI, line by line.
    others = Path(session.create_tmp()).resolve() / "others.json"
    session.run("dagcast", "contracts", "export", str(others))
    teams = [name for name in PACKAGES if name.removeprefix("dagcast-") not in FRAMEWORK]
    session.run_install("uv", "pip", "uninstall", "--quiet", *teams)
    shutil.rmtree("dagcast-wet-sessions", ignore_errors=True)
    session.run("dagcast", "new", "wet-sessions", "--against", str(others))
    session.chdir("dagcast-wet-sessions")
    session.install("--editable", ".[test]")
    session.run("pytest", "-q", env=TEST_ENVIRONMENT)
    session.run("dagcast", "check", "--against", "others.json")


@nox.session(python=PYTHON)
def matrix(session: nox.Session) -> None:
    """Check new core with released teams, and released core with new teams.

    Released packages are built from the commit that the promoted manifest names.
    """
    current = _current_release(session)
    released = Path(session.create_tmp()).resolve() / "released"
    _checkout(current["commit"], released)
    core = ("dagcast-core", "dagcast-testing", "dagcast")
    teams = tuple(name for name in PACKAGES if name not in core)
    for new, old in ((core, teams), (teams, core)):
        folders = [ROOT / PACKAGES[name] for name in new] + [
            released / PACKAGES[name] for name in old if (released / PACKAGES[name]).is_dir()
        ]
        session.install("torch==2.13.0")
        session.install("--no-sources", "--reinstall", *_wheels(session, folders))
        _check_assembly(session)
        _pytest(session, "--pyargs", "dagcast_testing.conformance")


@nox.session(python=PYTHON)
def release(session: nox.Session) -> None:
    """Release one package: bump, changelog, wheel and sdist: `nox -s release -- dagcast-eta`."""
    if len(session.posargs) != 1 or session.posargs[0] not in PACKAGES:
        session.error(f"name one package: nox -s release -- NAME, NAME in {', '.join(PACKAGES)}")
    package = session.posargs[0]
    folder = PACKAGES[package]
    _everything(session)
    session.install("twine>=6")
    if package in {"dagcast-core", "dagcast-testing"}:
        _check_python_interface(session, package)
    current = RELEASES / "current.json"
    named = json.loads(current.read_text())["release"] if current.is_file() else None
    against = ("--against", str(RELEASES / f"{named}.json")) if named else ()
    session.run("python", "-m", "dagcast.release", str(folder), *against, "--write")
    version = _pyproject(package)["project"]["version"]  # type: ignore[index,call-overload]
    session.run(
        "towncrier", "build", "--yes", "--config", "pyproject.toml",
        "--dir", str(folder), "--version", version, "--name", package,
    )  # fmt: skip
    session.run_install("uv", "build", "--quiet", "--package", package, "--out-dir", "dist")
    built = sorted((ROOT / "dist").glob(f"{package.replace('-', '_')}-{version}*"))
    session.run("twine", "check", "--strict", *map(str, built))


@nox.session(python=PYTHON)
def demo(session: nox.Session) -> None:
    """Run the main job: simulate a market, plan its next week, measure the regret."""
    _sync(session, "--all-packages")
    session.run("dagcast", "demo", *session.posargs)


@nox.session(python=PYTHON)
def real(session: nox.Session) -> None:
    """Run on public records: New York's rides and trips, and every figure with its target.

    `nox -s real -- hvfhv` runs one of the demos instead of both.
    """
    _sync(session, "--all-packages")
    data = os.environ.get("DAGCAST_REAL_DATA", str(ROOT.parent / "shared" / "data"))
    environment = {**TEST_ENVIRONMENT, "DAGCAST_REAL_DATA": data}
    session.run("python", "tests/real/demos.py", *session.posargs, env=environment)
    session.run("python", "tests/real/figures.py", env=environment)


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """Measure ratios against raw torch, rivals and limits: `nox -s bench -- tensor solver`."""
    _everything(session)
    names = session.posargs or sorted(
        path.stem.removeprefix("bench_") for path in Path("tests/benchmarks").glob("bench_*.py")
    )
    for name in names:
        session.run("python", f"tests/benchmarks/bench_{name}.py", success_codes=[0])


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Build the site of all packages into site/, strictly; neither build nor reader fetches."""
    _sync(session, "--all-packages", "--group", "docs")
    # Its builder would print an advertisement for another.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(python=PYTHON)
def worlds(session: nox.Session) -> None:
    """Hold models and plans to simulated truth over many seeds: `nox -s worlds -- regret`."""
    _everything(session)
    folder = Path("tests/worlds")
    known = sorted(path.stem for path in folder.glob("[!_]*.py") if "test" not in path.stem)
    names = [name for name in session.posargs if name in known] or known
    options = [argument for argument in session.posargs if argument not in known]
    for name in names:
        session.run("python", str(folder / f"{name}.py"), *options, env=TEST_ENVIRONMENT)


@nox.session(python=PYTHON)
def faults(session: nox.Session) -> None:
    """Kill, race, fill and mutate every command: `nox -s faults -- kills --only plan`."""
    _everything(session)
    session.run("python", "tests/faults/faults.py", *session.posargs, env=TEST_ENVIRONMENT)


@nox.session(python=False)
def affected(session: nox.Session) -> None:
    """Print the packages that changes since a revision (default: main) affect."""
    base = session.posargs[0] if session.posargs else "main"
    changed = subprocess.run(
        ["git", "diff", "--name-only", base], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    direct = {n for n, folder in PACKAGES.items() for c in changed if c.startswith(f"{folder}/")}
    reached = [n for n in PACKAGES if direct.intersection(_workspace_needs(n))]
    # Integration declares no team, yet runs them all: any change reaches it.
    reached += ["dagcast"] if direct and "dagcast" not in reached else []
    print("\n".join(reached) or "no package is affected")


def _current_release(session: nox.Session) -> dict[str, Any]:
    """Read the promoted manifest of the last integration release."""
    pointer = RELEASES / "current.json"
    if not pointer.is_file():
        session.error("no integration release was promoted yet: see `dagcast release --help`")
    name = json.loads(pointer.read_text())["release"]
    manifest: dict[str, Any] = json.loads((RELEASES / f"{name}.json").read_text())
    return manifest


def _checkout(commit: str, folder: Path) -> None:
    """Lay out the sources of a commit in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


def _wheels(session: nox.Session, folders: Iterable[Path]) -> list[str]:
    out = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(out, ignore_errors=True)
    for folder in folders:
        session.run_install("uv", "build", "--quiet", "--wheel", "--out-dir", str(out), str(folder))
    return [str(path) for path in sorted(out.glob("*.whl"))]


def _check_python_interface(session: nox.Session, package: str) -> None:
    """Compare the package's Python interface with its last release, where there is one."""
    tag = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", f"{package}-*"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    if not tag:
        session.log(f"{package} was not released before: there is nothing to compare with")
        return
    module, source = package.replace("-", "_"), str(PACKAGES[package] / "src")
    session.run("griffe", "check", module, "--search", source, "--against", tag)


def _check_assembly(session: nox.Session) -> None:
    """Join the contracts of the installed packages under the settings of a new project."""
    project = Path(session.virtualenv.location) / "tmp" / "project"
    shutil.rmtree(project, ignore_errors=True)
    session.run("dagcast", "init", "--project", str(project))
    session.run("dagcast", "check", "--project", str(project))


def _pytest(session: nox.Session, *arguments: str, none_is_fine: bool = False) -> None:
    # Sessions share what numba compiles, where they have one numba: it keeps no two versions.
    numba = session.run(
        "python",
        "-c",
        "import importlib.metadata as m; print(m.version('numba'))",
        silent=True,
        log=False,
    )
    compiled = _environments(session) / f"compiled-by-numba-{str(numba).strip()}"
    session.run(
        "pytest",
        "-q",
        "--durations=10",
        *arguments,
        *session.posargs,
        env={**TEST_ENVIRONMENT, "NUMBA_CACHE_DIR": str(compiled)},
        # 5: no test was chosen.
        success_codes=[0, 5] if none_is_fine else [0],
    )


def _processes(session: nox.Session, package: str) -> tuple[str, ...]:
    """Spread the one long suite over the cores where no other session runs beside it."""
    return ("-n", "2") if package == "dagcast-core" and not session.parallel else ()


def _each(
    session: nox.Session, packages: list[str], test: Callable[[nox.Session, str], None]
) -> None:
    """Test packages one after the other, and fail at the end if any of them did."""
    failed = []
    for package in packages:
        try:
            test(session, package)
        except nox.command.CommandFailed:
            failed.append(package)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def _workspace_needs(package: str) -> list[str]:
    """List the workspace members that ``package`` needs, itself included, transitively."""
    needed = [package]
    for name in needed:
        needed += [
            _name(r) for r in _requirements(name) if _name(r) in PACKAGES and _name(r) not in needed
        ]
    return list(dict.fromkeys(needed))


def _declared_floors(package: str) -> dict[str, str]:
    """Read the lowest version of each workspace member that a package says it works with."""
    found = (re.match(r"([\w-]+)>=([\w.]+)", requirement) for requirement in _requirements(package))
    return {m[1]: m[2] for m in found if m and m[1] in PACKAGES}


def _member_at_floor(session: nox.Session, name: str, floor: str | None) -> tuple[str, ...]:
    """Choose the sources of a workspace member: those at the floor, rebuilt from its release."""
    newest = str(_pyproject(name)["project"]["version"])  # type: ignore[index,call-overload]
    if floor is None or Version(floor) >= Version(newest):
        return ("-e", str(PACKAGES[name]))
    commits = [
        manifest["commit"]
        for manifest in map(json.loads, (f.read_text() for f in sorted(RELEASES.glob("*.json"))))
        for item in manifest.get("packages", ())
        if item["distribution"] == name and Version(item["version"]) == Version(floor)
    ]
    if not commits:
        session.error(
            f"{name} {floor}, the declared floor, is in no release under "
            f"{RELEASES.relative_to(ROOT)}; the newest is {newest}. Declare a released version."
        )
    folder = Path(session.create_tmp()).resolve() / f"{name}-{floor}"
    _checkout(commits[-1], folder)
    return (str(folder / PACKAGES[name]),)


def _test_requirements(package: str) -> list[str]:
    groups: dict[str, list[str]] = _pyproject(package).get("dependency-groups", {})  # type: ignore[assignment]
    return [r for r in groups.get("test", []) if _name(r) not in PACKAGES]


TRACKED = re.compile(
    r"(\.gitignore|\.ci/run|mkdocs\.yml|README\.md|CONTRIBUTING\.md|noxfile\.py|pyproject\.toml"
    r"|docs/.+\.(md|png|svg|py|js)"
    r"|tests/.+\.(py|md|toml)|tests/browser/references/[a-z-]+\.png"
    r"|(packages/[a-z-]+|integration)/(README\.md|CHANGELOG\.md|pyproject\.toml|contract\.json"
    r"|changelog\.d/[^/]+\.md|tests/.+|src/[a-z_]+/.+|releases/.+\.json))"
)
# Written in pieces so that this file passes its own check.
FORBIDDEN = re.compile(
    "python" + r"hosted|pypi\.org/" + r"(simple|packages)|registry\." + r"npmjs|deb\."
    r"debian\.org" + r"|(^|[^\w.])/(" + r"work|farm|opt/wheels|root)/"
)


def _tracked_file_problems() -> list[str]:
    """Find tracked files that the layout does not explain or that name a host or machine path."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    problems = []
    for name in listed.stdout.splitlines():
        if not TRACKED.fullmatch(name):
            problems.append(f"{name}: tracked, but DESIGN section 1 explains no such file")
        path = ROOT / name
        if path.suffix in {".png"} or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FORBIDDEN.search(line):
                problems.append(f"{name}:{number}: names a registry's host or a machine's path")
    return problems
