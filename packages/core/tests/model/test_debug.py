"""The debugging report points at the model, the parameter and the cell."""

from dagcast_core.contract import Contract, Dim
from dagcast_core.model import Model, debug, fit

REGION = Dim("region")


def test_direction_that_nothing_decides_is_named(kit, history):
    class Twice(Model):
        contract = Contract("twice", inputs=(kit.WEEK_HOUR,), outputs=(kit.SESSIONS,))

        def __init__(self):
            super().__init__()
            self.one = self.parameter(REGION, labels=kit.REGIONS, start=2.0)
            self.other = self.parameter(REGION, labels=kit.REGIONS, start=2.0)

        def forward(self, hour_of_week):
            return (self.one + self.other + 0.0 * hour_of_week).exp()

        def loss_terms(self):
            from dagcast_core.model import Poisson

            return (Poisson(kit.SESSIONS),)

    model = Twice()
    fit(model, history)
    (unit,) = debug(model, history).units
    # Only the difference of the two is free: up to the vague prior, sd 10 in each.
    assert unit.flattest.sd > 5
    named = dict(unit.flattest.parts)
    first = next(name for name in named if name.startswith("twice.one["))
    assert named[first] * named[first.replace("one", "other")] < 0
    assert "twice.one[SFO]" in unit.undetermined
    assert unit.steepest.sd < 0.1
    assert unit.expected_gain < 0.01


def test_gradient_norms_show_who_is_not_fitted(kit, history):
    models = kit.collection()
    fit(models, history)
    models.leaves["pickup"].elasticity.assign(0.9)
    report = debug(models, history)
    norms = {name: norm for unit in report.units for name, norm in unit.gradient_norms.items()}
    assert norms["pickup"] > 100 * norms["demand"]
    assert "pickup: loss" in str(report)


def test_values_that_are_no_numbers_are_collected(kit, history):
    class Broken(kit.Demand):
        contract = kit.Demand.contract

        def forward(self, hour_of_week):
            return super().forward(hour_of_week) / 0.0

    report = debug(kit.collection().replace("demand", Broken()), history)
    assert [error.member for error in report.non_finite] == ["demand"]
    assert "hour=2025-01-06 00:00" in report.non_finite[0].where
    assert {name for unit in report.units for name in unit.names} == {"bonus", "supply", "pickup"}
