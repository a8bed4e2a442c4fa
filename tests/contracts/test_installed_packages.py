"""The packages of this workspace fit together, and removing or doubling one is one problem."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dagcast.assembly import check_assembly
from dagcast.conformance import check_conformance
from dagcast.evolution import check_evolution, check_snapshots
from dagcast.plugins import load_plugins
from dagcast.vocabulary import first_config, known_ahead
from dagcast.workflow.common._assembled import demands
from dagcast_core.contract import PROBLEM_CODES, Contract, Problem, Registration, assemble

ROOT = Path(__file__).parents[2]
TEAMS = ("sessions", "driver-hours", "eta", "pricing", "incentives")


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


def none_of(problems):
    """Print every problem of every package: pytest shows the first of two lists that differ."""
    __tracebackhide__ = True
    if problems:
        pytest.fail("\n".join(map(str, problems)), pytrace=False)


def test_all_problems_are_printed():
    both = [Problem.of("DC401", n, expected="a", found="b", fix="c") for n in ("eta", "pricing")]
    with pytest.raises(pytest.fail.Exception, match=r"(?s)'eta'.*\n.*'pricing'"):
        none_of(both)


def test_installed_packages_fit(plugins):
    asked = demands(first_config(plugins))
    none_of(check_assembly(plugins, **asked).problems)
    assert {plugin.name for plugin in plugins.plugins} >= set(TEAMS)


@pytest.mark.parametrize(
    ("team", "code", "names"),
    [
        ("sessions", "DC102", {"sessions"}),
        ("driver-hours", "DC102", {"driver_hours"}),
        ("eta", "DC102", {"eta"}),
        ("pricing", "DC102", {"profit", "rides", "prime_time"}),
        ("incentives", "DC118", {"incentive_spend"}),
    ],
)
def test_team_that_is_not_installed_is_one_problem_per_quantity_it_owed(plugins, team, code, names):
    asked = demands(first_config(plugins))
    problems = check_assembly(load_plugins(disable=[team]), **asked).problems
    assert {problem.code for problem in problems} == {code}
    assert {problem.name for problem in problems} == names
    assert len(problems) == len(names)


@pytest.mark.parametrize("quantity", ["sessions", "driver_hours", "eta", "rides", "profit"])
def test_second_producer_of_a_quantity_is_one_problem(plugins, quantity):
    owner = next(r for r in plugins.registrations if quantity in r.contract.output_names)
    rival = Contract("rival", outputs=(owner.contract.output(quantity),))
    registered = (*plugins.registrations, Registration(rival, "my-package", "1.0.0"))
    assembly = assemble(registered, externals=(*known_ahead(plugins), "incentive_spend"))
    (problem,) = assembly.problems
    assert (problem.code, problem.name) == ("DC103", quantity)
    assert owner.distribution in problem.fix
    assert "my-package" in problem.fix


def test_every_mutation_of_an_output_that_is_read_is_caught(plugins):
    """Whatever a team changes about a quantity that another reads, assembly says so."""
    read = {name for r in plugins.registrations for name in r.contract.input_names}
    changes = [
        {"unit": "furlong"},
        {"dtype": "float32"},
        {"nullable": True},
        {"aggregation": {"hour": {"weighted_by": "sessions_of_yesterday"}}},
    ]
    tried = 0
    for registration in plugins.registrations:
        data = registration.contract.to_json()
        for place, output in enumerate(data["outputs"]):
            for change in changes if output["name"] in read else ():
                outputs = list(data["outputs"])
                outputs[place] = {**output, **change}
                mutant = Contract.from_json({**data, "outputs": outputs})
                others = [r for r in plugins.registrations if r is not registration]
                changed = Registration(mutant, registration.distribution, "9.9.9")
                problems = assemble([*others, changed], externals=None).problems
                assert any(p.name == output["name"] and "9.9.9" in p.producer for p in problems)
                tried += 1
    assert tried >= 30


def test_snapshots_are_current(plugins):
    none_of(check_snapshots(plugins, ROOT))


def test_contracts_are_far_enough_ahead_of_the_current_release(plugins):
    pointer = ROOT / "integration" / "releases" / "current.json"
    if not pointer.exists():
        pytest.skip("no release was promoted yet")
    current = pointer.parent / f"{json.loads(pointer.read_text())['release']}.json"
    none_of(check_evolution(plugins, current))


def test_check_of_all_packages_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from dagcast.plugins import load_plugins;"
        "from dagcast.assembly import check_assembly; check_assembly(load_plugins());"
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_installed_model_obeys_the_model_contract():
    results = check_conformance()
    none_of([problem for result in results for problem in result.problems])
    assert {result.distribution for result in results} >= {f"dagcast-{team}" for team in TEAMS}
    assert all(result.passed >= 18 for result in results)


def test_conformance_of_a_package_that_is_not_there_is_a_problem():
    (result,) = check_conformance(["no-such-package"])
    (problem,) = result.problems
    assert problem.code == "DC402"
    assert "no installed distribution 'no-such-package'" in problem.found


def test_every_problem_code_has_a_page_and_every_page_a_code():
    pages = {path.stem for path in (ROOT / "docs" / "reference" / "problems").glob("DC*.md")}
    assert pages == set(PROBLEM_CODES)
    for code in pages:
        text = (ROOT / "docs" / "reference" / "problems" / f"{code}.md").read_text()
        assert re.search(rf"^{code} (\[|[a-z])", text, re.MULTILINE)
        assert "## What to do" in text
