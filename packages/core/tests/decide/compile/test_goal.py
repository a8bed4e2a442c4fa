"""What can be an objective."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    solve,
    what_if,
)
from dagcast_core.tensor import Panel

FINE = Options(gap=1e-6)


def test_any_function_of_the_forecast_can_be_the_objective(problem):
    def welfare(known):
        value = known["rides"] * 6.0 - known["eta"] * known["sessions"] * 0.3
        return (value - known["spend"].sum("incentive")).sum()

    objective = Objective(welfare, unit="USD", label="welfare")
    plan = solve(replace(problem, objective=objective), options=FINE)
    assert plan.status == "optimal"
    assert plan.objective_name == "welfare"
    assert plan.objective_unit == "USD"
    known = {**problem.context, **plan.forecast, **plan.decisions}
    assert plan.objective == pytest.approx(float(welfare(known).item()))
    assert plan.price_of("spend", "A").price_unit == "USD per USD"
    generator = torch.Generator().manual_seed(0)
    spend = plan.decisions["spend"]
    for _ in range(30):
        noise = 1 + 0.2 * torch.randn(spend.shape, generator=generator, dtype=torch.float64)
        moved = spend.with_tensor((spend.tensor * noise).clamp(0, 60))
        judged = what_if(replace(problem, objective=objective), Panel(spend=moved))
        assert judged.status == "infeasible" or judged.objective <= plan.objective + 1e-6


def test_weighted_sum_may_charge_for_the_lever_itself(problem):
    plan = solve(replace(problem, objective=Objective({"rides": 6.0, "spend": -1.0}, unit="USD")))
    same = solve(replace(problem, objective=Objective("profit")))
    assert plan.objective == pytest.approx(same.objective, rel=1e-9)
    assert plan.objective_unit == "USD"


def test_functions_that_are_no_objective_are_refused(problem):
    with pytest.raises(DecisionError, match="not one number. Sum it over its dims"):
        solve(replace(problem, objective=Objective(lambda known: known["rides"])))
    with pytest.raises(DecisionError, match="no lever reaches the objective 'late'"):
        solve(
            replace(
                problem, objective=Objective(lambda known: known["weather"].sum(), label="late")
            )
        )


def test_minimised_objective_has_prices_of_the_right_sign(make):
    problem = DecisionProblem(
        make.market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("eta", "min"),
        [Budget("spend", 500.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.objective < plan.baseline
    assert plan.price_of("spend").price < 0
