"""What is known of an effect, by trials, by history and by priors, against closed forms."""

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import Arm, Cells, Change, Contract, Dim, Experiment, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, PartialPooling, Ridge, SquaredError, fit, left_out
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
REGIONS = ("SFO", "LAX")
PRICE = Quantity("price", (REGION, HOUR), "USD")
SALES = Quantity("sales", (REGION, HOUR), "1")
HOURS = pd.date_range("2026-01-05", periods=48, freq="h", tz="UTC")
VAGUE = 1e-2


class Line(Model):
    """``sales = slope * price``; the slope is one or by region, and may know no history."""

    contract = Contract("line", inputs=(PRICE,), outputs=(SALES,))

    def __init__(self, *, sigma=2.0, weight=4.0, learned=True, scale=None):
        super().__init__()
        dims = (REGION,) if scale else ()
        self.slope = self.parameter(*dims, labels=REGIONS if scale else None, start=1.0)
        self.sigma, self.weight, self.learned, self.scale = sigma, weight, learned, scale

    def forward(self, price):
        return price * self.slope.at(price)

    def loss_terms(self):
        terms = [Ridge(self.slope, 1.0, self.weight)]
        if self.scale:
            terms.append(PartialPooling(self.slope, REGION, scale=self.scale))
        if self.learned:
            terms.append(SquaredError(SALES, sigma=self.sigma))
        return tuple(terms)


@pytest.fixture
def history():
    generator = np.random.default_rng(0)
    price = generator.normal(size=(2, len(HOURS)))
    sales = 1.2 * price + 0.1 * generator.normal(size=price.shape)
    labels = {"region": REGIONS, "hour": HOURS}
    return Panel(
        {"price": IndexTensor(price, labels, "price"), "sales": IndexTensor(sales, labels, "sales")}
    )


def trial(error, name="trial", step=3.0):
    return Experiment(
        name,
        ("price",),
        "sales",
        cells=Cells(REGIONS, HOURS[0].isoformat(), HOURS[-1].isoformat(), dim="region"),
        control=Arm("control", (Change("price", "set", 0.0),)),
        treatment=Arm("treatment", (Change("price", "set", step),)),
        estimate=1.2 * step,
        standard_error=error,
    )


def known(model, history, *experiments):
    report = fit(model, history, experiments)
    return report, [item.left_out.certainty for item in report.experiments]


@pytest.mark.parametrize("error", [0.3, 1.0, 5.0])
def test_shares_are_those_of_the_three_precisions(history, error):
    report, (found,) = known(Line(), history, trial(error))
    parts = torch.tensor(
        [
            (3.0 / report.experiments[0].widened_error) ** 2,
            float(history["price"].tensor.square().sum()) / 2.0**2,
            4.0 + VAGUE,
        ]
    )
    expected = parts / parts.sum()
    assert (found.trials, found.history, found.priors) == pytest.approx(
        tuple(expected.tolist()), rel=0.02
    )


def test_an_effect_that_no_history_moves_is_known_by_trials_and_priors(history):
    _, (found,) = known(Line(learned=False), history, trial(0.5))
    assert found.history == pytest.approx(0.0, abs=1e-9)
    assert found.trials + found.priors == pytest.approx(1.0)
    # The noisier the trial, and the surer the prior, the more the prior says.
    _, (noisy,) = known(Line(learned=False), history, trial(5.0))
    _, (wide,) = known(Line(learned=False, weight=4.0 / 9.0), history, trial(0.5))
    assert noisy.priors > found.priors > wide.priors


def test_two_trials_share_what_is_known_and_each_has_the_whole(history):
    _, (alone,) = known(Line(learned=False), history, trial(1.0))
    _, (first, second) = known(
        Line(learned=False), history, trial(1.0), trial(1.0, "again", step=6.0)
    )
    # One slope: all effects are known alike, however large.
    assert first.trials == pytest.approx(second.trials)
    assert first.trials > alone.trials


def test_pooling_is_a_prior_and_labels_count_together(history):
    _, (found,) = known(Line(learned=False, scale=0.1), history, trial(0.5))
    _, (one,) = known(Line(learned=False, weight=8.0), history, trial(0.5))
    # Of the mean of two slopes a prior on each says twice as much; pooling nothing more.
    assert found.trials == pytest.approx(one.trials, rel=0.02)


def test_an_effect_that_nothing_moves_has_no_shares(history):
    model = Line(learned=False)
    model.slope.raw.requires_grad_(False)
    assert left_out(model, history, [trial(0.5)])["trial"].certainty is None


def test_parameters_are_where_they_were(history):
    model = Line()
    experiments = [trial(0.5)]
    fit(model, history, experiments)
    before = model.slope.raw.detach().clone()
    left_out(model, history, experiments)
    assert torch.equal(model.slope.raw, before)
