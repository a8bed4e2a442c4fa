"""Running the behavioural suite of ``dagcast-testing`` on installed packages."""

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagcast_core.contract import Problem

_MODULE = "dagcast_testing.conformance"
_SELECTION = "DAGCAST_CONFORMANCE"


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """How one model did.

    Attributes:
        distribution: that brings it.
        model: its name.
        passed: number of tests passed,
        failed: and failed.
        problems: one per failed test.
    """

    distribution: str
    model: str
    passed: int
    failed: int
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "distribution": self.distribution,
            "model": self.model,
            "passed": self.passed,
            "failed": self.failed,
            "problems": [problem.to_json() for problem in self.problems],
        }


def check_conformance(distributions: Sequence[str] = ()) -> tuple[ConformanceResult, ...]:
    """Run every test of the model contract on every model of some installed packages.

    The suite runs in a process of its own, away from any project's pytest settings.

    Args:
        distributions: to try; all installed ones by default.

    Returns:
        One result per model, by distribution and name; a suite that could not run is a result
        with the problem ``DC402``.
    """
    with tempfile.TemporaryDirectory(prefix="dagcast-conformance-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        report = folder / "report.xml"
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(
                    "--pyargs",
                    _MODULE,
                    f"--junitxml={report}",
                    "--tb=line",
                    "--import-mode=importlib",
                ),
                *("-c", str(folder / "pytest.ini"), "--rootdir", str(folder)),
            ],
            cwd=folder,
            env={**os.environ, _SELECTION: ",".join(distributions), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if not report.exists():
            return (_unable(distributions, ran.stdout + ran.stderr),)
        results = _results(ElementTree.parse(report).getroot())
    # Exit codes above 1 mean that pytest could not collect or was interrupted.
    if ran.returncode > 1 or not results:
        return (_unable(distributions, ran.stdout + ran.stderr),)
    return results


def _results(root: ElementTree.Element) -> tuple[ConformanceResult, ...]:
    passed: dict[tuple[str, str], int] = {}
    problems: dict[tuple[str, str], list[Problem]] = {}
    for case in root.iter("testcase"):
        test, _, identity = case.get("name", "").partition("[")
        distribution, _, model = identity.rstrip("]").partition(":")
        key = (distribution, model)
        failure = next((e for e in case if e.tag in ("failure", "error")), None)
        passed.setdefault(key, 0)
        if failure is None:
            passed[key] += 1
            continue
        failure_text = _first(failure.get("message", ""))
        problems.setdefault(key, []).append(_problem(test, distribution, model, failure_text))
    return tuple(
        ConformanceResult(*key, passed[key], len(held := problems.get(key, [])), tuple(held))
        for key in sorted(passed)
    )


def _problem(test: str, distribution: str, model: str, text: str) -> Problem:
    # Messages of the suite have the form of a problem; those of other exceptions have not.
    parts = re.fullmatch(r"(?:.*?: )?expected (.*?); found (.*?)(?:\. fix: (.*))?", text, re.DOTALL)
    expected, found, fix = parts.groups() if parts else ("the test to pass", text, None)
    again = f"try again with {_SELECTION}={distribution} pytest --pyargs {_MODULE} -k {test}"
    return Problem.of(
        "DC401",
        test,
        producer=f"{model} ({distribution})",
        expected=expected,
        found=found,
        fix=f"{fix}; {again}" if fix else again,
    )


def _first(message: str) -> str:
    # pytest appends how it evaluated the assertion, which says nothing to the reader of a report.
    return message.removeprefix("AssertionError: ").split("\nassert ")[0]


def _unable(distributions: Sequence[str], output: str) -> ConformanceResult:
    lines = [line.removeprefix("E").strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    problem = Problem.of(
        "DC402",
        ", ".join(distributions) or "all packages",
        expected="the conformance suite to run",
        found=(errors or lines or ["no output"])[0],
        fix="run dagcast check first; then pytest --pyargs " + _MODULE,
    )
    return ConformanceResult(", ".join(distributions), "", 0, 0, (problem,))
