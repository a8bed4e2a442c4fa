"""Two businesses installed in one environment: what clashes is named, and nothing else."""

import importlib
import sys
from pathlib import Path

import pytest

from dagcast import workflow
from dagcast.assembly import check_assembly
from dagcast.plugins import load_plugins
from dagcast.vocabulary import first_config

DEPOTS = Path(__file__).parent / "depots"
PACKAGES = ("depots", "depots-orders", "depots-picking")
MARKETPLACE = ("marketplace", "sessions", "driver-hours", "eta", "pricing", "incentives")


@pytest.fixture
def both(installed_into, monkeypatch):
    """The marketplace's packages and, beside them, those of the depots."""
    monkeypatch.syspath_prepend(str(installed_into(*(DEPOTS / name for name in PACKAGES))))
    yield
    for name in [n for n in sys.modules if n.partition(".")[0].startswith("depots")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_only_what_cannot_both_hold_is_named(both):
    problems = check_assembly(load_plugins()).problems
    # Both have shifts, of drivers and of workers. A project has one name, one table that says how
    # far history goes, and one currency.
    assert {(problem.code, problem.name) for problem in problems} == {
        ("DC210", "table shifts"),
        ("DC212", "name"),
        ("DC212", "data.heartbeat"),
        ("DC212", "objective.unit"),
    }
    for problem in problems:
        assert "dagcast-marketplace" in problem.producer
        assert "depots 1.0.0" in problem.producer


@pytest.mark.parametrize("left_out", [PACKAGES, MARKETPLACE])
def test_a_project_of_either_business_leaves_the_other_out_by_name(both, left_out):
    plugins = load_plugins(disable=left_out)
    lever = "incentive_spend" if "depots" in left_out else "overtime_pay"
    assert set(first_config(plugins).levers) == {lever}
    assert workflow.check(None, disable=left_out).exit_code() == 0
