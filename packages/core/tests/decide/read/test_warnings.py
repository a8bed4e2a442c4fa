"""What to know before a plan is relied on."""

from dataclasses import replace

import torch

from dagcast_core.decide import Budget, Fixed, Lever, Objective, Options, OutcomeLimit, solve

FINE = Options(gap=1e-6)


def test_nearly_empty_feasible_set_is_reported_with_the_limits_that_close_it(problem):
    """The ETA limit stands a hair above what the budget can buy."""
    bare = replace(problem, constraints=[Budget("spend", 900.0, by=("region",))])
    eta = _least_eta(bare, "B")
    tight = _with_eta(bare, eta * 1.0002)
    plan = solve(tight)
    assert plan.status in ("optimal", "feasible")
    assert any("nearly empty" in line and "eta B" in line for line in plan.warnings)
    roomy = _with_eta(bare, eta * 1.02)
    assert not any("nearly empty" in line for line in solve(roomy).warnings)


def _with_eta(bare, limit):
    more = OutcomeLimit("eta", "<=", {"B": limit}, by=("region",))
    return replace(bare, constraints=[*bare.constraints, more])


def _least_eta(bare, region):
    """Lowest mean ETA of a region under the budgets."""

    def mean(known):
        return known["eta"].sel(region=[region]).tensor.mean()

    return solve(replace(bare, objective=Objective(mean, "min")), options=FINE).objective


def test_budget_that_fixed_cells_use_up_is_reported(problem):
    spend = problem.context["spend"]
    fixed = spend.isel(incentive=slice(0, 1))
    fixed = fixed.with_tensor(torch.full(tuple(fixed.shape), 10.0).double())
    limits = [Fixed("spend", fixed), Budget("spend", 120.05, by=("region",))]
    plan = solve(replace(problem, constraints=limits))
    assert any("sum of spend A <= 120.05 USD leaves 0.05 USD" in line for line in plan.warnings)


def test_lever_that_nothing_holds_back_is_reported(problem):
    endless = replace(problem, levers=[Lever("spend")], constraints=[])
    assert any("nothing holds back 72 cell(s)" in line for line in solve(endless).warnings)
    # Profit pays for the spend, and a budget bounds it.
    worth = replace(endless, objective=Objective("profit"))
    assert not any("holds back" in line for line in solve(worth).warnings)
    budget = replace(endless, constraints=[Budget("spend", 900.0)])
    assert not any("holds back" in line for line in solve(budget).warnings)
