"""Terms on parameters alone are priors in nats."""

import math

import numpy as np
import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_core.model import LabelledParameter, ModelError, PartialPooling, Ridge, Smoothness

REGION = Dim("region")


def profile(values):
    return LabelledParameter(
        [REGION, HOUR_OF_WEEK],
        {"region": ["SFO", "LAX"], "hour_of_week": range(3)},
        np.asarray(values, dtype=float),
    )


def test_ridge_is_a_normal_prior_in_the_parameters_unit():
    level = LabelledParameter([REGION], {"region": ["SFO", "LAX"]}, [1.0, 2.0], "exp")
    assert Ridge(level, toward=3.0, weight=4.0).value().item() == pytest.approx(2 * (4 + 1))
    logs = Ridge(level, toward=1.0, weight=2.0, unconstrained=True)
    assert logs.value().item() == pytest.approx(math.log(2.0) ** 2)


def test_partial_pooling_is_around_the_mean_of_the_labels():
    term = PartialPooling(profile([[1, 2, 3], [3, 2, 7]]), REGION, scale=2.0)
    assert term.value().item() == pytest.approx((1 + 1 + 0 + 0 + 4 + 4) / 8)


def test_smoothness_penalises_steps_and_bends():
    values = profile([[1, 2, 4], [0, 0, 0]])
    assert Smoothness(values, HOUR_OF_WEEK).value().item() == pytest.approx(2.5)
    assert Smoothness(values, HOUR_OF_WEEK, periodic=True).value().item() == pytest.approx(7.0)
    assert Smoothness(values, HOUR_OF_WEEK, weight=3.0, order=2).value().item() == pytest.approx(
        1.5
    )


def test_noise_moves_the_centre_of_a_prior():
    level = LabelledParameter([REGION], {"region": ["SFO", "LAX"]}, [1.0, 2.0])
    noise = torch.tensor([1.0, -1.0], dtype=torch.float64)
    found = Ridge(level, toward=0.0, weight=4.0).value(noise)
    assert found.item() == pytest.approx(0.5 * ((2 - 1) ** 2 + (4 + 1) ** 2))


def test_terms_on_a_dim_that_the_parameter_lacks_are_refused():
    with pytest.raises(ModelError, match="has no dim 'hour_of_week'"):
        Smoothness(LabelledParameter([REGION], {"region": ["SFO"]}), HOUR_OF_WEEK)
