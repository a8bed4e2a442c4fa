"""Limits are amounts, or multiples of recent weeks worked out by label."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from dagcast.config import Budget, Config, Fallback, Guardrail, Lever, RampLimit
from dagcast.errors import ConfigError, UsageError
from dagcast.plans import resolve_limits
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.tensor import IndexTensor, Panel

INCENTIVE = Dim("incentive")
REGION = Dim("region")

HOURS = pd.date_range("2026-03-02", periods=336, freq="h", tz="UTC", unit="us")
REGIONS = pd.Index(["LAX", "SFO"])
SPEND = Quantity("spend", dims=(INCENTIVE, REGION, HOUR), unit="USD/h")
ETA = Quantity("eta", dims=(REGION, HOUR), unit="min")
SESSIONS = Quantity("sessions", dims=(REGION, HOUR), unit="session/h")
PROFIT = Quantity("profit", dims=(REGION, HOUR), unit="USD/h")
COUPONS = Quantity("coupons", dims=(REGION, HOUR), unit="USD/h")
FARE = Quantity("fare", dims=(REGION, HOUR), unit="USD/ride")
QUANTITIES = {item.name: item for item in (SPEND, ETA, SESSIONS, PROFIT, COUPONS, FARE)}


def tensor(values, name, **labels):
    indexes = {**{dim: pd.Index(found) for dim, found in labels.items()}, "hour": HOURS}
    return IndexTensor(torch.from_numpy(np.ascontiguousarray(values)), indexes, name)


@pytest.fixture
def recent():
    spend = np.zeros((2, 2, 336))
    spend[0, 0], spend[0, 1], spend[1, 1] = 1.0, 2.0, 4.0
    eta = np.broadcast_to([[5.0], [3.0]], (2, 336)).copy()
    sessions = np.ones((2, 336))
    eta[0, 0], sessions[0, 0] = 100.0, 3.0
    # The first week of SFO is missing: it opened later.
    eta[1, :168] = sessions[1, :168] = np.nan
    return Panel(
        [
            tensor(spend, "spend", incentive=["bonus", "streak"], region=REGIONS),
            tensor(eta, "eta", region=REGIONS),
            tensor(sessions, "sessions", region=REGIONS),
            tensor(np.full((2, 336), 10.0), "profit", region=REGIONS),
            tensor(np.full((2, 336), 0.5), "coupons", region=REGIONS),
            tensor(np.full((2, 336), 12.0), "fare", region=REGIONS),
        ]
    )


def resolved(recent, **settings):
    settings.setdefault("levers", {"spend": Lever(upper=9.0)})
    return resolve_limits(Config(**settings), recent, 168, QUANTITIES)


def test_budget_is_a_multiple_of_a_recent_week(recent):
    limits = resolved(
        recent,
        budgets=(
            Budget(lever="spend", of_recent=1.5),
            Budget(lever="spend", of_recent=1.0, by=("region",)),
            Budget(lever="spend", of_recent=1.0, by=("region",), where={"incentive": ("bonus",)}),
            Budget(lever="spend", limit=7.0, by=("incentive",)),
        ),
    )
    found = [item.limits for item in limits.budgets]
    assert found[0] == {"": pytest.approx(1.5 * 7 * 168)}
    assert found[1] == {"LAX": pytest.approx(168.0), "SFO": pytest.approx(6 * 168.0)}
    assert found[2] == {"LAX": pytest.approx(168.0), "SFO": pytest.approx(2 * 168.0)}
    assert found[3] == {"bonus": 7.0, "streak": 7.0}


def test_limits_by_groups_of_labels_and_by_several_dims(recent):
    west = {"region": {"LAX": "west", "SFO": "west"}}
    limits = resolved(
        recent,
        budgets=(
            Budget(lever="spend", of_recent=1.0, by=("region",), groups=west),
            Budget(lever="spend", of_recent=1.0, by=("incentive", "region")),
            Budget(lever="spend", limit=5.0, by=("region",), groups={"region": {"SFO": "the bay"}}),
        ),
        guardrails=(
            Guardrail(
                quantity="eta", of_recent=1.0, by=("region",), weight="sessions", groups=west
            ),
        ),
    )
    together, each, bay = (item.limits for item in limits.budgets)
    assert together == {"west": pytest.approx(7 * 168.0)}
    assert each == {
        "bonus, LAX": pytest.approx(168.0),
        "bonus, SFO": pytest.approx(2 * 168.0),
        "streak, LAX": 0.0,
        "streak, SFO": pytest.approx(4 * 168.0),
    }
    assert bay == {"the bay": 5.0}
    weighed = (3 * 100 + 335 * 5 + 168 * 3) / (338 + 168)
    assert limits.outcomes[0].limits == {"west": pytest.approx(weighed)}


def test_guardrail_weighs_and_leaves_out_missing_hours(recent):
    limits = resolved(
        recent,
        guardrails=(
            Guardrail(quantity="eta", of_recent=1.1, by=("region",), weight="sessions"),
            Guardrail(quantity="profit", sense=">=", of_recent=0.9, reduce="sum"),
            Guardrail(quantity="eta", limit=6.0),
        ),
    )
    eta, profit, fixed = limits.outcomes
    assert eta.limits["LAX"] == pytest.approx(1.1 * (3 * 100 + 335 * 5) / 338)
    assert eta.limits["SFO"] == pytest.approx(3.3)
    assert profit.limits == {"": pytest.approx(0.9 * 10 * 2 * 168)}
    assert profit.unit == "USD"
    assert fixed.limits == {"": 6.0}


def test_bounds_and_ramps_follow_the_largest_recent_cell(recent):
    limits = resolved(
        recent,
        levers={"spend": Lever(upper_of_recent=2.0)},
        ramps=(
            RampLimit(lever="spend", of_upper=0.25),
            RampLimit(lever="spend", step=1, limit=3.0),
        ),
    )
    assert limits.bounds[0].upper == 8.0
    assert [(ramp.step, ramp.limit) for ramp in limits.ramps] == [(24, 2.0), (1, 3.0)]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"budgets": (Budget(lever="spent", limit=1.0),)}, UsageError, "Did you mean 'spend'"),
        ({"guardrails": (Guardrail(quantity="etaa", limit=1.0),)}, UsageError, "'etaa'"),
        ({"levers": {"spned": Lever(upper=1.0)}}, UsageError, "Did you mean 'spend'"),
        (
            {"budgets": (Budget(lever="spend", limit=1.0, by=("city",)),)},
            ConfigError,
            "a dim of incentive, region",
        ),
        (
            {"budgets": (Budget(lever="spend", limit=1.0, where={"region": ("SFo",)}),)},
            UsageError,
            "Did you mean 'SFO'",
        ),
        (
            {
                "budgets": (
                    Budget(
                        lever="spend", limit=1.0, by=("region",), groups={"region": {"SF": "bay"}}
                    ),
                )
            },
            UsageError,
            "Did you mean 'SFO'",
        ),
        (
            {"fallbacks": (Fallback(lever="spend", quantity="rides"),)},
            UsageError,
            "quantity of \\[\\[fallbacks",
        ),
    ],
)
def test_misspelt_names_are_refused_with_the_nearest(recent, settings, error, message):
    with pytest.raises(error, match=message):
        resolved(recent, **settings)


def test_multiple_of_nothing_is_refused(recent):
    nothing = recent.assign(spend=recent["spend"] * 0.0, eta=recent["eta"] * float("nan"))
    with pytest.raises(ConfigError, match="upper_of_recent multiplies"):
        resolved(nothing, levers={"spend": Lever(upper_of_recent=2.0)})
    with pytest.raises(ConfigError, match="recent values of 'eta'"):
        resolved(nothing, guardrails=(Guardrail(quantity="eta", of_recent=1.0),))


BOTH = {"spend": Lever(upper=9.0), "coupons": Lever(upper=3.0)}


def test_a_purse_adds_up_several_levers(recent):
    purse = Budget(levers=("spend", "coupons"), of_recent=1.0, by=("region",))
    limits = resolved(recent, levers=BOTH, budgets=(purse,))
    assert limits.budgets[0].levers == ("spend", "coupons")
    assert limits.budgets[0].limits == {
        "LAX": pytest.approx(1.5 * 168),
        "SFO": pytest.approx(6.5 * 168),
    }


def test_a_lever_is_named_where_there_are_several(recent):
    alone = resolved(recent, budgets=(Budget(limit=1.0),), ramps=(RampLimit(limit=1.0),))
    assert alone.budgets[0].levers == ("spend",)
    assert alone.ramps[0].lever == "spend"
    for settings in ({"budgets": (Budget(limit=1.0),)}, {"ramps": (RampLimit(limit=1.0),)}):
        with pytest.raises(ValidationError, match="out of spend, coupons"):
            resolved(recent, levers=BOTH, **settings)


def test_a_price_is_no_amount_and_units_do_not_mix(recent):
    levers = {"spend": Lever(upper=9.0), "fare": Lever(change=0.1)}
    with pytest.raises(ConfigError, match="'fare' in USD/ride, which is averaged"):
        resolved(recent, levers=levers, budgets=(Budget(lever="fare", limit=1.0),))
    mixed = {**QUANTITIES, "coupons": Quantity("coupons", (REGION, HOUR), "EUR/h")}
    with pytest.raises(ConfigError, match="one unit in a purse"):
        resolve_limits(
            Config(levers=BOTH, budgets=(Budget(levers=("spend", "coupons"), limit=1.0),)),
            recent,
            168,
            mixed,
        )


def test_a_share_of_change_bounds_both_sides(recent):
    limits = resolved(recent, levers={"fare": Lever(change=0.1)})
    assert limits.bounds[0].change == 0.1
    with pytest.raises(ConfigError, match="which of_upper of"):
        resolved(recent, levers={"fare": Lever(change=0.1)}, ramps=(RampLimit(of_upper=0.5),))
    for wrong in ({"change": 0.1, "upper": 1.0}, {"change": 0.1, "lower": 1.0}, {}):
        with pytest.raises(ValueError, match="a table with"):
            Lever(**wrong)
