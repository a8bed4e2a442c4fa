"""Organic and total driver hours against closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor, ModelCollection, Panel
from dagcast_driver_hours import DriverHours, EarningsResponse

REGIONS = ("SFO", "LAX", "CHI")
Constant = Callable[[str, float], IndexTensor]
# Earnings as usual.
USUAL = IndexTensor(1.0, {}, "earnings_pull")


@pytest.fixture
def model(hours: pd.DatetimeIndex) -> DriverHours:
    model = DriverHours(REGIONS)
    model.anchor.fill_((hours[-1] - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(hours=1))
    model.level.assign([2.0, 3.0, 4.0])
    return model


def test_gained_hours_add_one_to_one(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    holiday = constant("holiday", 0.0)
    some = model(hour_of_week, holiday, USUAL, constant("gained_driver_hours", 5.0))
    none = model(hour_of_week, holiday, USUAL, constant("gained_driver_hours", 0.0))
    added = some["driver_hours"].tensor - none["driver_hours"].tensor
    assert torch.allclose(added, torch.full_like(added, 5.0), atol=2e-3)
    organic = some["organic_driver_hours"].sel(region="LAX").tensor
    assert torch.allclose(organic, torch.full_like(organic, math.exp(3.0)))


def test_in_hindsight_a_bonus_adds_what_it_added(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    """Half the drivers that were forecast are no sign that a bonus brings half as many."""
    collection = ModelCollection([model])
    known = Panel(
        {
            "hour_of_week": hour_of_week.named("hour_of_week"),
            "holiday": constant("holiday", 0.0).named("holiday"),
            "gained_driver_hours": constant("gained_driver_hours", 3.0),
        }
    )
    happened = collection.predict(known)["driver_hours"] * 0.5
    residuals = collection.residuals(known.assign(driver_hours=happened.named("driver_hours")))
    more = known.assign(gained_driver_hours=constant("gained_driver_hours", 4.0))
    added = collection.predict(more, residuals=residuals)["driver_hours"] - happened
    assert torch.allclose(added.tensor, torch.ones_like(added.tensor), atol=2e-3)


def test_hours_moved_away_never_make_driver_hours_negative(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    out = model(
        hour_of_week,
        constant("holiday", 0.0),
        USUAL,
        constant("gained_driver_hours", -1000.0),
    )
    assert (out["driver_hours"].tensor > 0).all()
    assert out["driver_hours"].tensor.max() < 0.05


def test_incremental_hours_may_be_absent(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    out = model.predict(Panel({"hour_of_week": hour_of_week, "holiday": constant("holiday", 0.0)}))
    organic = out["organic_driver_hours"].tensor
    assert torch.allclose(out["driver_hours"].tensor, organic, rtol=2e-4)


def test_holiday_shifts_hours_in_logs(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    model.holiday_shift.assign(-0.3)
    nothing = constant("gained_driver_hours", 0.0)
    on = model(hour_of_week, constant("holiday", 1.0), USUAL, nothing)["organic_driver_hours"]
    off = model(hour_of_week, constant("holiday", 0.0), USUAL, nothing)["organic_driver_hours"]
    assert torch.allclose((on / off).log().tensor, torch.tensor(-0.3, dtype=torch.float64))


def test_warm_start_takes_bought_hours_out_of_the_level(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = DriverHours(REGIONS)
    model.warm_start(
        Panel(
            {
                "hour_of_week": hour_of_week,
                "driver_hours": constant("driver_hours", 50.0),
                "gained_driver_hours": constant("gained_driver_hours", 10.0),
            }
        )
    )
    assert np.allclose(model.level.value().tensor.detach(), math.log(40.0), atol=0.02)


def test_labels_are_matched_not_positions(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    bought = constant("gained_driver_hours", 0.0)
    bought = bought.with_tensor(torch.arange(bought.numel()).reshape(bought.shape).double())
    order = np.random.default_rng(0).permutation(len(bought.index("hour")))
    holiday = constant("holiday", 0.0)
    plain = model(hour_of_week, holiday, USUAL, bought)["driver_hours"]
    shuffled = bought.isel(hour=order, region=[1, 2, 0]).transpose("hour", "region")
    again = model(hour_of_week, holiday, USUAL, shuffled)["driver_hours"]
    assert torch.equal(plain.tensor, again.tensor)


def test_pull_has_separate_elasticities_for_what_passes_and_what_lasts(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    """Closed form: swing ** short_run * level ** long_run, and 1 where earnings are as usual."""
    model = EarningsResponse()
    pull = model(
        hour_of_week, constant("earnings_swing", 1.1), constant("earnings_level", 0.9)
    ).detach()
    assert pull.numpy() == pytest.approx(np.full(pull.shape, 1.1**1.2 * 0.9**0.4))
    model.short_run.assign(0.7)
    model.long_run.assign(0.2)
    short, lasting = (
        model(hour_of_week, constant("earnings_swing", a), constant("earnings_level", b)).detach()
        for a, b in ((1.01, 1.0), (1.0, 1.01))
    )
    assert short.numpy() == pytest.approx(np.full(short.shape, 1.01**0.7))
    assert lasting.numpy() == pytest.approx(np.full(short.shape, 1.01**0.2))


def test_hours_without_earnings_are_those_of_usual_earnings(
    model: DriverHours, hour_of_week: IndexTensor, constant: Constant
) -> None:
    """Earnings are optional: a project that does not measure them gets what it had before."""
    known = Panel({"hour_of_week": hour_of_week, "holiday": constant("holiday", 0.0)})
    alone = model.predict(known)["driver_hours"]
    team = ModelCollection([EarningsResponse(), model], name="team")
    assert torch.equal(team.predict(known)["driver_hours"].tensor, alone.tensor)
    paid = known.assign(earnings_swing=constant("earnings_swing", 1.1))
    more = team.predict(paid)["driver_hours"] / alone
    assert more.detach().numpy() == pytest.approx(np.full(more.shape, 1.1**1.2))


def test_an_hour_that_paid_nothing_keeps_a_finite_pull(
    hour_of_week: IndexTensor, constant: Constant
) -> None:
    model = EarningsResponse()
    pull = model(hour_of_week, constant("earnings_swing", 0.0), constant("earnings_level", 1.0))
    assert torch.isfinite(pull.tensor).all()
    assert (pull.tensor > 0).all()
