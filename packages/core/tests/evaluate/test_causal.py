"""Causal validity and diagnosis on a two-model market with closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import Arm, Cells, Change, Contract, Dim, Effect, Experiment, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.evaluate import causal_validity, diagnose, partial_derivative
from dagcast_core.model import Model, ModelCollection, ModelError
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")

SPEND = Quantity("spend", (REGION, HOUR), "USD/h")
SUPPLY = Quantity("supply", (REGION, HOUR), "driver-hour/h")
WAIT = Quantity("wait", (REGION, HOUR), "min")
HOURS = pd.date_range("2025-01-06", periods=6, freq="h", tz="UTC")
REGIONS = ("SFO", "LAX")


class Bonus(Model):
    """Supply = 10 + gain * spend."""

    contract = Contract(
        "bonus", inputs=(SPEND,), outputs=(SUPPLY,), effects=(Effect(SPEND, SUPPLY, "+"),)
    )

    def __init__(self):
        super().__init__()
        self.gain = self.parameter(start=2.0)

    def forward(self, spend):
        return self.gain * spend + 10.0


class Pickup(Model):
    """Wait = 100 / supply."""

    contract = Contract(
        "pickup", inputs=(SUPPLY,), outputs=(WAIT,), effects=(Effect(SUPPLY, WAIT, "-"),)
    )

    def forward(self, supply):
        return 100.0 / supply


def panel():
    """Spend 1 everywhere; supply is 1 above what the model says, waits are exact."""
    layout = {"region": list(REGIONS), "hour": HOURS}
    shape = (len(REGIONS), len(HOURS))
    return Panel(
        [
            IndexTensor(np.full(shape, 1.0), layout, "spend"),
            IndexTensor(np.full(shape, 13.0), layout, "supply"),
            IndexTensor(np.full(shape, 100 / 13), layout, "wait"),
        ]
    )


def experiment(estimate, error, outcome="supply"):
    """Spend raised from 0 to 3 in one region."""
    return Experiment(
        name="bonus-test",
        levers=("spend",),
        outcome=outcome,
        design="switchback",
        cells=Cells(("SFO",), "2025-01-06T00:00Z", "2025-01-06T05:00Z"),
        control=Arm("off", (Change("spend", "set", 0.0),)),
        treatment=Arm("on", (Change("spend", "set", 3.0),)),
        estimate=estimate,
        standard_error=error,
    )


def collection():
    return ModelCollection((Bonus(), Pickup()), name="market")


def test_validity_sets_the_modelled_effect_beside_the_measured_one():
    """gain 2 times a change of 3 is 6; measured 7 with standard error 1 is z = -1."""
    row = causal_validity(collection(), panel(), [experiment(7.0, 1.0)]).rows[0]
    assert row.modelled == pytest.approx(6.0)
    assert row.z == pytest.approx(-1.0)
    assert row.passed
    assert row.interval == pytest.approx((7 - 1.959964, 7 + 1.959964))
    assert math.isnan(row.modelled_error)


def test_validity_fails_a_model_that_contradicts_the_experiment():
    """The table is fed a wrong model once."""
    found = causal_validity(collection(), panel(), [experiment(9.0, 1.0)])
    assert found.rows[0].z == pytest.approx(-3.0)
    assert not found.passed


def test_validity_follows_a_path_across_models():
    """100/16 - 100/10, through both models."""
    row = causal_validity(collection(), panel(), [experiment(-4.0, 1.0, "wait")]).rows[0]
    assert row.modelled == pytest.approx(100 / 16 - 100 / 10)


def test_validity_takes_the_spread_over_draws_and_restores_the_fit():
    """Gains of 1, 2 and 3 give effects of 3, 6 and 9."""
    model = collection()
    fitted = {name: value.clone() for name, value in model.state_dict().items()}
    key = next(iter(fitted))
    draws = [{key: torch.full_like(fitted[key], gain)} for gain in (1.0, 2.0, 3.0)]
    row = causal_validity(model, panel(), [experiment(7.0, 1.0)], draws=draws).rows[0]
    assert row.modelled_error == pytest.approx(3.0)
    assert torch.equal(model.state_dict()[key], fitted[key])


def test_validity_reports_the_effect_with_the_experiment_left_out():
    """A model fitted without it predicts 3; measured 7 with standard error 2 is z = -2."""

    def without(name):
        assert name == "bonus-test"
        model = collection()
        with torch.no_grad():
            next(iter(model.parameters())).fill_(1.0)
        return model

    found = causal_validity(collection(), panel(), [experiment(7.0, 2.0)], leave_out=without).rows[
        0
    ]
    assert found.left_out == pytest.approx(3.0)
    assert found.left_out_z == pytest.approx(-2.0)


def test_diagnosis_separates_own_from_inherited_error():
    """Waits are exact given the true supply: their whole error comes from the bonus model."""
    rows = {row.quantity: row for row in diagnose(collection(), panel()).rows}
    assert rows["supply"].own == pytest.approx(1.0)
    assert rows["supply"].inherited == pytest.approx(0.0)
    assert rows["wait"].own == pytest.approx(0.0, abs=1e-12)
    assert rows["wait"].inherited == pytest.approx(100 / 12 - 100 / 13)


def test_partial_derivative_is_that_of_the_closed_form():
    """d (100 / (10 + 2 s)) / ds at s = 1."""
    found = partial_derivative(collection(), panel(), "wait", "spend")
    assert found.dims == ("region", "hour")
    assert found.tensor.unique().tolist() == pytest.approx([-200 / 144])


def test_partial_derivative_names_the_nearest_quantity():
    """A misspelt outcome."""
    with pytest.raises(ModelError, match="no output 'waits'. Near: 'wait'"):
        partial_derivative(collection(), panel(), "waits", "spend")
