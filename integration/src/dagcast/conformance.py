"""Running the behavioural suite of ``dagcast-testing`` on installed packages."""

import json
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
# How the plugin of the suite hands a failure over.
_PROPERTY = "dagcast.problem"
_OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """How one model did.

    Attributes:
        distribution: that brings it.
        model: its name.
        passed: number of tests passed,
        failed: and failed.
        problems: one per failed test.
        skipped: tests that say nothing, because another failed.
    """

    distribution: str
    model: str
    passed: int
    failed: int
    problems: tuple[Problem, ...] = ()
    skipped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "distribution": self.distribution,
            "model": self.model,
            "passed": self.passed,
            "failed": self.failed,
            "skipped": self.skipped,
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
                # The suite has no test of hypothesis, whose plugin imports all of it at the end,
                # and none that is asynchronous, whose plugin comes with what serves the desk.
                *("-p", "no:hypothesispytest", "-p", "no:anyio"),
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
    counts: dict[tuple[str, str], dict[str, int]] = {}
    problems: dict[tuple[str, str], list[Problem]] = {}
    for case in root.iter("testcase"):
        identity = _parameter(case.get("name", ""))
        distribution, _, model = identity.partition(":")
        key = (distribution, model)
        count = counts.setdefault(key, {"passed": 0, "failed": 0, "skipped": 0})
        outcome = next((e for e in case if e.tag in _OUTCOMES), None)
        count[_OUTCOMES.get(outcome.tag, "passed") if outcome is not None else "passed"] += 1
        # The suite describes each failure itself, so that a team's pytest says the same.
        problems.setdefault(key, []).extend(
            Problem.from_json(json.loads(item.get("value", "")))
            for item in case.iter("property")
            if item.get("name") == _PROPERTY
        )
    return tuple(
        ConformanceResult(
            *key,
            passed=counts[key]["passed"],
            failed=counts[key]["failed"],
            problems=tuple(problems[key]),
            skipped=counts[key]["skipped"],
        )
        for key in sorted(counts)
    )


def _parameter(name: str) -> str:
    # "test_name[dagcast-eta:eta-first]": of several parameters, the model is the one with a colon.
    identity = name.partition("[")[2].rstrip("]")
    return re.sub(r"-(first|second)$|^(first|second)-", "", identity)


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
