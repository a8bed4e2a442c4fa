"""What labels take from one another is in no difference between them."""

import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, effect_of, interference
from dagcast_core.model._parameter import labels_compared

REGION = Dim("region")
ADDED = Quantity("extra_hours", (REGION, HOUR), "driver-hour/h", bounds=(0.0, None))
NET = Quantity("net_hours", (REGION, HOUR), "driver-hour/h", bounds=(0.0, None))


class Net(Model):
    contract = Contract("net", inputs=(ADDED,), outputs=(NET,))

    def __init__(self, kept=0.6):
        super().__init__()
        self.kept = self.parameter(start=kept, transform="sigmoid", side_by_side=1.0)

    def forward(self, extra_hours):
        return extra_hours * self.kept.value()


@pytest.fixture
def models(kit):
    return ModelCollection([*kit.collection().leaves.values(), Net()])


def effect(models, history, kit, **changes):
    return effect_of(models, history, kit.spend_experiment(outcome="net_hours", **changes))


def test_effect_of_a_trial_side_by_side_is_the_whole_and_of_one_together_what_is_kept(
    models, history, kit
):
    whole = effect_of(models, history, kit.spend_experiment(outcome="extra_hours")).item()
    assert effect(models, history, kit).item() == pytest.approx(whole, rel=1e-12)
    together = effect(models, history, kit, together=True)
    assert together.item() == pytest.approx(0.6 * whole, rel=1e-12)
    # Nor does a trial side by side move the share.
    kept = models.leaves["net"].kept.raw
    (moves,) = torch.autograd.grad(together, kept)
    assert moves.item() != 0.0
    assert (
        torch.autograd.grad(
            effect(models, history, kit), kept, allow_unused=True, materialize_grads=True
        )[0].item()
        == 0.0
    )


def test_forecasts_have_the_value_itself_also_after_an_error(models, history):
    before = models.predict(history)["net_hours"].tensor
    with pytest.raises(RuntimeError, match="stop"), labels_compared(True):
        raise RuntimeError("stop")
    found = models.predict(history)
    assert torch.equal(found["net_hours"].tensor, before)
    ratio = found["net_hours"].tensor / found["extra_hours"].tensor
    assert ratio.nanmean().item() == pytest.approx(0.6, rel=1e-12)


def test_a_share_that_matters_is_said():
    (said,) = interference(Net())
    assert said == (
        "net holds 'kept' to be 0.60, and 1 where trials compare labels side by side: these count "
        "as made what treated labels take from others, so a plan for all is promised 60% of what "
        "they show"
    )
    assert interference(Net(kept=0.95)) == ()
