"""Loss terms are likelihoods in nats, blind to missing cells."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.dims import HOUR_OF_WEEK
from dagcast_core.model import (
    LabelledParameter,
    ModelError,
    NegativeBinomial,
    PartialPooling,
    Poisson,
    Ridge,
    Smoothness,
    SquaredError,
)
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")


def series(values, name="y", regions=("SFO",)):
    hours = pd.date_range("2025-01-06", periods=len(values[0]), freq="h", tz="UTC")
    return IndexTensor(values, {"region": list(regions), "hour": hours}, name)


ACTUAL = np.array([[3.0, 5.0, 1.0, 8.0]])
PREDICTED = np.array([[2.5, 6.0, 1.5, 7.0]])


def value(term, actual=ACTUAL, predicted=PREDICTED, **more):
    guess = series(predicted)
    guess = guess.with_tensor(guess.tensor.clone().requires_grad_())
    history = Panel({"y": series(actual), **more})
    loss = term.value(guess, term.target(history, guess))
    (slope,) = torch.autograd.grad(loss, guess.tensor)
    return float(loss.detach()), slope.numpy()


def test_squared_error_is_the_profiled_gaussian_likelihood():
    loss, _ = value(SquaredError("y"))
    squares = ((ACTUAL - PREDICTED) ** 2).sum()
    assert loss == pytest.approx(2.0 * math.log(squares / 4), rel=1e-9)


def test_squared_error_of_known_sigma_is_its_likelihood():
    loss, _ = value(SquaredError("y", sigma=2.0))
    normal = torch.distributions.Normal(torch.tensor(PREDICTED), 2.0)
    constant = 4 * math.log(2.0 * math.sqrt(2 * math.pi))
    assert loss == pytest.approx(-float(normal.log_prob(torch.tensor(ACTUAL)).sum()) - constant)


def test_weight_of_squared_error_does_not_depend_on_the_unit():
    _, slope = value(SquaredError("y"))
    _, scaled = value(SquaredError("y"), ACTUAL * 60, PREDICTED * 60)
    np.testing.assert_allclose(scaled * 60, slope, rtol=1e-9)


def test_log_errors_leave_out_cells_that_are_not_positive():
    loss, slope = value(SquaredError("y", log=True), np.array([[3.0, 0.0, 1.0, 8.0]]))
    errors = np.log([2.5, 1.5, 7.0]) - np.log([3.0, 1.0, 8.0])
    assert loss == pytest.approx(1.5 * math.log((errors**2).sum() / 3), rel=1e-9)
    assert slope[0, 1] == 0


@pytest.mark.parametrize(
    "term",
    [SquaredError("y"), SquaredError("y", log=True), Poisson("y"), NegativeBinomial("y")],
)
def test_missing_cells_have_no_gradient_and_poison_none(term):
    gap = ACTUAL.copy()
    gap[0, 1] = np.nan
    loss, slope = value(term, gap)
    assert math.isfinite(loss)
    assert slope[0, 1] == 0
    assert np.isfinite(slope).all()
    without, _ = value(term, np.delete(ACTUAL, 1, axis=1), np.delete(PREDICTED, 1, axis=1))
    assert loss == pytest.approx(without, rel=1e-9)


def test_poisson_is_half_the_deviance():
    loss, _ = value(Poisson("y"))
    poisson = torch.distributions.Poisson
    actual = torch.tensor(ACTUAL)
    fitted = poisson(torch.tensor(PREDICTED)).log_prob(actual).sum()
    perfect = poisson(actual).log_prob(actual).sum()
    assert loss == pytest.approx(float(perfect - fitted))


def test_negative_binomial_is_torchs():
    size = 4.0
    loss, _ = value(NegativeBinomial("y", concentration=size))
    mean = torch.tensor(PREDICTED)
    torchs = torch.distributions.NegativeBinomial(size, probs=mean / (mean + size))
    assert loss == pytest.approx(-float(torchs.log_prob(torch.tensor(ACTUAL)).sum()))


def test_old_cells_count_half_after_a_half_life():
    _, slope = value(Poisson("y", half_life=1.0))
    _, plain = value(Poisson("y"))
    np.testing.assert_allclose(slope, plain * 0.5 ** np.array([3, 2, 1, 0]))


def test_weights_are_relative():
    size = series([[1.0, 2.0, 3.0, 2.0]], "size")
    _, slope = value(Poisson("y", weights="size"), size=size)
    _, plain = value(Poisson("y"))
    np.testing.assert_allclose(slope, plain * np.array([1, 2, 3, 2]) / 2)
    _, called = value(Poisson("y", weights=lambda history: history["size"] * 7), size=size)
    np.testing.assert_allclose(called, slope)


@pytest.mark.parametrize(
    ("term", "draw"),
    [
        (Poisson("y"), lambda rng, mean: rng.poisson(mean)),
        (
            NegativeBinomial("y", concentration=3.0),
            lambda rng, mean: rng.negative_binomial(3.0, 3.0 / (3.0 + mean)),
        ),
        (SquaredError("y", sigma=1.5), lambda rng, mean: rng.normal(mean, 1.5)),
    ],
)
def test_information_is_the_variance_of_the_score(term, draw):
    rng = np.random.default_rng(0)
    mean = np.full((1, 40_000), 5.0)
    actual = draw(rng, mean).astype(float)
    _, score = value(term, actual, mean)
    guess = series(mean)
    information = term.information(guess.tensor, term.target(Panel({"y": series(actual)}), guess))
    assert score.var() == pytest.approx(float(information[0, 0]), rel=0.05)


def test_history_in_another_order_is_matched_by_label():
    actual = series([[1.0, 2.0], [3.0, 4.0]], regions=("SFO", "LAX"))
    guess = series([[3.0, 4.0], [1.0, 2.0]], regions=("LAX", "SFO"))
    term = SquaredError("y", sigma=1.0)
    assert float(term.value(guess, term.target(Panel({"y": actual}), guess))) == pytest.approx(
        0.0, abs=1e-9
    )


def test_quantity_without_history_is_named():
    with pytest.raises(ModelError, match="history has no 'y'; it has z"):
        Poisson("y").target(Panel({"z": series(ACTUAL)}), series(PREDICTED))


def test_history_without_any_observed_cell_is_refused():
    with pytest.raises(ModelError, match="no cell is observed"):
        Poisson("y").target(Panel({"y": series(ACTUAL * np.nan)}), series(PREDICTED))


def test_negative_weight_is_refused():
    with pytest.raises(ModelError, match=r"weight of Poisson\('y'\) is -1"):
        Poisson("y", weight=-1)


def test_a_lone_name_to_reach_through_is_one_name():
    assert Poisson("y", through=("organic",)).through == Poisson("y", through="organic").through


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
