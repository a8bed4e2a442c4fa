"""Limits refer to weeks that no plan decided: they do not follow what the last plan did."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from dagcast.config import Config
from dagcast.workflow.common._horizon import HOUR, Moments
from dagcast.workflow.common._reference import reference_weeks
from dagcast_core.tensor import IndexTensor, Panel

FIRST = pd.Timestamp("2026-01-05", tz="UTC")
WEEK = pd.Timedelta(weeks=1)


@dataclass
class Store:
    """Spend of 100 in every hour, and 80 from the first planned week on.

    OAK opens late and is no label before, and rows may arrive late.
    """

    planned: pd.Timestamp | None
    opened: pd.Timestamp | None = None
    late: float = 0.0

    def spans(self):
        return {"spend": SimpleNamespace(start=FIRST, end=FIRST + 60 * WEEK, rows=1)}

    def tables(self):
        return {"spend": SimpleNamespace(foreseeable=False)}

    def read(self, names, *, start, end, as_of):
        hours = pd.date_range(start, end, freq="h", unit="us")
        # Late rows add to every hour that is a week old.
        values = np.full((2, len(hours)), 100.0) + self.late * (as_of - hours >= WEEK)
        if self.planned is not None:
            values[:, hours >= self.planned] = 80.0
        if self.opened is not None:
            values[1, hours < self.opened] = np.nan
        count = 1 if self.opened is not None and as_of <= self.opened else 2
        indexes = {"region": ["SFO", "OAK"][:count], "hour": hours}
        return Panel([IndexTensor(values[:count], indexes, name) for name in names])


def session(store, *plans, **settings):
    records = {
        f"plan-{i}": SimpleNamespace(state=state, horizon_start=start.isoformat())
        for i, (state, start) in enumerate(plans)
    }
    project = SimpleNamespace(
        config=Config(**settings), journal=SimpleNamespace(plans=lambda: records)
    )
    return SimpleNamespace(project=project, store=store)


def times(weeks):
    start = FIRST + weeks * WEEK
    return Moments(start, FIRST, start - HOUR, start, start + WEEK - HOUR)


def mean(panel, region):
    return float(panel["spend"].sel(region=region).mean().item())


@pytest.mark.parametrize("later", [1, 2, 3, 20])
def test_weeks_before_the_first_plan_stay_the_reference(later):
    made = session(Store(FIRST + 8 * WEEK), ("approved", FIRST + 8 * WEEK))
    panel, until = reference_weeks(made, times(8 + later), ["spend"], None)
    assert until == FIRST + 8 * WEEK
    assert (mean(panel, "SFO"), len(panel["spend"].index("hour"))) == (100.0, 4 * 168)


@pytest.mark.parametrize("state", ["proposed", "rejected", "superseded"])
def test_plans_that_nobody_carried_out_move_no_reference(state):
    made = session(Store(None), (state, FIRST + 8 * WEEK))
    assert reference_weeks(made, times(10), ["spend"], None)[1] == FIRST + 10 * WEEK
    ahead = session(Store(None), ("approved", FIRST + 10 * WEEK))
    assert reference_weeks(ahead, times(10), ["spend"], None)[1] == FIRST + 10 * WEEK


def test_settings_move_the_reference():
    plans = ("approved", FIRST + 8 * WEEK)
    until = FIRST + 12 * WEEK
    made = session(Store(FIRST + 8 * WEEK), plans, recent_until=until.to_pydatetime())
    panel, found = reference_weeks(made, times(20), ["spend"], None)
    assert (found, mean(panel, "SFO")) == (until, 80.0)
    # A plan that is looked at again keeps the reference that it was made with.
    assert reference_weeks(made, times(20), ["spend"], FIRST + 6 * WEEK)[1] == FIRST + 6 * WEEK


def test_label_that_opened_after_the_reference_has_its_own_weeks():
    late = Store(FIRST + 8 * WEEK, opened=FIRST + 10 * WEEK)
    made = session(late, ("approved", FIRST + 8 * WEEK))
    panel, _ = reference_weeks(made, times(16), ["spend"], None)
    assert (mean(panel, "SFO"), mean(panel, "OAK")) == (100.0, 80.0)


def test_rows_that_arrive_later_move_no_limit():
    made = session(Store(None, late=5.0), ("approved", FIRST + 8 * WEEK))
    first, _ = reference_weeks(made, times(8), ["spend"], None)
    for later in (9, 12):
        again, _ = reference_weeks(made, times(later), ["spend"], None)
        assert mean(again, "SFO") == mean(first, "SFO")
    # Where somebody names the moment, everything that is known of those weeks counts.
    until = (FIRST + 8 * WEEK).to_pydatetime()
    named = session(Store(None, late=5.0), recent_until=until)
    assert mean(reference_weeks(named, times(12), ["spend"], None)[0], "SFO") == 105.0
