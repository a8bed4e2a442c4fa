"""Fitting driver hours to a history whose truth is known."""

import numpy as np
import pandas as pd

from dagcast_core import IndexTensor, Panel, fit
from dagcast_driver_hours import DriverHours

REGIONS = ("SFO", "LAX", "CHI")


def test_fit_separates_organic_hours_from_those_bought(
    hour_of_week: IndexTensor, hours: pd.DatetimeIndex
) -> None:
    rng = np.random.default_rng(3)
    weeks = (np.arange(len(hours)) - len(hours) + 1) / 168
    profile = 0.5 * np.sin(np.arange(168) * 2 * np.pi / 24)
    level = np.array([[3.0], [3.5], [4.0]])
    organic = np.exp(level + 0.02 * weeks + profile[hour_of_week.numpy()])
    # Bonuses were bought in a third of the hours, and more in the second half.
    bought = 8.0 * (rng.uniform(size=organic.shape) < 0.3) * (1 + (weeks > -4))
    noisy = (organic + bought) * rng.lognormal(0.0, 0.05, organic.shape)
    values = {"driver_hours": noisy, "incremental_driver_hours": bought, "holiday": 0 * bought}
    history = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    model = DriverHours(REGIONS)
    fit(model, Panel({**history, "hour_of_week": hour_of_week})).raise_unconverged()
    centre = np.log(organic[:, -168:]).mean(axis=1)
    assert np.allclose(model.level.value().numpy(), centre, atol=0.02)
    assert np.allclose(model.trend.value().numpy(), 0.02, atol=0.005)
