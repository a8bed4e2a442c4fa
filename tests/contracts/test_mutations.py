"""What breaks a team's model or contract is caught by the team's own CI, in one line.

Each case is a change of one small package's source and, beside it, a harmless twin: the first fails
exactly one test, whose line says where and what to do, and the second fails none.
"""

import os
import subprocess
import sys

import pytest
import torch
from _cases import CHANCE, IMPORT, KINDS, after_rides, contract, model
from _cases_declared import DECLARED
from _cases_further import FURTHER
from _cases_outside import OUTSIDE
from _mutations import TEAM, Change, TeamPackage, changed_files

from dagcast.config import Config
from dagcast.conformance import check_conformance
from dagcast.units import unit_problems
from dagcast.workflow.common._assembled import demands
from dagcast_core.contract import Dim, Quantity, Registration, assemble, evolution_problem
from dagcast_core.dims import HOUR
from dagcast_testing import examine

torch.set_num_threads(1)

REGION = Dim("region")
MODULES = "\n".join(
    (
        "import os",
        "import time",
        "import numpy as np",
        "import pandas as pd",
        IMPORT,
        "from dagcast_core import FitnessTerm, NegativeBinomial, SquaredError, align",
        "from dagcast_core import PartialPooling, Ridge\n",
    )
)


CASES = {
    f"{kind}-{case[0]}".replace(" ", "-"): case[1:]
    for kind, cases in {**KINDS, **FURTHER, **DECLARED, **OUTSIDE}.items()
    for case in cases
}


@pytest.mark.parametrize(("change", "twin", "test", "line"), CASES.values(), ids=CASES)
def test_mutation_fails_one_test_in_one_line_and_its_twin_none(tmp_path, change, twin, test, line):
    found = failures(tmp_path, change)
    assert [f.test for f in found] == [test], "\n".join(f"{f.test}: {f.text}" for f in found)
    (failed,) = found
    assert line in failed.text
    assert "\n" not in failed.text
    assert [f.text for f in failures(tmp_path, twin)] == []


def failures(folder, *changes):
    flat = [c for change in changes for c in (change if isinstance(change, tuple) else (change,))]
    package = TeamPackage(folder, *flat, model(IMPORT, MODULES))

    def build():
        return package.module("model").Rides(("north", "south", "west"))

    return [finding for finding in examine(build) if finding.outcome == "failed"]


def test_what_follows_from_a_failure_is_skipped_and_says_of_which(tmp_path):
    package = TeamPackage(tmp_path, after_rides("rides = rides - 10.0"))
    found = examine(lambda: package.module("model").Rides(("north", "south")))
    skipped = {finding.text for finding in found if finding.outcome == "skipped"}
    assert "follows from test_output_keeps_bounds_and_is_a_number" in skipped
    assert sum(finding.outcome == "skipped" for finding in found) > 10


# Evolution: name, change, words of the problem, or None where the change needs no new version.
PATCH, MINOR = (contract('version="1.0.0"', f'version="{v}"') for v in ("1.0.1", "1.1.0"))
BOTH = ("outputs=(CHANCE, RIDES)", 'outputs=(CHANCE, RIDES, Quantity("trips", BY_CELL, "ride/h"))')
EVOLUTION = [
    (
        "sign dropped",
        contract('Effect(PRICE, RIDES, sign="-", ', 'Effect(PRICE, RIDES, sign="?", '),
        "effect price -> rides: sign -, no longer claimed",
    ),
    (
        "output renamed",
        contract('RIDES = Quantity("rides"', 'RIDES = Quantity("trips"'),
        "output 'rides': renamed 'trips' (same unit 'ride/h' and dims [region, hour])); found "
        "1.0.0. fix: write version='2.0.0' in its Contract, or go on making 'rides' beside 'trips'",
    ),
    (
        "sign + dropped",
        contract('Effect(SESSIONS, RIDES, sign="+")', 'Effect(SESSIONS, RIDES, sign="?")'),
        "effect sessions -> rides: sign +, no longer claimed",
    ),
    (
        "evidence renewed, with a patch",
        (contract('sign="-", evidence="price-2"', 'sign="-", evidence="price-3"'), PATCH),
        None,
    ),
    (
        "sign claimed where none was, with a minor",
        (contract('Effect(RAIN, RIDES, sign="?")', 'Effect(RAIN, RIDES, sign="+")'), MINOR),
        None,
    ),
    ("output under both names, with a minor", (contract(*BOTH), MINOR), None),
    ("output described", contract('"ride/h"', '"ride/h", description="completed"'), None),
    (
        "required input added",
        Change(
            "contract.py",
            "inputs=(SESSIONS,",
            'inputs=(Quantity("wind", BY_CELL, "m/s"), SESSIONS,',
        ),
        "or declare 'wind' with required=False and a default that reproduces the old result",
    ),
    (
        "optional input added, with a minor",
        (
            contract(
                "inputs=(SESSIONS,",
                'inputs=(Input(Quantity("wind", BY_CELL, "m/s"), required=False, default=0.0), '
                "SESSIONS,",
            ),
            MINOR,
        ),
        None,
    ),
    (
        "typical widened, with a minor",
        (contract("typical=(5, 20)", "typical=(4, 21)"), MINOR),
        None,
    ),
    (
        "several changes, worst first",
        (
            contract('"mm/h"', '"in/h"'),
            contract("bounds=(0, 1))", "bounds=(0, 2))"),
            contract('evidence="price-2"', 'evidence="price-3"'),
        ),
        "(major: bounds of output 'chance': [0, 1] -> [0, 2]; unit of input 'rain': mm/h -> in/h; "
        "patch: evidence of the effect price -> chance: 'price-2' -> 'price-3'; evidence of",
    ),
    ("input moved", contract("inputs=(SESSIONS, PRICE,", "inputs=(PRICE, SESSIONS,"), None),
    (
        "typical narrowed",
        contract("typical=(5, 20)", "typical=(5, 6)"),
        "typical range of input 'price': 5 to 20 -> 5 to 6, so the claimed signs now hold on less",
    ),
    (
        "output described as usual",
        contract("bounds=(0, 1))", "bounds=(0, 1), typical=(0.2, 0.4))"),
        None,
    ),
]


@pytest.mark.parametrize(
    ("change", "words"), [case[1:] for case in EVOLUTION], ids=[case[0] for case in EVOLUTION]
)
def test_evolution_says_what_changed_and_both_ways_out(tmp_path, change, words):
    released = TeamPackage(tmp_path).module("contract").CONTRACT
    changes = change if isinstance(change, tuple) else (change,)
    now = TeamPackage(tmp_path, *changes).module("contract").CONTRACT
    problem = evolution_problem(released, now)
    if words is None:
        assert problem is None
    else:
        assert words in str(problem)
        assert "- -> -" not in str(problem)


def test_dims_in_another_order_fit_and_other_dims_do_not(tmp_path):
    source = Quantity(
        "sessions",
        (REGION, HOUR),
        "session/h",
        aggregation={"region": "sum", "hour": "sum"},
        bounds=(0, None),
    )
    swapped = TeamPackage(tmp_path, contract('"sessions", BY_CELL', '"sessions", (HOUR, REGION)'))
    fewer = TeamPackage(
        tmp_path,
        contract(
            '"sessions", BY_CELL, "session/h", aggregation=SUM',
            '"sessions", (HOUR,), "session/h", aggregation={"hour": "sum"}',
        ),
    )
    for package, codes in ((swapped, []), (fewer, ["DC104"])):
        found = assemble(
            [package.module("contract").CONTRACT],
            externals=(source, "price", "hour_of_week", "rain"),
        )
        assert [problem.code for problem in found.problems] == codes


@pytest.mark.parametrize(
    ("unit", "weights", "refused"),
    [
        ("cent/h", {"rides": 1.0, "tips": 0.5}, True),
        ("cent/h", {"rides": 1.0}, True),
        ("cent/h", {"rides": 0.01, "tips": 0.5}, False),
        ("USD/h", {"rides": 1.0, "tips": 0.5}, False),
    ],
)
def test_objective_in_dollars_over_cents_is_refused(tmp_path, unit, weights, refused):
    package = TeamPackage(tmp_path, contract('"ride/h"', f'"{unit}"'))
    item = Registration(package.module("contract").CONTRACT, "rides-team", "1.0.0")
    config = Config.model_validate({"objective": {"weights": weights, "unit": "USD"}})
    required = {"rides": demands(config)["required"]["rides"]}
    joined = assemble([item], externals=None, required=required).problems
    found = (*joined, *unit_problems(config, [item]))
    assert [problem.code for problem in found] == ["DC105"] * refused
    assert all("rides" in p.fix and "cent" in p.found for p in found)


# In processes of their own, as a team runs them.


def installed(folder, *changes):
    """The rides package installed in ``folder``, and the environment in which it is found."""
    package = folder / "dagcast_rides"
    package.mkdir()
    for name, text in changed_files(*changes).items():
        (package / name).write_text(text)
    info = folder / "dagcast_rides-0.1.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: dagcast-rides\nVersion: 0.1.0\n"
    )
    info.joinpath("entry_points.txt").write_text("[dagcast.models]\nrides = dagcast_rides.plugin\n")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def team_ci(folder, *changes, tests=""):
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"),
            *(str(TEAM / "tests" / "suite_rides.py"), "-c", os.devnull, "--rootdir", str(folder)),
            *(("-k", tests) if tests else ()),
        ],
        # One order of sets here; the second process chooses another.
        env={**installed(folder, *changes), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


SET = (
    "        for place, name in enumerate({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}):\n"
    "            dear = dear * (1.0 + 1e-3 * place * ord(name))\n"
)


def test_order_of_a_set_is_seen_by_a_second_process(tmp_path):
    ran = team_ci(tmp_path, model(CHANCE, CHANCE + SET))
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "expected the same 'output chance' in every process" in lines[0]
    assert "1 failed" in ran.stdout


def test_number_of_threads_is_seen_by_a_second_process(tmp_path):
    line = "        dear = dear * (1.0 + 1e-3 * torch.get_num_threads())\n"
    ran = team_ci(tmp_path, model(CHANCE, CHANCE + line), tests="two_processes")
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "expected the same 'output chance' in every process" in lines[0]


def test_sorted_set_and_any_number_of_threads_pass_in_every_process(tmp_path):
    ordered = SET.replace("({'a'", "(sorted({'a'").replace("})", "}))")
    ordered += "        dear = dear * float(torch.get_num_threads() > 0)\n"
    ran = team_ci(tmp_path, model(CHANCE, CHANCE + ordered))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skipped" not in ran.stdout


def test_start_at_random_is_one_line_though_two_constructions_tell_it(tmp_path):
    start = 'start=0.05, transform="exp"'
    change = model(start, 'start=0.05 + 0.01 * os.urandom(1)[0], transform="exp"')
    ran = team_ci(tmp_path, change, model(IMPORT, "import os\n\n" + IMPORT), tests="constructions")
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "expected 'cost.raw' to start the same in every construction" in lines[0]


def test_model_that_cannot_be_built_is_one_line(tmp_path):
    change = model('transform="sigmoid"', 'transform="sigmoids"')
    ran = team_ci(tmp_path, change)
    lines = [line for line in ran.stdout.splitlines() if line.startswith("DC401")]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert "at model.py:" in lines[0]


def test_undeclared_argument_is_one_line_where_the_tests_import_the_model(tmp_path):
    change = model(
        "        rain: IndexTensor,\n", "        rain: IndexTensor,\n        snow=None,\n"
    )
    ran = team_ci(tmp_path, change)
    # pytest's own summary repeats the error, cut or not as the terminal and $CI have it.
    lines = [line for line in ran.stdout.splitlines() if line[:5] in ("Contr", "DC401")]
    assert [line[:5] for line in lines] == ["Contr", "DC401"], ran.stdout + ran.stderr
    assert "it reads snow, which the contract does not declare" in lines[1]
    assert "at model.py:" in lines[1]


def test_two_broken_packages_are_both_named(tmp_path, monkeypatch):
    for name in ("eta", "pricing"):
        module = tmp_path / f"dagcast_{name}"
        module.mkdir()
        module.joinpath("__init__.py").write_text("")
        module.joinpath("plugin.py").write_text(f"raise RuntimeError('{name} is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    results = check_conformance(["dagcast-eta", "dagcast-pricing"])
    lines = [str(problem) for result in results for problem in result.problems]
    assert len(lines) == 2
    assert "eta is broken" in lines[0]
    assert "pricing is broken" in lines[1]
