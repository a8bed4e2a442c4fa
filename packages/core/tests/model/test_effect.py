"""Modelled effects of experiments equal their closed forms, on the experiment's own cells."""

import math

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Arm, Cells, Change, Contract, Experiment
from dagcast_core.model import ExperimentError, Model, ModelCollection, effect_of


def test_absolute_effect_is_the_difference_of_the_arms(kit, history):
    found = effect_of(kit.collection(), history, kit.spend_experiment()).item()
    assert found == pytest.approx(3.0 * math.log1p(30 / 20), rel=1e-12)


def test_sum_counts_every_cell(kit, history):
    one = effect_of(kit.collection(), history, kit.spend_experiment())
    total = effect_of(kit.collection(), history, kit.spend_experiment(reduce="sum"))
    assert total.item() == pytest.approx(one.item() * 4 * 168, rel=1e-12)


def test_ratio_compares_the_reduced_outcomes(kit, history):
    models = kit.collection()
    experiment = kit.spend_experiment(scale="ratio")
    found = effect_of(models, history, experiment).item()
    cells = {"hour": slice(experiment.cells.start, experiment.cells.end)}
    spend = history["spend"].sel(cells)
    arms = []
    for value in (0.0, 30.0):
        changed = spend.tensor.clone()
        changed[0] = value
        panel = history.sel(cells).assign(spend=spend.with_tensor(changed))
        arms.append(models.predict(panel)["driver_hours"].mean().item())
    assert found == pytest.approx(arms[1] / arms[0] - 1, rel=1e-12)


def supply_experiment(kit, **changes):
    return Experiment(
        "supply",
        ("driver_hours",),
        "eta",
        **{
            "cells": Cells(
                kit.REGIONS, "2025-01-13T00:00+00:00", "2025-01-19T23:00+00:00", dim="region"
            ),
            "control": Arm("control", (Change("driver_hours", "scale", 0.99),)),
            "treatment": Arm("treatment", (Change("driver_hours", "scale", 1.01),)),
            "estimate": -0.5,
            "standard_error": 0.05,
            "scale": "elasticity",
            **changes,
        },
    )


def test_elasticity_of_a_power_law_is_its_exponent(kit, history):
    models = kit.collection()
    models.leaves["pickup"].elasticity.assign(0.37)
    found = effect_of(models, history, supply_experiment(kit)).item()
    assert found == pytest.approx(-0.37, rel=1e-9)


def test_single_model_answers_like_its_collection(kit, history):
    model = kit.Pickup()
    assert effect_of(model, history, supply_experiment(kit)).item() == pytest.approx(-0.3)


def test_gradient_is_the_finite_difference(kit, history):
    models = kit.collection()
    experiment = kit.spend_experiment("path", outcome="eta", estimate=-0.1)
    raw = models.leaves["bonus"].gain.raw
    (slope,) = torch.autograd.grad(effect_of(models, history, experiment), raw)
    with torch.no_grad():
        for place in range(2):
            values = []
            for step in (1e-5, -1e-5):
                raw[place] += step
                values.append(effect_of(models, history, experiment).item())
                raw[place] -= step
            assert slope[place].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_effect_crosses_models_and_keeps_the_rest_as_observed(kit, history):
    models = kit.collection()
    # Demand is off the path: its parameters must not matter where sessions are observed.
    experiment = kit.spend_experiment("path", outcome="eta", estimate=-0.1)
    before = effect_of(models, history, experiment).item()
    models.leaves["demand"].level.assign(9.0)
    assert effect_of(models, history, experiment).item() == before


def test_local_hours_restrict_the_cells(kit, history):
    cells = Cells(
        ("SFO",),
        "2025-01-13T00:00+00:00",
        "2025-01-19T23:00+00:00",
        local_hours=(17, 18),
        dim="region",
    )
    models = kit.collection()
    found = effect_of(models, history, kit.spend_experiment(cells=cells, reduce="sum")).item()
    assert found == pytest.approx(14 * 3.0 * math.log1p(1.5), rel=1e-12)


def test_counted_hours_hold_what_earlier_hours_left_behind(kit, history):
    """Arms differ all day, the outcome is counted in one hour: the hour before is in it."""

    class Carried(Model):
        contract = Contract("bonus", inputs=(kit.Bonus.contract.inputs), outputs=(kit.EXTRA,))
        memory = 1

        def forward(self, spend):
            total = spend.sum("incentive")
            return total + 10.0 * total.shift(hour=1, fill=0.0)

    models = ModelCollection([Carried(), kit.Supply()])
    week = (("SFO",), "2025-01-13T00:00+00:00", "2025-01-19T23:00+00:00")
    found = {
        name: effect_of(
            models,
            history,
            kit.spend_experiment(cells=Cells(*week, dim="region", **hours), reduce="sum"),
        ).item()
        for name, hours in {
            "all": {},
            "counted": {"counted_hours": (17,)},
            "treated": {"local_hours": (17,)},
            "one of two": {"local_hours": (16,), "counted_hours": (17,)},
        }.items()
    }
    dose = found["treated"] / 7
    assert dose > 0
    assert found["counted"] == pytest.approx(11 * 7 * dose)
    assert found["one of two"] == pytest.approx(10 * 7 * dose)
    # The first hour's predecessor lies before the experiment.
    assert found["all"] == pytest.approx((11 * 168 - 10) * dose)


def test_memory_gives_the_hours_before_the_cells(kit, history):
    class Lasting(Model):
        contract = Contract("bonus", inputs=(kit.Bonus.contract.inputs), outputs=(kit.EXTRA,))
        memory = 24
        seen = ()

        def forward(self, spend):
            type(self).seen = (spend.index("hour")[0], spend.index("hour")[-1])
            return spend.sum("incentive")

    models = ModelCollection([Lasting(), kit.Supply()])
    effect_of(models, history, kit.spend_experiment())
    assert Lasting.seen == (
        pd.Timestamp("2025-01-12", tz="UTC"),
        pd.Timestamp("2025-01-19T23:00", tz="UTC"),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outcome": "driver_hour"}, "'driver_hour'. Near: 'driver_hours'"),
        ({"outcome": "sessions"}, "no chain of models leads from 'spend' to 'sessions'"),
        (
            {
                "cells": Cells(
                    ("SFO",), "2026-01-01T00:00+00:00", "2026-01-02T00:00+00:00", dim="region"
                )
            },
            "2026-01-01 00:00 to 2026-01-02 00:00 UTC lie outside the history, which covers "
            "2025-01-06 00:00 to 2025-02-02 23:00",
        ),
        (
            {
                "cells": Cells(
                    ("JFK",), "2025-01-13T00:00+00:00", "2025-01-14T00:00+00:00", dim="region"
                )
            },
            "its region 'JFK' is not in the history",
        ),
        (
            {"treatment": Arm("t", (Change("spend", "set", 1.0, {"incentive": ("bonsu",)}),))},
            "incentive 'bonsu', which is not among bonus",
        ),
        (
            {"treatment": Arm("t", (Change("spend", "set", 1.0, {"zone": ("a",)}),))},
            "along 'zone', which is none of its dims",
        ),
    ],
)
def test_experiments_that_do_not_fit_say_why(kit, history, changes, message):
    with pytest.raises(ExperimentError, match=r"experiment 'bonus-hours'") as caught:
        effect_of(kit.collection(), history, kit.spend_experiment(**changes))
    assert message in str(caught.value)


def test_elasticity_without_a_dose_is_refused(kit, history):
    experiment = kit.spend_experiment(
        scale="elasticity",
        control=Arm("control", (Change("spend", "set", 0.0),)),
        treatment=Arm("treatment", (Change("spend", "set", 3.0),)),
    )
    with pytest.raises(ExperimentError, match="needs 'spend' to be positive"):
        effect_of(kit.collection(), history, experiment)
