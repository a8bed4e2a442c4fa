"""Causal validity on a two-model market with closed forms."""

import math

import pytest
import torch
from two_models import collection, experiment, panel

from dagcast_core.evaluate import causal_validity
from dagcast_core.model import Widening


def held():
    """A model that is sure of itself: its gain of 2 is held."""
    model = collection()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def test_validity_sets_the_expected_effect_beside_the_measured_one():
    """gain 2 times a change of 3 is 6; measured 7 with standard error 1 is z = -1."""
    exact = Widening.none()
    row = causal_validity(held(), panel(), [experiment(7.0, 1.0)], widening=exact).rows[0]
    assert (row.modelled, row.expected) == pytest.approx((6.0, 6.0))
    assert row.z == pytest.approx(-1.0, rel=1e-6)
    assert row.verdict == "agrees"
    assert row.half_width == pytest.approx(1.959964)
    assert math.isnan(row.modelled_error)


def test_validity_fails_a_model_that_contradicts_the_experiment():
    """The table is fed a wrong model once."""
    found = causal_validity(held(), panel(), [experiment(9.0, 1.0)], widening=Widening.none())
    assert found.rows[0].z == pytest.approx(-3.0, rel=1e-6)
    assert found.rows[0].verdict == "contradicts"
    assert not found.passed


def test_validity_passes_on_nothing_neither_by_absence_nor_by_noise():
    assert not causal_validity(held(), panel(), []).passed
    noisy = causal_validity(held(), panel(), [experiment(9.0, 50.0)])
    assert noisy.rows[0].verdict == "says little"
    assert not noisy.passed
    assert causal_validity(held(), panel(), [experiment(6.5, 1.0)]).passed


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

    found = causal_validity(
        held(), panel(), [experiment(7.0, 2.0)], leave_out=without, widening=Widening.none()
    ).rows[0]
    assert found.refitted == pytest.approx(3.0)
    assert found.refitted_z == pytest.approx(-2.0, rel=1e-6)
    assert found.expected == pytest.approx(6.0)
