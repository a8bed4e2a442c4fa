"""Plans by another method."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Budget, DecisionError, Objective, Options, OutcomeLimit, Ramp, solve

FINE = Options(gap=1e-6)


@pytest.mark.parametrize("name", ["rides", "profit"])
def test_slsqp_finds_the_same_plan(problem, name):
    problem = replace(problem, objective=Objective(name))
    plan = solve(problem, options=FINE)
    oracle = solve(problem, options=FINE, method="slsqp")
    assert oracle.provenance["method"] == "slsqp"
    assert oracle.objective == pytest.approx(plan.objective, rel=1e-6)
    assert oracle.worst_violation <= 1e-6
    # Its own multipliers are as good as its point: the same bound judges both.
    assert oracle.gap_bound <= 1e-4 * abs(oracle.objective)
    for mine, other in zip(plan.shadow_prices, oracle.shadow_prices, strict=True):
        assert other.price == pytest.approx(mine.price, rel=0.05, abs=2e-3)


def test_slsqp_keeps_ramps_and_refuses_large_problems(make, problem):

    small = replace(
        problem, constraints=[Budget("spend", 700.0), Ramp("spend", 2.0, step=1)], concave=True
    )
    plan, oracle = solve(small, options=FINE), solve(small, options=FINE, method="slsqp")
    assert oracle.objective == pytest.approx(plan.objective, rel=1e-6)
    large = replace(problem, context=make.context(hours=120), constraints=[])
    with pytest.raises(DecisionError, match="up to 600 cells; this problem has 720"):
        solve(large, method="slsqp")
    with pytest.raises(DecisionError, match="no method 'simplex'"):
        solve(problem, method="simplex")


def test_slsqp_names_conflicts_too(make, problem):
    limits = [*make.limits()[:1], OutcomeLimit("eta", "<=", {"B": 3.0}, by=("region",))]
    plans = [solve(replace(problem, constraints=limits), method=m) for m in ("slsqp", "separable")]
    assert [plan.status for plan in plans] == ["infeasible", "infeasible"]
    assert "mean of eta B <= 3 min is missed by" in plans[0].message
    late = solve(problem, method="slsqp", options=Options(time_limit=1e-9))
    assert late.status == "interrupted"
    assert "time limit" in late.message
