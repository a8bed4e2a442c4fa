"""Fitting the collection to a history whose truth is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor, Panel, fit
from dagcast_sessions import sessions_collection

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def history(hour_of_week: IndexTensor, hours: pd.DatetimeIndex, constant: Constant) -> Panel:
    """Counts with rain, a trend and coupons that were spent where demand was foreseen."""
    rng = np.random.default_rng(7)
    shape = hour_of_week.shape
    weeks = (np.arange(len(hours)) - len(hours) + 1) / 168
    profile = 0.7 * np.sin(np.arange(168) * 2 * np.pi / 24)
    rain = rng.gamma(0.3, 4.0, shape) * (rng.uniform(size=shape) < 0.2)
    foreseen = rng.normal(0.0, 0.1, shape)
    rate = np.exp(
        np.array([[4.0], [4.5], [3.5]])
        + 0.03 * weeks
        + profile[hour_of_week.numpy()]
        + 0.2 * np.log1p(rain)
        + foreseen
    )
    values = {
        "sessions": rng.poisson(rate).astype(float),
        "precipitation": rain,
        "coupon_spend": 20.0 * np.exp(5.0 * foreseen),
    }
    quantities = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    return Panel(
        {
            **quantities,
            "hour_of_week": hour_of_week,
            "holiday": constant("holiday", 0.0),
            "temperature": constant("temperature", 18.0),
        }
    )


def test_fit_recovers_rain_and_trend_and_converges(history: Panel) -> None:
    model = sessions_collection(REGIONS)
    report = fit(model, history)
    report.raise_unconverged()
    assert model.leaves["weather-sessions"].rain.value().item() == pytest.approx(0.2, abs=0.02)
    trend = model.leaves["organic-sessions"].trend.value().numpy()
    assert np.allclose(trend, 0.03, atol=0.01)


def test_history_does_not_move_the_coupon_effect(history: Panel) -> None:
    """Coupons went where demand was foreseen; the history would call that an effect."""
    model = sessions_collection(REGIONS)
    before = model.leaves["coupon-sessions"].reply.value().tensor.detach().clone()
    fit(model, history)
    after = model.leaves["coupon-sessions"].reply.value().tensor.detach()
    assert torch.allclose(after, before, rtol=1e-6)


def test_forecast_beats_the_seasonal_naive(history: Panel, hours: pd.DatetimeIndex) -> None:
    train = Panel({q: tensor.isel(hour=slice(None, -168)) for q, tensor in history.items()})
    later = Panel({q: tensor.isel(hour=slice(-168, None)) for q, tensor in history.items()})
    model = sessions_collection(REGIONS)
    fit(model, train)
    with torch.no_grad():
        forecast = model.predict(later)["sessions"].numpy()
    actual, last = later["sessions"].numpy(), train["sessions"].numpy()[:, -168:]
    assert np.abs(forecast - actual).mean() < 0.8 * np.abs(last - actual).mean()
