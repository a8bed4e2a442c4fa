"""Loss terms are likelihoods in nats, blind to missing cells."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.model import ModelError, NegativeBinomial, Poisson, SquaredError
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
