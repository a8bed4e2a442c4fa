"""Experiments that ran before the history count, where they ran or where others stand in."""

from dataclasses import replace

import pandas as pd
import pytest

from dagcast_core.contract import Cells
from dagcast_core.model import ExperimentalEffect, ExperimentError, draws, effect_of, fit, left_out


def cut(history, weeks):
    """The history without its first weeks."""
    first = next(history[q].index("hour") for q in history)[168 * weeks]
    return history.between(first)


def test_effect_is_taken_where_the_trial_ran(kit, history):
    item = kit.spend_experiment()
    recent = cut(history, 2)
    models = kit.collection()
    report = fit(models, recent, [item], archive=history)
    assert report.notes == ()
    (row,) = report.experiments
    assert row.joint == pytest.approx(float(effect_of(models, history, item).detach()))
    # It counts, less for its age, and so in the draws and in the verdict.
    assert row.factors.recency > 0
    assert row.joint > row.own or row.joint == pytest.approx(4.0, rel=0.1)
    assert left_out(models, recent, [item], archive=history)[item.name].z == pytest.approx(row.z)
    assert len(draws(models, recent, [item], 3, archive=history)) == 3


def test_same_hours_stand_in_for_weeks_that_are_not_at_hand(kit, history):
    item = kit.spend_experiment()
    recent = cut(history, 2)
    report = fit(kit.collection(), recent, [item])
    (note,) = report.notes
    assert note == (
        "experiment bonus-hours ran before the history: the same hours 1 week later stand in for "
        "its own"
    )
    start, end = pd.Timestamp(item.cells.start), pd.Timestamp(item.cells.end)
    week = pd.Timedelta(weeks=1)
    later = replace(item.cells, start=(start + week).isoformat(), end=(end + week).isoformat())
    models = kit.collection()
    found = ExperimentalEffect(models, recent, item)
    assert found.weeks_later == 1
    assert float(found().detach()) == pytest.approx(
        float(effect_of(models, recent, replace(item, cells=later)).detach())
    )


def test_weeks_that_nothing_can_stand_in_for_are_refused(kit, history):
    cells = Cells(kit.REGIONS, "2024-01-01T00:00Z", "2024-03-01T00:00Z", dim="region")
    with pytest.raises(ExperimentError, match="no weeks of it can stand in"):
        effect_of(kit.collection(), history, kit.spend_experiment(cells=cells))
