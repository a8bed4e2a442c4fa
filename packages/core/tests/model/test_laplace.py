"""Laplace draws where effects are curved."""

from dataclasses import replace

import pytest

from dagcast_core.contract import Arm, Change, Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, Ridge, Widening, effect_draws, fit
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
STEP = Quantity("step", (REGION, HOUR), "1")
END = Quantity("end", (REGION, HOUR), "1")


def test_curved_effect_is_no_wider_than_its_experiment(kit):
    class Steep(Model):
        contract = Contract("steep", inputs=(STEP,), outputs=(END,))

        def __init__(self):
            super().__init__()
            self.one = self.parameter()
            self.two = self.parameter()

        def forward(self, step):
            return (self.one + self.two).exp() * step

        def loss_terms(self):
            return (Ridge(self.one, weight=1.0), Ridge(self.two, weight=1.0))

    hours = {"region": list(kit.REGIONS), "hour": kit.market(weeks=2).index("hour")}
    history = Panel({"step": IndexTensor.ones(hours)})
    experiment = replace(
        kit.spend_experiment(estimate=3.0, standard_error=0.2),
        levers=("step",),
        outcome="end",
        control=Arm("control", (Change("step", "set", 0.0),)),
        treatment=Arm("treatment", (Change("step", "set", 1.0),)),
    )
    model = Steep()
    sample = fit(model, history, [experiment], widening=Widening.none(), draws=200).draws
    effects = effect_draws(model, history, experiment, sample)
    # The logs differ by 1.4 between prior draws; the experiment leaves the effect a spread of 0.2.
    assert effects.mean().item() == pytest.approx(3.0, abs=0.1)
    assert effects.std().item() == pytest.approx(0.2, rel=0.2)
    # What the experiment does not see keeps the prior's width.
    apart = sample.states["one.raw"] - sample.states["two.raw"]
    assert apart.std().item() == pytest.approx(2**0.5, rel=0.2)
