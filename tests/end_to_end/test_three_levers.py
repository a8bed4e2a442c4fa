"""Bonuses, coupons and fares in one plan, from `dagcast.toml` alone.

What a ride is worth and how tight limits are follow from the fitted effects. More seeds:
`DAGCAST_TEST_LEVER_SEEDS="102 107" nox -s integration -- -k three_levers`.
"""

import os
from dataclasses import dataclass, replace

import pytest
import torch

from dagcast import workflow
from dagcast.project import open_project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._session import open_session
from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Options,
    Plan,
    marginal_cost,
    outcome_sensitivity,
    solve,
    what_if,
)
from dagcast_core.tensor import Panel

torch.set_num_threads(1)

SEEDS = [int(seed) for seed in os.environ.get("DAGCAST_TEST_LEVER_SEEDS", "101").split()]
LEVERS = ("incentive_spend", "coupon_spend", "base_fare")
# Half a day of two regions is few enough cells for SLSQP, the independent judge.
FEW = {"horizon.hours": "12", "budgets": "[]"}
SETTINGS = {
    # However slow the machine: the time limit ends no plan.
    "solver.seconds": "600",
    "horizon.hours": "24",
    "uncertainty.draws": "4",
    "backtest.origins": "1",
    "backtest.workers": "1",
    "levers": "{incentive_spend = {upper_of_recent = 2.0}, coupon_spend = {upper = 40.0}, "
    "base_fare = {change = 0.1}}",
    "budgets": '[{levers = ["incentive_spend", "coupon_spend"], of_recent = 0.9}, '
    '{lever = "incentive_spend", of_recent = 0.7, by = ["region"]}, '
    '{lever = "coupon_spend", limit = 150.0}]',
    "guardrails": '[{quantity = "eta", of_recent = 1.05, by = ["region"], weight = "sessions"}]',
    "ramps": '[{lever = "incentive_spend", step = 1, of_upper = 0.5}, '
    '{lever = "coupon_spend", step = 1, limit = 10.0}]',
}
FINE = Options(gap=1e-6, violation=1e-9)
# The first coupon of the median cell is worth so many times what it costs, however little its one
# trial proved.
_PAYS = 3.0


def _weights(worth):
    return f"{{profit = 1.0, rides = {worth}}}"


@pytest.fixture(scope="module", params=SEEDS)
def market(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers") / "market"
    start = SETTINGS | {"objective.weights": _weights(1.0)}
    workflow.simulate(folder, regions=2, weeks=6, seed=request.param, flags=start)
    opened = open_project(folder, environment={})
    workflow.ingest(opened)
    workflow.fit(opened)
    return folder


@pytest.fixture(scope="module")
def unlimited(market):
    """The small problem with no limits of money, in which a ride is worth coupons."""
    session = open_session(open_project(market, flags=FEW, environment={}))
    problem = make_setting(session).problem(load_fit(session).model)
    # Coupons may pay by profit alone.
    weights = {"profit": 1.0, "rides": max(_PAYS * _where_coupons_begin(problem), 1.0)}
    return replace(problem, objective=replace(problem.objective, quantity=weights))


def _where_coupons_begin(problem):
    """What a ride must be worth in the median cell for its first coupon to pay, USD."""
    current = {name: problem.current[name] for name in LEVERS}
    none = current["coupon_spend"].with_tensor(0.0 * current["coupon_spend"].tensor)
    at = what_if(problem, Panel({**current, "coupon_spend": none}))
    rides, profit = (
        at.marginal_effects[f"{name}/coupon_spend"].tensor for name in ("rides", "profit")
    )
    return float((-profit / rides).median())


@pytest.fixture(scope="module")
def project(market, unlimited):
    worth = unlimited.objective.weights["rides"]
    return open_project(market, flags={"objective.weights": _weights(worth)}, environment={})


@dataclass(frozen=True)
class Limited:
    """A small problem, its plan, and the names of the limits that were made to bind."""

    problem: DecisionProblem
    plan: Plan
    tight: frozenset[str]


def _solved(problem, *tight):
    plan = solve(problem, options=FINE)
    assert (plan.status, plan.concavity) == ("optimal", "tested"), plan.message
    return Limited(problem, plan, frozenset(tight))


@pytest.fixture(scope="module")
def each(unlimited):
    """Each lever of money has a limit well below what it would spend by itself."""
    free = _solved(unlimited).plan
    spent = free.decisions["incentive_spend"].sum("incentive").sum("hour")
    by_region = dict(zip(spent.index("region"), (0.6 * spent.tensor).tolist(), strict=True))
    assert min(by_region.values()) > 0
    bonuses = Budget("incentive_spend", by_region, by=("region",))
    coupons = Budget("coupon_spend", 0.4 * _sum(free, "coupon_spend"))
    assert coupons.limit > 0
    return _solved(_with(unlimited, bonuses, coupons), "incentive_spend", "coupon_spend")


@pytest.fixture(scope="module")
def purse(each):
    """Both share a purse of less than they spend under limits of their own."""
    both = LEVERS[:2]
    limit = 0.9 * sum(_sum(each.plan, name) for name in both)
    return _solved(_with(each.problem, Budget(both, limit)), " + ".join(both))


@pytest.fixture(scope="module")
def small(each, purse):
    return {"each": each, "purse": purse}


def _with(problem, *limits):
    return replace(problem, constraints=(*limits, *problem.constraints))


def _sum(plan, name):
    known = plan.decisions if name in plan.decisions else plan.forecast
    return float(known[name].tensor.sum())


@pytest.fixture(scope="module")
def planned(project):
    return workflow.plan(project)


def test_plan_decides_all_three(planned):
    summary = planned.summary
    assert summary.status == "optimal", summary.message
    assert tuple(summary.readings) == LEVERS
    totals = summary.totals()
    assert all(planned > 0 for planned, _ in totals.values())
    # The purse holds money alone: a fare is no amount.
    assert summary.spent["USD"][0] == pytest.approx(
        totals["incentive_spend"][0] + totals["coupon_spend"][0]
    )
    assert {row.name for row in summary.budgets} == {
        "incentive_spend + coupon_spend",
        "incentive_spend",
        "coupon_spend",
    }


@pytest.mark.parametrize("limited", ["each", "purse"])
def test_with_fares_held_the_plan_is_the_same_and_every_fare_stands_at_a_bound(small, limited):
    found = small[limited]
    fares = found.plan.decisions["base_fare"]
    held = replace(
        found.problem,
        levers=tuple(lever for lever in found.problem.levers if lever.name != "base_fare"),
        context=Panel({**found.problem.context, "base_fare": fares}),
    )
    # Where small bonuses do little, the last millionths of the lift are reached and not proved.
    proved = solve(held, options=replace(FINE, gap=5e-6))
    assert proved.status == "optimal", proved.message
    lift = abs(found.plan.objective - found.plan.baseline)
    assert abs(proved.objective - found.plan.objective) <= 2e-6 * lift
    now = found.problem.current["base_fare"].sel(region=fares.index("region"))
    apart = (fares / now.sel(hour=fares.index("hour")) - 1.0).tensor.abs()
    assert apart.numpy() == pytest.approx(0.1, abs=1e-9)


def test_a_point_of_prime_time_has_a_cost_in_money_without_naming_levers(purse):
    """Bonuses and coupons are paid in one unit; a fare is in another and no amount."""
    found = marginal_cost(purse.problem, purse.plan, "prime_time", change=-0.001)
    assert found.lever in LEVERS[:2]
    assert found.cost > 0.0
    with pytest.raises(DecisionError, match="incentive_spend .*, base_fare .*Name them"):
        marginal_cost(
            purse.problem, purse.plan, "prime_time", levers=["incentive_spend", "base_fare"]
        )


def test_a_label_has_no_relative_change(purse):
    with pytest.raises(DecisionError, match="'hour_of_week' is of int64: its values name"):
        outcome_sensitivity(purse.problem, purse.plan, "profit", "hour_of_week")


def test_slsqp_finds_the_same_optimum_and_none_that_is_better(purse):
    """From several starts: by itself it may end in one of the optima that are only local."""
    plan = purse.plan
    lower = {name: 0.5 * values for name, values in plan.decisions.items() if name in LEVERS[:2]}
    starts = (None, Panel({**plan.decisions, **lower}))
    found = [solve(purse.problem, start, options=FINE, method="slsqp") for start in starts]
    best = max(other.objective for other in found)
    assert abs(plan.objective - best) <= 1e-6 * abs(plan.objective - plan.baseline)


@pytest.mark.parametrize("limited", ["each", "purse"])
def test_shadow_prices_agree_with_solving_again(small, limited):
    """Every limit that was made to bind does, and costs what central differences say."""
    found = small[limited]
    checked = set()
    for number, item in enumerate(found.problem.constraints):
        if not isinstance(item, Budget) or item.name not in found.tight:
            continue
        for row in found.plan.shadow_prices:
            if row.name != item.name:
                continue
            assert row.binding, row.words
            step = 1e-3 * abs(row.limit)
            ends = [
                solve(
                    _moved(found.problem, number, row.label, end),
                    start=found.plan,
                    options=FINE,
                ).objective
                for end in (row.limit + step, row.limit - step)
            ]
            assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(row.price, rel=0.01)
            checked.add(item.name)
    assert checked == found.tight


def _moved(problem, number, label, limit):
    item = problem.constraints[number]
    limits = limit if not item.by else {**item.limit, label: limit}
    constraints = list(problem.constraints)
    constraints[number] = replace(item, limit=limits)
    return replace(problem, constraints=tuple(constraints))


def test_terminal_page_and_retrospective_show_each(project, planned):
    shown = str(planned)
    page = workflow.review(project).page.read_text()
    for title in ("Incentive spend", "Coupon spend", "Base fare"):
        assert title in shown
        assert f"{title}" in page
    assert "all together" in shown
    assert "d Pickup ETA / d Coupon spend" in page
    workflow.approve(project, who="ana", why="a test")
    played = workflow.play(project)
    # The simulated market announces coupons and fares a week ahead.
    assert played.left == ("coupon_spend", "base_fare")
    workflow.ingest(project)
    found = workflow.retro(project)
    assert [item.lever for item in found.hindsight.levers] == list(LEVERS)
    parts = found.hindsight.execution_gap + sum(i.value for i in found.hindsight.shares)
    assert parts == pytest.approx(found.hindsight.regret, abs=1e-6 * found.hindsight.attainable)
    text = found.page.read_text()
    assert "Best less carried out, base fare" in text
