"""Budgets over levers of several dims."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Fixed,
    Lever,
    Objective,
    Options,
    solve,
)
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import Panel

REGION = Dim("region")

FINE = Options(gap=1e-6)

COUPONS = Quantity("coupons", (REGION, HOUR), "USD/h", aggregation={"hour": "sum"})

CITY_FEE = Quantity("city_fee", (REGION,), "USD/h")

DEMAND = Quantity("demand", (REGION, HOUR), "session/h", bounds=(0, None))

SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, None))


class Demand(Model):
    """Coupons and a fee per region move sessions: levers of other dims than spend."""

    contract = Contract("demand-model", inputs=(DEMAND, COUPONS, CITY_FEE), outputs=(SESSIONS,))

    def forward(self, demand, coupons, city_fee):
        return demand * (1.0 + 0.1 * coupons / (coupons + 15.0)) * (-0.02 * city_fee).exp()

    def loss_terms(self):
        return ()


@pytest.fixture
def wide(make):
    """Three levers: spend by incentive, region and hour; coupons by region and hour; a city fee."""
    plain = make.context()
    sessions = plain["sessions"]
    context = Panel(
        {
            "demand": sessions.named("demand"),
            "weather": plain["weather"],
            "spend": plain["spend"],
        }
    )
    model = ModelCollection(
        [Demand(), make.Supply(), make.Eta(), make.Rides(), make.Calm()], name="market"
    )
    levers = [Lever("spend", 0.0, 60.0), Lever("coupons", 0.0, 40.0), Lever("city_fee", 0.0, 5.0)]
    return DecisionProblem(model, levers, Objective("rides"), [Budget("spend", 1500.0)], context)


def test_levers_of_different_dims_are_decided_together(wide):
    both = Budget(("spend", "coupons"), 1000.0, by=("region",), unit="USD")
    problem = replace(wide, constraints=[*wide.constraints, both])
    plan = solve(problem, options=FINE)
    assert plan.status in ("optimal", "feasible")
    assert plan.decisions["spend"].dims == ("incentive", "region", "hour")
    assert plan.decisions["coupons"].dims == ("region", "hour")
    assert plan.decisions["city_fee"].dims == ("region",)
    # A fee only drives sessions away.
    assert float(plan.decisions["city_fee"].sum().item()) == 0.0
    together = plan.decisions["spend"].sum("incentive", "hour") + plan.decisions["coupons"].sum(
        "hour"
    )
    assert float(together.max().item()) <= 1000.0 * (1 + 1e-9)
    price = plan.price_of("spend + coupons", "A")
    assert price.used == pytest.approx(float(together.sel(region="A").item()))
    # Effects are told apart by lever.
    assert {"objective/spend", "objective/coupons", "objective/city_fee"} <= set(
        plan.marginal_effects
    )
    # Alone, each lever would do worse.
    for name in ("spend", "coupons"):
        fixed = plan.decisions[name].zeros_like().named(name)
        other = replace(problem, levers=[*_without(problem, name), Lever(name, fixed, fixed)])
        assert solve(other, options=FINE).objective < plan.objective


def _without(problem, name):
    return [lever for lever in problem.levers if lever.name != name]


def test_one_purse_of_different_units_is_refused(wide):
    with pytest.raises(DecisionError, match=r"adds up different units: .*'USD'.*'USD/h'"):
        replace(wide, constraints=[Budget(("spend", "city_fee"), 5.0, by=("region",), unit="USD")])


def test_budget_below_fixed_cells_is_named_with_the_amount(problem):
    spend = problem.context["spend"]
    fixed = spend.with_tensor(torch.full(tuple(spend.shape), 10.0).double())
    limits = [Fixed("spend", fixed), Budget("spend", 100.0, by=("region",))]
    with pytest.raises(DecisionError, match="sum of spend A <= 100 USD is exceeded by 140 USD"):
        solve(replace(problem, constraints=limits))
