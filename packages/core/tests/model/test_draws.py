"""Draws have the spread that theory says, and carry over to forecasts and effects."""

import math

import numpy as np
import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.model import ModelError, Widening, draws, effect_draws, fit, predict_draws
from dagcast_core.tensor import Panel

REGION = Dim("region")


@pytest.fixture(scope="module")
def fitted(kit, history):
    models = kit.collection()
    experiments = [kit.spend_experiment(estimate=9.0, standard_error=0.4)]
    report = fit(models, history, experiments, widening=Widening.none(), draws=300)
    return models, experiments, report.draws


def test_effect_is_as_uncertain_as_experiment_and_prior_say(kit, history, fitted):
    models, experiments, sample = fitted
    effects = effect_draws(models, history, experiments[0], sample)
    # Prior of the gain: sd 2, hence 2 ln 2.5 on the effect; the experiment: sd 0.4.
    expected = (0.4**-2 + (2 * math.log1p(1.5)) ** -2) ** -0.5
    assert len(effects) == 300
    assert effects.std().item() == pytest.approx(expected, rel=0.15)


def test_elasticity_is_as_uncertain_as_regression_says(kit, history, fitted):
    _models, _, sample = fitted
    drawn = sample.states["_members.pickup.elasticity.raw"]
    load = np.log(history["sessions"].numpy().clip(0.1) / history["driver_hours"].numpy())
    sigma = 0.1
    spread = sigma / np.sqrt(((load - load.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))
    np.testing.assert_allclose(drawn.std(dim=0).numpy(), spread, rtol=0.2)


def test_bootstrap_agrees_with_laplace_on_independent_errors(kit, history, fitted):
    models, experiments, sample = fitted
    before = {name: value.clone() for name, value in models.state_dict().items()}
    again = draws(models, history, experiments, 30, method="bootstrap", seed=3)
    assert all(torch.equal(before[name], value) for name, value in models.state_dict().items())
    name = "_members.pickup.elasticity.raw"
    ratio = again.states[name].std(dim=0) / sample.states[name].std(dim=0)
    assert 0.5 < float(ratio.mean()) < 1.6


def test_draws_repeat_with_their_seed(kit, history, fitted):
    models, experiments, _ = fitted
    one, two = (draws(models, history, experiments, 3, seed=5) for _ in range(2))
    other = draws(models, history, experiments, 3, seed=6)
    name = "_members.bonus.gain.raw"
    assert torch.equal(one.states[name], two.states[name])
    assert not torch.equal(one.states[name], other.states[name])


def test_parameters_come_back_after_a_draw(fitted):
    models, _, sample = fitted
    raw = models.leaves["bonus"].gain.raw
    before = raw.detach().clone()
    with sample.applied_to(models, 7):
        assert torch.equal(raw.detach(), sample.states["_members.bonus.gain.raw"][7])
    assert torch.equal(raw.detach(), before)


def test_draws_of_another_model_are_refused(kit, fitted):
    _, _, sample = fitted
    with pytest.raises(ModelError, match="of another model"), sample.applied_to(kit.Demand(), 0):
        pass


def test_frozen_parameters_are_not_drawn(kit, history):
    models = kit.collection()
    models.freeze("demand")
    fit(models, history)
    assert not [name for name in draws(models, history, n=2).states if "demand" in name]


def test_predictive_draws_cover_what_happened(kit, fitted):
    models, _, sample = fitted
    longer = kit.market(weeks=5)
    hours = longer.index("hour")
    past, week = longer.between(end=hours[4 * 168 - 1]), longer.between(hours[4 * 168])
    drawn = predict_draws(models, week, sample, ["sessions"], history=past, seed=1)
    assert drawn["sessions"].dims == ("draw", "region", "hour")
    values, actual = drawn["sessions"].tensor, week["sessions"].tensor
    low, high = values.quantile(0.05, dim=0), values.quantile(0.95, dim=0)
    covered = ((actual >= low) & (actual <= high)).double().mean().item()
    assert 0.8 < covered < 0.97
    mean_only = predict_draws(models, week, sample, ["sessions"])["sessions"].tensor
    assert float(mean_only.std(dim=0).mean()) < 0.5 * float(values.std(dim=0).mean())


def test_method_and_number_are_checked(kit, history, fitted):
    models, _, _ = fitted
    with pytest.raises(ModelError, match="cannot make 0 draws"):
        draws(models, history, n=0)
    with pytest.raises(ModelError, match="by 'guess'"):
        draws(models, history, method="guess")


def test_a_new_region_is_as_uncertain_as_regions_differ(kit, history, fitted):
    """Known regions are near certain; a new one is like one of them, nobody knows which."""
    models, _, sample = fitted
    week = history.between(history.index("hour")[-168])
    known = predict_draws(models, week, sample, ["sessions"])["sessions"].tensor
    new = week["hour_of_week"].isel(region=[0]).relabel(region=["NYC"])
    drawn = predict_draws(models, Panel({"hour_of_week": new}), sample, ["sessions"])
    logs = drawn["sessions"].tensor[:, 0, 12].log()
    levels = models.leaves["demand"].level.value().tensor.detach()
    # 300 draws among four regions, each with its own level.
    assert logs.std().item() == pytest.approx(levels.std(correction=0).item(), rel=0.1)
    assert logs.std().item() > 3 * known[:, :, 12].log().std(dim=0).max().item()
    # Outside the draws it still gets the pooled value.
    pooled = models.leaves["demand"].level.at(new).item()
    assert pooled == pytest.approx(levels.mean().item())
    again = predict_draws(models, Panel({"hour_of_week": new}), sample, ["sessions"])
    assert torch.equal(again["sessions"].tensor, drawn["sessions"].tensor)


def test_a_new_region_is_surprised_like_the_region_that_stands_for_it(kit, fitted):
    models, _, sample = fitted
    longer = kit.market(weeks=5)
    hours = longer.index("hour")
    past, week = longer.between(end=hours[4 * 168 - 1]), longer.between(hours[4 * 168])
    new = week["hour_of_week"].isel(region=[0]).relabel(region=["NYC"])
    options = {"quantities": ["sessions"], "history": past, "seed": 1}
    drawn = predict_draws(models, Panel({"hour_of_week": new}), sample, **options)
    known = predict_draws(models, week, sample, **options)
    values, others = drawn["sessions"].tensor[:, 0], known["sessions"].tensor
    same = (others == values.unsqueeze(1)).all(dim=2)
    # In every draw it is exactly one of the known regions, and each of them stands for it at times.
    assert same.sum(dim=1).tolist() == [1] * len(sample)
    assert set(same.int().argmax(dim=1).tolist()) == {0, 1, 2, 3}
