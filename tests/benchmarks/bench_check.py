"""CPU of `dagcast check`: all packages, and fifty more that were just scaffolded.

Each command runs in a process of its own; what is reported is its CPU time beyond that of an
interpreter that does nothing, the least of several runs, because other work on the machine can only
add to it.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from _harness import Row, limit, report

from dagcast.scaffold import new_package

ROOT = Path(__file__).parents[2]
RUNS = 5
SCAFFOLDED = 50
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
    return report("CPU of dagcast check beyond the interpreter's start", rows)


def _cases(folder: Path) -> list[tuple[str, str, str, float]]:
    path = scaffold(folder)
    project = ["--project", str(folder / "project")]
    cpu(COMMAND.format(arguments=["dagcast", "init", *project]), runs=1)
    command = COMMAND.format(arguments=["dagcast", "check", *project])
    return [
        ("contracts of all packages", CHECK, "", 0.5),
        ("dagcast check", command, "", 0.5),
        (f"contracts, {SCAFFOLDED} packages more", CHECK, path, 3.0),
        (f"dagcast check, {SCAFFOLDED} packages more", command, path, 3.0),
    ]


if __name__ == "__main__":
    sys.exit(main())
