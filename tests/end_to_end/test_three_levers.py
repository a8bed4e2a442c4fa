"""Bonuses, coupons and fares in one plan, from `dagcast.toml` alone."""

from dataclasses import replace

import pytest
import torch

from dagcast import workflow
from dagcast.project import open_project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._session import open_session
from dagcast_core.decide import Budget, Options, OutcomeLimit, solve

torch.set_num_threads(1)

LEVERS = ("incentive_spend", "coupon_spend", "base_fare")
# Half a day of two regions is few enough cells for SLSQP, the independent judge.
FEW = {"horizon.hours": "12"}
# What bonuses may cost region by region, whatever else the limits of money are.
BONUSES = '{lever = "incentive_spend", of_recent = 0.7, by = ["region"]}'
SETTINGS = {
    # However slow the machine: the time limit ends no plan.
    "solver.seconds": "600",
    "horizon.hours": "24",
    # A ride is worth enough for coupons to pay, however little their one trial proves.
    "objective.weights": "{profit = 1.0, rides = 12.0}",
    "uncertainty.draws": "4",
    "backtest.origins": "1",
    "backtest.workers": "1",
    "levers": "{incentive_spend = {upper_of_recent = 2.0}, coupon_spend = {upper = 40.0}, "
    "base_fare = {change = 0.1}}",
    "budgets": '[{levers = ["incentive_spend", "coupon_spend"], of_recent = 0.9}, '
    f'{BONUSES}, {{lever = "coupon_spend", limit = 150.0}}]',
    "guardrails": '[{quantity = "eta", of_recent = 1.05, by = ["region"], weight = "sessions"}]',
    "ramps": '[{lever = "incentive_spend", step = 1, of_upper = 0.5}, '
    '{lever = "coupon_spend", step = 1, limit = 10.0}]',
}
FINE = Options(gap=1e-6, violation=1e-9)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers") / "market"
    workflow.simulate(folder, regions=2, weeks=6, seed=101, flags=SETTINGS)
    opened = open_project(folder, environment={})
    workflow.ingest(opened)
    workflow.fit(opened)
    return opened


@pytest.fixture(scope="module")
def planned(project):
    return workflow.plan(project)


@pytest.fixture(scope="module")
def without_purse(project):
    """Coupons have less than they would spend by themselves, so that their limit binds."""
    free = _spent(_problem(project, BONUSES))["coupon_spend"]
    return _problem(project, BONUSES, _coupons(0.6 * free))


@pytest.fixture(scope="module")
def problem(project, without_purse):
    """The purse holds less than its levers would spend without it, so that it binds."""
    spent = _spent(without_purse)
    purse = 0.97 * sum(spent.values())
    both = f'{{levers = ["incentive_spend", "coupon_spend"], limit = {purse}}}'
    return _problem(project, both, BONUSES, _coupons(spent["coupon_spend"]))


def _problem(project, *budgets):
    flags = FEW | {"budgets": f"[{', '.join(budgets)}]"}
    session = open_session(open_project(project.folder, flags=flags, environment={}))
    return make_setting(session).problem(load_fit(session).model)


def _coupons(limit):
    return f'{{lever = "coupon_spend", limit = {limit}}}'


def _spent(problem):
    plan = solve(problem)
    assert plan.status == "optimal"
    spent = {name: float(plan.decisions[name].sum()) for name in LEVERS[:2]}
    assert min(spent.values()) > 0
    return spent


@pytest.fixture(scope="module")
def best(problem):
    return solve(problem, options=FINE)


def test_plan_decides_all_three_with_a_certificate(planned):
    summary = planned.summary
    assert summary.status == "optimal"
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


def test_slsqp_finds_the_same_optimum(problem, best):
    other = solve(problem, options=FINE, method="slsqp")
    assert best.status == "optimal"
    lift = abs(best.objective - best.baseline)
    assert abs(best.objective - other.objective) <= 1e-6 * lift


def test_shadow_prices_agree_with_solving_again(problem, best, without_purse):
    """Every limit that binds, a purse and single levers alike: central differences."""
    assert "incentive_spend + coupon_spend" in _agreeing(problem, best)
    # Coupons may give way to the purse before their own limit does anything.
    alone = solve(without_purse, options=FINE)
    assert _agreeing(without_purse, alone, {"coupon_spend"}) == {"coupon_spend"}


def _agreeing(problem, best, chosen=None):
    """Names of the limits that bind, each of whose prices was found to agree."""
    checked = set()
    for number, item in enumerate(problem.constraints):
        if not isinstance(item, Budget | OutcomeLimit):
            continue
        name = item.name if isinstance(item, Budget) else item.quantity
        if chosen is not None and name not in chosen:
            continue
        for row in best.shadow_prices:
            if row.name != name or not row.binding or bool(row.label) != bool(item.by):
                continue
            step = 1e-3 * abs(row.limit)
            found = [
                solve(_moved(problem, number, row.label, end), options=FINE).objective
                for end in (row.limit + step, row.limit - step)
            ]
            assert (found[0] - found[1]) / (2 * step) == pytest.approx(row.price, rel=0.01)
            checked.add(row.name)
    return checked


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
    assert "Difference in base fare" in text
