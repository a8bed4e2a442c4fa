"""Fitting the collection to a history in which surcharges answer demand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, Panel, fit
from dagcast_pricing import pricing_collection

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]


@pytest.fixture
def history(hour_of_week: IndexTensor, constant: Constant) -> Panel:
    rng = np.random.default_rng(5)
    shape = hour_of_week.shape
    sessions, drivers = rng.uniform(20, 80, shape), rng.uniform(20, 40, shape)
    surcharge = 0.5 * np.maximum(np.log(sessions / drivers) - 0.3, 0.0)
    # Riders in hours with a surcharge want to ride more, whatever they pay.
    share = 1 / (1 + np.exp(-(0.2 + 1.0 * surcharge)))
    rides = rng.binomial(sessions.astype(int), share).astype(float)
    fares = rides * 15.0
    values = {
        "sessions": sessions,
        "driver_hours": drivers,
        "prime_time": surcharge,
        "eta": rng.uniform(3, 7, shape),
        "rides": rides,
        "revenue": fares * (1 + surcharge),
        "driver_pay": fares * (0.6 + 0.5 * surcharge),
    }
    quantities = {q: IndexTensor(v, hour_of_week.indexes, q) for q, v in values.items()}
    return Panel(
        {**quantities, "hour_of_week": hour_of_week, "base_fare": constant("base_fare", 15.0)}
    )


def test_history_turns_no_sign_of_the_price_effect(history: Panel) -> None:
    """Rides rise with the surcharge in this history; the price effect stays at its prior."""
    model = pricing_collection(REGIONS)
    fit(model, history).raise_unconverged()
    price = model.leaves["quote-appeal"].price.value().numpy()
    assert np.allclose(price, 0.7, rtol=1e-6)


def test_fit_recovers_the_surcharge_rule_and_the_drivers_share(history: Panel) -> None:
    model = pricing_collection(REGIONS)
    fit(model, history)
    with torch.no_grad():
        out = model.predict(history)
    error = (out["prime_time"] - history["prime_time"]).abs().mean().item()
    assert error < 0.01
    assert np.allclose(model.leaves["money"].fare.value().numpy(), 1.0, atol=0.01)
    assert np.allclose(model.leaves["money"].share.value().numpy(), 0.6, atol=0.01)
    assert model.leaves["money"].prime_share.value().item() == pytest.approx(0.5, abs=0.03)
    assert (out["rides"].tensor <= history["sessions"].tensor).all()
