"""Residuals are what happened and was not foreseen."""

import numpy as np
import pytest

from dagcast_core.tensor import Panel


def test_residuals_reproduce_what_happened(kit, history):
    models = kit.collection()
    residuals = models.residuals(history)
    assert set(residuals) == {"sessions", "driver_hours", "eta"}
    again = models.predict(history, residuals=residuals)
    for quantity in residuals:
        np.testing.assert_allclose(again[quantity].numpy(), history[quantity].numpy(), rtol=1e-9)


def test_residuals_of_some_members_can_be_taken_alone(kit, history):
    models = kit.collection()
    some = models.residuals(history).only(models.outputs_of("demand"))
    again = models.predict(history, residuals=some)
    np.testing.assert_allclose(again["sessions"].numpy(), history["sessions"].numpy(), rtol=1e-9)
    assert not np.allclose(again["driver_hours"].numpy(), history["driver_hours"].numpy())


def test_multiplicative_residual_keeps_counterfactuals_positive(kit, history):
    models = kit.collection()
    residuals = models.residuals(history)
    nothing = history.assign(spend=history["spend"] * 0.0)
    hours = models.predict(nothing, residuals=residuals)["driver_hours"]
    assert bool((hours.tensor >= 0).all())


@pytest.mark.parametrize(("sums", "factor"), [(("driver_hours",), 1.0), ((), 2.0)])
def test_hours_not_foreseen_in_a_sum_leave_the_bonus_as_it_is(kit, history, sums, factor):
    """Twice the hours that were forecast do not make a bonus twice as good, if so declared."""
    models = kit.collection()
    models.leaves["supply"].sums = sums
    forecast = models.predict(history)
    happened = Panel({**history, "driver_hours": forecast["driver_hours"] * 2.0})
    residuals = models.residuals(happened)
    nothing = happened.assign(spend=happened["spend"] * 0.0)
    some, none = (models.predict(panel, residuals=residuals) for panel in (happened, nothing))
    np.testing.assert_allclose(
        some["driver_hours"].numpy(), happened["driver_hours"].numpy(), rtol=1e-12
    )
    added = some["driver_hours"] - none["driver_hours"]
    bought = some["extra_hours"] - none["extra_hours"]
    np.testing.assert_allclose(added.numpy(), factor * bought.numpy(), rtol=1e-9, atol=1e-9)


def test_cells_that_could_not_be_predicted_surprised_nobody(kit, history):
    """An input of the past that is missing leaves no NaN in what is drawn from its residuals."""
    models = kit.collection()
    spend = history["spend"]
    holes = spend.tensor.clone()
    holes.reshape(-1)[::7] = float("nan")
    residuals = models.residuals(history.assign(spend=spend.with_tensor(holes)))
    for residual in residuals.values():
        assert np.isfinite(residual.ratio.numpy()).all()
        assert np.isfinite(residual.shift.numpy()).all()
    again = models.predict(history, residuals=residuals)
    assert all(np.isfinite(again[name].numpy()).all() for name in again)
