"""Effects under many sets of parameters at once are those of one set after the other."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.contract import Dim
from dagcast_core.model import Model, ParameterDraws, draws, effect_draws, effect_of
from dagcast_core.model._fitting import prepared

INCENTIVE = Dim("incentive")


def one_by_one(model, history, experiment, sample):
    found = []
    for draw in range(len(sample)):
        with sample.applied_to(model, draw), torch.no_grad():
            found.append(effect_of(model, history, experiment))
    return torch.stack(found)


@pytest.fixture
def experiments(kit):
    """Two outcomes of one trial, which share a run of its arms."""
    hours = kit.spend_experiment(estimate=9.0, standard_error=0.4)
    return hours, replace(hours, name="bonus-eta", outcome="eta", estimate=-0.1)


def test_effects_are_those_of_one_draw_after_the_other(kit, history, experiments):
    models = kit.collection()
    sample = draws(models, history, experiments, 9)
    for experiment in experiments:
        together = effect_draws(models, history, experiment, sample)
        assert together.std() > 0
        single = one_by_one(models, history, experiment, sample)
        torch.testing.assert_close(together, single, rtol=1e-12, atol=1e-12)


def test_parts_of_a_batch_that_is_too_large_are_joined_in_order(
    kit, history, experiments, monkeypatch
):
    models = kit.collection()
    units, evidence = prepared(models, history, experiments)
    flats = [unit.flat for unit in units]
    generator = torch.Generator().manual_seed(0)
    values = [
        flat.read().unsqueeze(-1)
        + 0.1 * torch.randn((flat.size, 7), generator=generator, dtype=torch.float64)
        for flat in flats
    ]
    whole = evidence.under_many().under(flats, values)
    largest = max(effect.cells_run for effect in evidence.effects)
    monkeypatch.setattr("dagcast_core.model._many._MOST", 3 * largest)
    parts = evidence.under_many().under(flats, values)
    assert whole.shape == (7, 2)
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    # The parameters are left as they are.
    here = torch.stack([effect() for effect in evidence.effects])
    at_home = evidence.under_many().under(flats, [flat.read().unsqueeze(-1) for flat in flats])
    torch.testing.assert_close(at_home[0], here.detach())


def test_models_that_look_at_values_go_one_after_the_other(kit, history, experiments):
    class Choosy(Model):
        contract = kit.Bonus.contract

        def __init__(self):
            super().__init__()
            self.gain = self.parameter(INCENTIVE, labels=kit.INCENTIVES, start=[3.0, 3.0])

        def forward(self, spend):
            bent = (self.gain * (spend / 20.0).log1p()).sum(INCENTIVE)
            return bent if float(self.gain.raw.sum().detach()) > 6.0 else 0.5 * bent

        def loss_terms(self):
            return ()

    models = kit.collection().replace("bonus", Choosy())
    raw = torch.tensor([[2.0, 2.0], [4.0, 4.0], [1.0, 9.0]], dtype=torch.float64)
    sample = ParameterDraws({"_members.bonus.gain.raw": raw}, "laplace", 0)
    found = effect_draws(models, history, experiments[0], sample)
    single = one_by_one(models, history, experiments[0], sample)
    torch.testing.assert_close(found, single)
    # The second is twice the first by its gain, and twice again by its choice.
    assert found[1] / found[0] == pytest.approx(4.0)


def test_a_batch_that_computes_something_else_is_not_used(kit, history, experiments, monkeypatch):
    models = kit.collection()
    sample = draws(models, history, experiments, 4)
    single = one_by_one(models, history, experiments[0], sample)
    batch = torch.func.vmap
    monkeypatch.setattr("torch.func.vmap", lambda run: lambda states: 1.001 * batch(run)(states))
    found = effect_draws(models, history, experiments[0], sample)
    torch.testing.assert_close(found, single, rtol=1e-12, atol=1e-12)


def test_labels_unseen_in_training_keep_their_stand_in_of_each_draw(kit, history, experiments):
    models = kit.collection(regions=kit.REGIONS[:2])
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn((6, 2), generator=generator, dtype=torch.float64)
    sample = ParameterDraws({"_members.pickup.elasticity.raw": 0.3 + 0.1 * raw}, "laplace", 5)
    found = effect_draws(models, history, experiments[1], sample)
    single = one_by_one(models, history, experiments[1], sample)
    torch.testing.assert_close(found, single, rtol=1e-12, atol=1e-12)
