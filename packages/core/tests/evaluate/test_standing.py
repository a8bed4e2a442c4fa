"""On what effects stand: trials at such doses, the past, or nothing."""

import math

import numpy as np
import pandas as pd
import pytest

from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_core.evaluate import evidence_of, known_doses
from dagcast_core.tensor import IndexTensor

HOURS = pd.date_range("2026-01-05", periods=4 * 168, freq="h", tz="UTC")
REGIONS = ["SFO", "OAK", "PHX"]
KINDS = ["boost", "streak"]


def past(boost=0.0, streak=0.0):
    """A lever by kind, region and hour; given as a level, or as one value per hour."""
    values = np.zeros((2, 3, len(HOURS)))
    values[0], values[1] = boost, streak
    return IndexTensor(values, {"kind": KINDS, "region": REGIONS, "hour": HOURS}, "spend")


def trial(name="t", *, kinds=("boost",), how="set", value=5.0, outcome="hours", week=0, **more):
    where = {"kind": kinds} if kinds else {}
    start = HOURS[0] + pd.Timedelta(weeks=week)
    return Experiment(
        name,
        ("spend",),
        outcome,
        cells=Cells(
            ("SFO", "OAK"),
            start.isoformat(),
            (start + pd.Timedelta(hours=167)).isoformat(),
            dim="region",
        ),
        control=Arm("control", (Change("spend", "set", 0.0, where),)),
        treatment=Arm("treatment", (Change("spend", how, value, where),)),
        estimate=1.0,
        standard_error=0.5,
        **more,
    )


def doses(lever, *trials, fresh_weeks=52.0, outcomes=("hours", "rides")):
    found = known_doses(
        lever,
        trials,
        outcomes=outcomes,
        rows="region",
        time="hour",
        now=HOURS[-1],
        fresh_weeks=fresh_weeks,
    )
    return {item.label: item for item in found}


def decided(boost=0.0, streak=0.0):
    values = np.zeros((2, 3, 2))
    values[0], values[1] = boost, streak
    return IndexTensor(values, {"kind": KINDS, "region": REGIONS, "hour": HOURS[:2]}, "spend")


def standing(lever, plan, *trials, **options):
    rows = evidence_of(plan, doses(lever, *trials, **options).values(), rows="region")
    return {row.tested.label: row for row in rows}


def test_lever_never_used_and_never_tried_is_a_prior():
    found = standing(past(), decided(boost=3.0))
    assert (found["boost"].standing, found["boost"].prior) == ("prior", 18.0)
    assert found["streak"].standing == "prior"


def test_lever_that_varied_stands_on_the_past_up_to_its_greatest_dose():
    varied = past(boost=np.arange(len(HOURS)) % 7)
    assert standing(varied, decided(boost=6.5))["boost"].standing == "history"
    assert standing(varied, decided(boost=7.0))["boost"].standing == "prior"
    # What never changed shows no effect, however much of it there was.
    assert standing(past(boost=6.0), decided(boost=6.0))["boost"].standing == "prior"


@pytest.mark.parametrize(
    ("dose", "measured"), [(0.5, True), (5.0, True), (5.4, True), (5.6, False), (50.0, False)]
)
def test_trial_measures_doses_up_to_its_own(dose, measured):
    row = standing(past(), decided(boost=dose), trial())["boost"]
    assert (row.measured == row.amount) is measured
    assert (row.beyond == row.amount) is not measured
    assert row.standing == ("measured" if measured else "prior")


def test_trial_of_one_label_says_nothing_of_another():
    found = standing(past(), decided(boost=2.0, streak=2.0), trial())
    assert (found["boost"].standing, found["streak"].standing) == ("measured", "prior")
    both = standing(past(), decided(streak=2.0), trial(kinds=()))
    assert both["streak"].standing == "measured"


def test_trial_of_an_outcome_off_the_way_or_without_assignment_does_not_count():
    assert standing(past(), decided(boost=2.0), trial(outcome="weather"))["boost"].prior == 12.0
    for design in ("natural", "prior"):
        found = standing(past(), decided(boost=2.0), trial(design=design))
        assert found["boost"].standing == "prior"


def test_old_trial_is_named_and_does_not_count():
    old = trial("old", week=-60)
    found = standing(past(), decided(boost=2.0), old)["boost"]
    assert (found.standing, found.tested.stale, found.tested.trials) == ("prior", ("old",), ())
    assert standing(past(), decided(boost=2.0), old, fresh_weeks=70)["boost"].standing == "measured"


@pytest.mark.parametrize(("how", "value", "high"), [("add", 2.0, 6.0), ("scale", 1.5, 6.0)])
def test_doses_of_changes_are_worked_out_on_the_cells_of_the_trial(how, value, high):
    spent = np.where(np.arange(len(HOURS)) < 168, 4.0, 90.0)
    found = doses(past(boost=spent), trial(how=how, value=value))["boost"]
    assert (found.low, found.high) == (0.0, high)


def test_money_in_rows_without_a_trial_is_counted():
    row = standing(past(), decided(boost=3.0), trial())["boost"]
    assert (row.amount, row.elsewhere) == (18.0, 6.0)


def test_label_without_money_stands_on_what_is_known_of_it():
    found = standing(past(streak=np.arange(len(HOURS)) % 3), decided(), trial())
    assert (found["boost"].standing, found["streak"].standing) == ("measured", "history")
    assert math.isnan(found["streak"].tested.high)
