"""Limits by labels and by groups of them."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import (
    Budget,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    solve,
)

FINE = Options(gap=1e-6)


def test_budgets_and_limits_by_groups_of_labels(problem):
    coast = {"region": {"A": "coast", "C": "coast", "B": "inland"}}
    limits = [
        Budget("spend", {"coast": 700.0, "inland": 500.0}, by=("region",), groups=coast),
        OutcomeLimit("eta", "<=", {"coast": 4.35}, by=("region",), groups=coast),
    ]
    plan = solve(replace(problem, constraints=limits), options=FINE)
    assert plan.status == "optimal"
    spend = plan.decisions["spend"].sum("incentive", "hour")
    coast_spend = float((spend.sel(region="A") + spend.sel(region="C")).item())
    assert plan.price_of("spend", "coast").used == pytest.approx(coast_spend)
    assert coast_spend == pytest.approx(700.0, rel=1e-6)
    eta = plan.forecast["eta"].sel(region=["A", "C"]).mean()
    assert plan.price_of("eta", "coast").used == pytest.approx(float(eta.item()))


def test_group_that_leaves_labels_out_does_not_count_them(problem):
    only = {"region": {"B": "inland"}}
    limit = Budget("spend", {"inland": 100.0}, by=("region",), groups=only)
    plan = solve(replace(problem, constraints=[limit]), options=FINE)
    spend = plan.decisions["spend"].sum("incentive", "hour")
    assert float(spend.sel(region="B").item()) == pytest.approx(100.0, rel=1e-6)
    assert float(spend.sel(region="A").item()) > 200.0
    assert len(plan.shadow_prices) == 1


def test_limits_by_several_dims_at_once(problem):
    hours = problem.context["spend"].index("hour")
    limits = [
        Budget("spend", {("quest", "B"): 60.0}, by=("incentive", "region")),
        OutcomeLimit("eta", "<=", {("B", hours[4]): 4.1}, by=("region", "hour")),
        Budget("spend", 1500.0),
    ]
    plan = solve(replace(problem, constraints=limits), options=FINE)
    assert plan.status == "optimal"
    quest = plan.decisions["spend"].sel(incentive="quest", region="B").sum()
    assert float(quest.item()) == pytest.approx(60.0, rel=1e-6)
    assert float(plan.forecast["eta"].sel(region="B", hour=hours[4]).item()) <= 4.1 * (1 + 1e-6)
    assert plan.price_of("spend", "quest, B").price > 0
    assert plan.price_of("eta", "B, 2026-03-02 04:00").unit == "min"


@pytest.mark.parametrize("seed", [0, 1])
def test_groupings_that_cut_across_one_another_agree_with_scipy(make, seed):
    """Budgets by region, by incentive and by groups of regions; prices too."""
    coast = {"region": {"A": "coast", "C": "coast", "B": "inland"}}
    limits = [
        Budget("spend", {"coast": 350.0, "inland": 300.0}, by=("region",), groups=coast),
        Budget("spend", {"boost": 330.0, "quest": 300.0}, by=("incentive",)),
        Budget("spend", 260.0, by=("region",)),
        OutcomeLimit("eta", "<=", {"B": 4.4}, by=("region",)),
    ]
    problem = DecisionProblem(
        make.market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        limits,
        make.context(hours=8, seed=seed),
    )
    plan, oracle = (solve(problem, options=FINE, method=m) for m in ("separable", "slsqp"))
    assert abs(plan.objective - oracle.objective) <= 1e-6 * plan.lift
    for mine, other in zip(plan.shadow_prices, oracle.shadow_prices, strict=True):
        assert mine.price == pytest.approx(other.price, rel=1e-2, abs=1e-4)


def test_labels_may_come_in_any_order(make, problem):
    plan = solve(problem, options=FINE)
    shuffled = make.context(regions=("C", "A", "B"), incentives=("quest", "boost"))
    other = solve(replace(problem, context=shuffled), options=FINE)
    wanted = plan.decisions["spend"]
    found = other.decisions["spend"].reindex(
        incentive=wanted.index("incentive"), region=wanted.index("region")
    )
    torch.testing.assert_close(found.tensor, wanted.tensor, atol=1e-4, rtol=0)
    assert other.objective == pytest.approx(plan.objective, rel=1e-9)


def test_labels_without_a_limit_stay_free_and_infinity_is_no_limit(problem):
    free = solve(replace(problem, constraints=[]))
    endless = [Budget("spend", float("inf")), OutcomeLimit("eta", "<=", float("inf"))]
    plan = solve(replace(problem, constraints=endless))
    assert plan.objective == pytest.approx(free.objective)
    assert plan.shadow_prices == ()
    one = solve(
        replace(
            problem, constraints=[Budget("spend", 90.0, by=("region",), where={"region": ("B",)})]
        )
    )
    assert [(price.name, price.label) for price in one.shadow_prices] == [("spend", "B, B")]


def test_same_budget_in_other_words_is_no_duplicate(problem):
    """Two budgets of one lever by region, for different regions."""
    apart = [Budget("spend", {region: 50.0}, by=("region",)) for region in "AB"]
    plan = solve(replace(problem, constraints=apart))
    assert [price.label for price in plan.shadow_prices] == ["A", "B"]
