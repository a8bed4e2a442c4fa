"""Regret of the plans of past weeks on a tiny marketplace, and two models judged by it."""

import json
import re
import textwrap

import numpy as np
import pytest
import torch
from scipy import stats

from dagcast import workflow
from dagcast.cli import run
from dagcast.errors import ConfigError, ProjectError, UsageError
from dagcast.project import open_project

torch.set_num_threads(1)

OURS, FLAT = "driver_hours=dagcast-driver-hours", "driver_hours=flat-hours"
# Two days are planned under budgets alone: enough to pay at the wrong hours, and quickly solved.
SETTINGS = {
    # However slow the machine: the time limit ends no plan.
    "solver.seconds": "600",
    "horizon.hours": "48",
    "guardrails": "[]",
    "ramps": "[]",
    "backtest.origins": "2",
    "backtest.workers": "1",
}
PRESENT = {
    "serving.driver_hours": "dagcast-driver-hours",
    "serving.organic_driver_hours": "dagcast-driver-hours",
}

# Driver hours without any pattern over the week: its plans pay at the wrong hours.
FLAT_HOURS = """
    from dagcast_core.contract import Contract, Effect, Input
    from dagcast_core.hooks import hookimpl
    from dagcast_driver_hours.contract import (
        DRIVER_HOURS,
        HOLIDAY,
        INCREMENTAL_DRIVER_HOURS,
        ORGANIC_DRIVER_HOURS,
    )

    FLAT_HOURS = Contract(
        "flat-hours",
        inputs=(HOLIDAY, Input(INCREMENTAL_DRIVER_HOURS, required=False, default=0.0)),
        outputs=(ORGANIC_DRIVER_HOURS, DRIVER_HOURS),
        effects=(Effect(INCREMENTAL_DRIVER_HOURS, DRIVER_HOURS, "+"),),
    )

    @hookimpl
    def dagcast_contracts():
        return [FLAT_HOURS]

    @hookimpl
    def dagcast_models(labels):
        from dagcast_core import Model, SquaredError
        from dagcast_core.contract import Dim

        region = Dim("region")

        class FlatHours(Model):
            contract = FLAT_HOURS
            sums = ("driver_hours",)

            def __init__(self):
                super().__init__()
                self.level = self.parameter(region, labels=labels["region"], start=3.0)

            def forward(self, holiday, incremental_driver_hours):
                organic = self.level.at(holiday).exp() + 0.0 * holiday
                total = organic + incremental_driver_hours
                return {
                    "organic_driver_hours": organic,
                    "driver_hours": 0.5 * (total + (total.square() + 1e-4).sqrt()),
                }

            def loss_terms(self):
                return (SquaredError(DRIVER_HOURS, log=True),)

        return [FlatHours()]
"""


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    """A second package that serves driver hours, installed as a wheel leaves it on disk."""
    folder = tmp_path_factory.mktemp("candidates")
    (folder / "flat_hours_plugin.py").write_text(textwrap.dedent(FLAT_HOURS))
    info = folder / "flat_hours-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flat-hours\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[dagcast.models]\nflat-hours = flat_hours_plugin\n")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regret") / "project"
    workflow.simulate(folder, regions=2, weeks=6, seed=5, flags=SETTINGS)
    made = open_project(folder, flags=SETTINGS, environment={})
    workflow.ingest(made)
    return made


@pytest.fixture(scope="module")
def compared(project, candidates):
    return workflow.compare(project, (OURS, FLAT), by="regret")


def test_every_plan_is_judged_by_every_hindsight(compared):
    ours, flat = compared.candidates
    assert [item.candidate for item in compared.candidates] == [OURS, FLAT]
    for item in compared.candidates:
        assert len(item.weeks) == 2
        for week in item.weeks:
            assert set(week.regrets) == {OURS, FLAT}
            # No plan is better than a judge's own ex-post plan, but for the solver's tolerance.
            assert min(week.regrets.values()) >= -2e-4 * week.attainable
            assert sum(week.shares.values()) == pytest.approx(
                week.regrets[item.candidate], abs=1e-6 * week.attainable
            )
    assert {week.origin for week in ours.weeks} == {week.origin for week in flat.weeks}
    assert 0.0 < ours.moved["incentive_spend"] < 1.0


def test_a_model_without_a_pattern_over_the_week_regrets_more(compared):
    ours, flat = compared.candidates
    for better, worse in zip(ours.weeks, flat.weeks, strict=True):
        assert worse.regret > better.regret
    blamed = max(flat.shares, key=flat.shares.get)
    assert blamed == "flat-hours"
    (pair,) = compared.pairs
    assert pair.difference == pytest.approx(flat.mean - ours.mean)
    assert pair.low < pair.difference < pair.high


def test_the_present_models_alone_have_a_regret(project, compared):
    flags = {**SETTINGS, **PRESENT, "backtest.origins": "1"}
    chosen = open_project(project.folder, flags=flags, environment={})
    result = workflow.backtest_regret(chosen)
    (present,) = result.candidates
    last = compared.candidates[0].weeks[-1]
    assert [week.origin for week in present.weeks] == [last.origin]
    assert present.weeks[0].regret == pytest.approx(last.regrets[OURS], rel=1e-6)
    assert present.moved == {}
    written = json.loads((project.reports / "regret.json").read_text())
    assert written["candidates"][0]["weeks"][0]["origin"] == present.weeks[0].origin
    assert result.tables()[0].title == "Regret of the plans of past weeks"
    assert result.exit_code() == 0


def test_bad_input_is_refused_before_anything_is_fitted(project, candidates, capsys):
    before = len(project.journal.entries())
    with pytest.raises(UsageError, match=r"every candidate once; found .* twice"):
        workflow.compare(project, (OURS, OURS), by="regret")
    flags = {**SETTINGS, **PRESENT, "backtest.origins": "9"}
    longer = open_project(project.folder, flags=flags, environment={})
    with pytest.raises(ProjectError, match="3 weeks of history before the first of 9 origins"):
        workflow.backtest_regret(longer)
    code = run(
        ["backtest", "--by", "regret", "--quantity", "eta", "--project", str(project.folder)]
    )
    assert code == 2
    assert "--quantity goes with --by mase" in " ".join(capsys.readouterr().err.split())
    assert len(project.journal.entries()) == before


def test_errors_of_candidates_are_paired_and_judged_where_the_origins_can_tell(project, candidates):
    flags = {**SETTINGS, "backtest.origins": "3", "backtest.quantities": '["driver_hours"]'}
    flags |= {"backtest.horizon_hours": "48", "backtest.step_hours": "48"}
    chosen = open_project(project.folder, flags=flags, environment={})
    result = workflow.compare(chosen, (OURS, FLAT))
    (flat,) = result.pairs
    assert (flat.candidate, flat.quantity, flat.verdict) == (FLAT, "driver_hours", "worse")
    ours, theirs = result.candidates
    paired = zip(theirs.by_origin["driver_hours"], ours.by_origin["driver_hours"], strict=True)
    apart = np.array([a - b for a, b in paired])
    # SciPy's own interval of a mean by Student's t.
    low, high = stats.t.interval(0.95, 2, apart.mean(), stats.sem(apart))
    assert (flat.low, flat.high) == pytest.approx((low, high))
    assert result.exit_code() == 3
    # Each window's fit is kept, by what it follows from: nothing is fitted again.
    kept = chosen.reports / ".backtest"
    made = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    flags["backtest.origins"] = "1"
    newest = open_project(project.folder, flags=flags, environment={})
    as_declared = f"{OURS}, models.eta.trip_time=33"
    again = workflow.compare(newest, (OURS, as_declared))
    (same,) = again.pairs
    assert (same.candidate, same.verdict, same.interval) == (as_declared, "same", "-")
    now = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(now) == 2
    assert len(now.items() & made.items()) == 1


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("eta", "found 'eta'"),
        ("eta=", "found 'eta='"),
        ("models.eta=3", "found 'models.eta=3'"),
        ("models.eta.trip_time=[1]", "a number or a text for models.eta.trip_time"),
        ("eta=a,eta=b", "found 'eta=a,eta=b'"),
        (f"{OURS},models.eta.trip_tyme=3", "Did you mean 'trip_time'"),
        (f"{OURS},models.eta.trip_time=-3", "trip_time in .models.eta. of dagcast.toml to be"),
    ],
)
def test_candidate_that_is_none_is_said_before_anything_is_fitted(
    project, candidates, candidate, words
):
    with pytest.raises(ConfigError if "Did" in words or "to be" in words else UsageError) as raised:
        workflow.compare(project, (OURS, candidate))
    assert re.search(words, str(raised.value))
