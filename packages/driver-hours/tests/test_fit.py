"""Fitting driver hours to a history whose truth is known."""

import numpy as np
import pandas as pd
import torch

from dagcast_core import IndexTensor, Panel, fit
from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_driver_hours import DriverHours, driver_hours_collection

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
    values = {"driver_hours": noisy, "gained_driver_hours": bought, "holiday": 0 * bought}
    history = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    model = DriverHours(REGIONS)
    fit(model, Panel({**history, "hour_of_week": hour_of_week})).raise_unconverged()
    centre = np.log(organic[:, -168:]).mean(axis=1)
    assert np.allclose(model.level.value().numpy(), centre, atol=0.02)
    assert np.allclose(model.trend.value().numpy(), 0.02, atol=0.005)


def test_the_organic_part_is_fitted_at_the_pull_of_earnings(hour_of_week: IndexTensor) -> None:
    """Good weeks leave the level alone, and the history leaves the elasticities alone."""
    history = _paid_history(hour_of_week, short_run=1.2)
    model = driver_hours_collection(REGIONS)
    fit(model, history).raise_unconverged()
    response, organic = model.leaves["earnings-response"], model.leaves["driver-hours"]
    assert response.short_run.value().tensor.item() == 1.2
    assert np.allclose(organic.level.value().numpy(), [3.0, 3.5, 4.0], atol=0.02)
    # Hours without the earnings that explain them scatter by what the earnings did.
    unexplained = driver_hours_collection(REGIONS)
    fit(unexplained, history.drop("earnings_swing")).raise_unconverged()
    with torch.no_grad():
        blind = history.drop("earnings_swing")
        errors = [
            (history["driver_hours"] / m.predict(known)["driver_hours"]).log().tensor.std()
            for m, known in ((model, history), (unexplained, blind))
        ]
    assert errors[0] < 0.06 < 0.1 < errors[1]


def test_an_experiment_on_earnings_moves_the_elasticity(hour_of_week: IndexTensor) -> None:
    history = _paid_history(hour_of_week, short_run=0.5)
    labels = history["driver_hours"].index("hour")
    measured = Experiment(
        "guaranteed-hour",
        ("earnings_swing",),
        "driver_hours",
        cells=Cells(REGIONS, labels[-168].isoformat(), labels[-1].isoformat(), dim="region"),
        treatment=Arm("paid", (Change("earnings_swing", "scale", 1.2),)),
        estimate=0.5,
        standard_error=0.05,
        scale="elasticity",
    )
    model = driver_hours_collection(REGIONS)
    report = fit(model, history, [measured])
    report.raise_unconverged()
    response = model.leaves["earnings-response"]
    assert abs(response.short_run.value().tensor.item() - 0.5) < 0.1
    assert abs(response.long_run.value().tensor.item() - 0.4) < 0.02


def _paid_history(hour_of_week: IndexTensor, *, short_run: float) -> Panel:
    """Organic hours at a flat level, times what swings of earnings made of them."""
    rng = np.random.default_rng(5)
    swing = rng.lognormal(0.0, 0.15, hour_of_week.shape)
    level = np.array([[3.0], [3.5], [4.0]])
    made = np.exp(level) * swing**short_run * rng.lognormal(0.0, 0.05, swing.shape)
    values = {"driver_hours": made, "earnings_swing": swing, "holiday": np.zeros(swing.shape)}
    history = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    return Panel({**history, "hour_of_week": hour_of_week})
