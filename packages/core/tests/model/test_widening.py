"""Experiments lose information with age, dose and brevity."""

import math

import pandas as pd
import pytest

from dagcast_core.contract import Cells
from dagcast_core.model import Widening


def test_widening_shows_its_factors(kit):
    widening = Widening(half_life=10.0, dose=0.5, duration=0.2, full_duration=168.0)
    cells = Cells(("SFO",), "2025-01-13T00:00+00:00", "2025-01-13T23:00+00:00", dim="region")
    now = pd.Timestamp("2025-01-13T23:00+00:00") + pd.Timedelta(weeks=20)
    factors = widening.factors(kit.spend_experiment(cells=cells), now, 20.0, 10.0)
    assert factors.recency == pytest.approx(3.0)
    assert factors.dose == pytest.approx(0.5 * math.log(2) ** 2)
    assert factors.duration == pytest.approx(0.2 * math.log(7))
    # The form's share is learned from the experiments together, not from one.
    assert factors.form == 0.0
    added = (factors.recency, factors.dose, factors.duration)
    assert factors.total == pytest.approx(1 + sum(added))


def test_prior_belief_is_not_widened(kit):
    now = pd.Timestamp("2030-01-01", tz="UTC")
    factors = Widening().factors(kit.spend_experiment(design="prior"), now, 1.0, 9.0)
    assert factors.total == 1.0
