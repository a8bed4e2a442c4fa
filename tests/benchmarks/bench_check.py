"""Checks of packages: their CPU, and what they see.

CPU of `dagcast check` for all packages and for fifty more that were just scaffolded, of the
conformance of one package, and of the short commands of a small project. Each command runs in a
process of its own; what is reported is its CPU time, of `dagcast check` and `--help` beyond that of
an interpreter that does nothing, the least of several runs, because other work on the machine can
only add to it.

Random mutations of the teams' code that change a prediction or a gradient by more than a thousandth
are given to the CI of their own package; the share that it catches is reported, and each that it
misses. `python bench_check.py SEED` draws others.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _harness import Row, limit, report
from _mutant import BROKEN, CAUGHT, MISSED, SAME
from _mutator import Mutation, mutations

from dagcast.scaffold import new_package

ROOT = Path(__file__).parents[2]
RUNS = 5
SCAFFOLDED = 50
TEAMS = ("sessions", "driver-hours", "eta", "pricing", "incentives")
MUTATIONS = 30
# Most mutations drawn to find as many that change something.
DRAWN = 90
# Plugins of pytest that `dagcast check --conformance` leaves out.
_LEFT_OUT = ("cacheprovider", "hypothesispytest", "anyio")
CONFORMANCE = "import pytest, sys; sys.exit(pytest.main({arguments!r}))"
CHECK = (
    "from dagcast.plugins import load_plugins; from dagcast.assembly import check_assembly;"
    "import sys; plugins = load_plugins(); assembly = check_assembly(plugins);"
    "print(len(plugins.plugins), len(assembly.problems), 'torch' in sys.modules)"
)
COMMAND = "import sys; from dagcast.cli import main; sys.argv = {arguments!r}; main()"


def cpu(code: str, path: str = "", runs: int = RUNS) -> tuple[float, str]:
    """Return the least CPU seconds of an interpreter that runs ``code``, and its output."""
    # Without it every run would compile every module anew, which no user's second run does.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = path
    best, output = float("inf"), ""
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tempfile.gettempdir(),
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if ran.returncode not in (0, 3):
            raise SystemExit(f"the check failed:\n{ran.stdout}{ran.stderr}")
        used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
        best, output = min(best, used), ran.stdout.strip()
    return best, output


def scaffold(folder: Path) -> str:
    """Make and install fifty packages; return the path on which they are found."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    site = folder / "site"
    paths = [str(site)]
    for number in range(SCAFFOLDED):
        # Letters only: names of packages are words.
        name = f"trial-{chr(97 + number // 26)}{chr(97 + number % 26)}"
        package = new_package(name, folder)
        info = site / f"{package.module}-0.1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package.distribution}\nVersion: 0.1.0\n"
        )
        info.joinpath("entry_points.txt").write_text(
            f"[dagcast.models]\n{name} = {package.module}.plugin\n"
        )
        paths.append(str(package.folder / "src"))
    return os.pathsep.join(paths)


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    idle, _ = cpu("pass")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="dagcast-bench-") as folder:
        for case, code, path, most in _cases(Path(folder)):
            used, output = cpu(code, path)
            beside = {"interpreter": f"{idle:.3f} s"}
            if code == CHECK:
                packages, problems, torch = output.split()
                if (problems, torch) != ("0", "False"):
                    raise SystemExit(f"{case}: expected no problems and no torch; found {output}")
                beside["packages"] = packages
            rows.append(limit(case, used - idle, at_most=most, unit="s", beside=beside))
        rows += _commands(Path(folder) / "market", idle)
    for team in TEAMS:
        os.environ["DAGCAST_CONFORMANCE"] = f"dagcast-{team}"
        # As `dagcast check --conformance` runs it.
        plain = ["-q", *(part for name in _LEFT_OUT for part in ("-p", f"no:{name}"))]
        arguments = [*plain, "--pyargs", "dagcast_testing.conformance"]
        used, _ = cpu(CONFORMANCE.format(arguments=arguments), runs=2)
        rows.append(limit(f"conformance of {team}", used, at_most=5.0, unit="s"))
    del os.environ["DAGCAST_CONFORMANCE"]
    rows.append(_score(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    return report("Checks of packages: CPU, and what they see", rows)


def _score(seed: int) -> Row:
    """Share of the mutations with consequences that the CI of their package catches."""
    counts = dict.fromkeys((SAME, BROKEN, CAUGHT, MISSED), 0)
    folders = [ROOT / "packages" / team for team in TEAMS]
    with tempfile.TemporaryDirectory(prefix="dagcast-mutants-") as name:
        for team in TEAMS:
            _judged(team, Path(name), None)
        for mutation in mutations(folders, DRAWN, seed):
            outcome = _judged(mutation.package, Path(name), mutation)
            counts[outcome] += 1
            if outcome == MISSED:
                print(f"missed: {mutation}", file=sys.stderr)
            if counts[CAUGHT] + counts[MISSED] == MUTATIONS:
                break
    seen = counts[CAUGHT] + counts[MISSED]
    return limit(
        "mutations that a package's CI catches",
        100 * counts[CAUGHT] / seen,
        at_least=85.0,
        unit="%",
        beside={
            "mutations": f"{seen} of {sum(counts.values())}",
            "without effect": str(counts[SAME]),
            "cannot predict": str(counts[BROKEN]),
        },
    )


def _commands(project: Path, idle: float) -> list[Row]:
    """CPU of what people wait for in a project with data, a fit and a plan."""
    few = ["--set", "uncertainty.draws=4", "--set", "data.history_weeks=3"]
    named = ["--project", str(project)]
    for words in (["simulate", "--regions", "2", "--weeks", "4"], ["ingest"], ["fit", *few]):
        cpu(COMMAND.format(arguments=["dagcast", *words, *named]), runs=1)
    at_rest = project.with_name("at-rest")
    shutil.copytree(project, at_rest)
    first = _least(_until_it_speaks, COMMAND.format(arguments=["dagcast", "plan", *named, *few]))
    shutil.rmtree(project)
    shutil.copytree(at_rest, project)
    cpu(COMMAND.format(arguments=["dagcast", "plan", *named, *few]), runs=1)
    rows = [
        # Torch is not imported by then: nothing of its own import is to be subtracted.
        limit("dagcast plan, to its first line of work", first - idle, at_most=0.8, unit="s"),
    ]
    planned = project.with_name("planned")
    shutil.copytree(project, planned)

    def afresh(code: str) -> float:
        shutil.rmtree(project)
        shutil.copytree(planned, project)
        return _used(code)

    for words in (["log"], ["approve", "--why", "a benchmark"], ["check"]):
        used = _least(afresh, COMMAND.format(arguments=["dagcast", *words, *named]))
        rows.append(
            limit(f"dagcast {words[0]}, of a project with a plan", used, at_most=0.3, unit="s")
        )
    return rows


def _least(measure: Callable[[str], float], code: str) -> float:
    return min(measure(code) for _ in range(RUNS))


def _used(code: str) -> float:
    return cpu(code, runs=1)[0]


def _until_it_speaks(code: str) -> float:
    """CPU seconds of an interpreter until it writes its first line on standard error."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.kill()
    if not line.startswith(b"  "):
        raise SystemExit(f"expected a line of progress; found {line!r}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def _judged(team: str, folder: Path, mutation: Mutation | None) -> int:
    sources = folder / "src"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(ROOT / "packages" / team / "src", sources)
    if mutation is not None:
        (sources / mutation.file).write_text(mutation.source)
    ran = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).with_name("_mutant.py"))),
            *(str(ROOT / "packages" / team), str(folder / f"{team}.npz")),
        ],
        env={**os.environ, "PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = (0,) if mutation is None else (SAME, BROKEN, CAUGHT, MISSED)
    if ran.returncode not in expected:
        raise SystemExit(f"cannot judge {mutation or team}:\n{ran.stdout}{ran.stderr}")
    return ran.returncode


def _cases(folder: Path) -> list[tuple[str, str, str, float]]:
    path = scaffold(folder)
    project = ["--project", str(folder / "project")]
    cpu(COMMAND.format(arguments=["dagcast", "init", *project]), runs=1)
    command = COMMAND.format(arguments=["dagcast", "check", *project])
    return [
        ("contracts of all packages", CHECK, "", 0.25),
        ("dagcast check", command, "", 0.25),
        (f"contracts, {SCAFFOLDED} packages more", CHECK, path, 0.5),
        (f"dagcast check, {SCAFFOLDED} packages more", command, path, 0.5),
        ("dagcast --help", COMMAND.format(arguments=["dagcast", "--help"]), "", 0.15),
    ]


if __name__ == "__main__":
    sys.exit(main())
