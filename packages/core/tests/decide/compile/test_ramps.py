"""Ramps, with fixed cells, budgets and a plan in force."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from dagcast_core.decide import Budget, DecisionError, Fixed, Ramp, solve
from dagcast_core.tensor import IndexTensor, Panel


def test_ramp_fixed_cells_and_restricted_budget_are_kept(make, problem):
    spend = problem.context["spend"]
    hour = spend.index("hour")
    fixed = IndexTensor(
        [[[7.0]]], {"incentive": ["boost"], "region": ["A"], "hour": hour[3:4]}, "spend"
    )
    earlier = IndexTensor.full(
        {
            "incentive": spend.index("incentive"),
            "region": spend.index("region"),
            "hour": pd.date_range(hour[0] - pd.Timedelta("3h"), periods=3, freq="h"),
        },
        2.0,
        "spend",
    )
    constrained = replace(
        problem,
        constraints=[
            *make.limits()[:2],
            Budget("spend", 300.0, where={"incentive": ("quest",)}),
            Ramp("spend", 4.0, step=3),
            Fixed("spend", fixed),
        ],
        current=Panel([earlier]),
    )
    plan = solve(constrained)
    assert plan.status == "optimal"
    values = plan.decisions["spend"].values("incentive", "region", "hour")
    assert float(values[0, 0, 3]) == pytest.approx(7.0)
    assert float(values[1].sum()) <= 300 * (1 + 1e-9)
    change = (values[..., 3:] - values[..., :-3]).abs()
    assert float(change.max()) <= 4.0 * (1 + 1e-9)
    assert float((values[..., :3] - 2.0).abs().max()) <= 4.0 + 1e-9
    assert float(plan.flags["spend"].sum().item()) == 1.0


def test_two_ramps_on_one_lever_are_kept_together_with_budgets_and_limits(problem):
    """Hour to hour and every third hour: their links close cycles."""
    ramps = (Ramp("spend", 5.0, step=1), Ramp("spend", 2.0, step=3))
    free = solve(problem)
    ramped = replace(problem, constraints=(*problem.constraints, *ramps))
    plan = solve(ramped)
    assert plan.status == "optimal"
    oracle = solve(ramped, method="slsqp")
    assert plan.objective == pytest.approx(oracle.objective, rel=1e-6)
    spend = plan.decisions["spend"].values("incentive", "region", "hour")
    assert float((spend[..., 1:] - spend[..., :-1]).abs().max()) <= 5.0 * (1 + 1e-9)
    assert float((spend[..., 3:] - spend[..., :-3]).abs().max()) <= 2.0 * (1 + 1e-9)
    unramped = free.decisions["spend"].values("incentive", "region", "hour")
    assert float((unramped[..., 3:] - unramped[..., :-3]).abs().max()) > 2.5


def test_fixed_cells_that_two_ramps_cannot_join_are_found(problem):
    template = problem.context["spend"]
    values = torch.full_like(template.tensor, float("nan"))
    values[0, 0, 0], values[0, 0, 7] = 0.0, 30.0
    fixed = Fixed("spend", template.with_tensor(values))
    ramps = (Ramp("spend", 5.0, step=1), Ramp("spend", 6.0, step=3))
    # Two steps of three hours and one of an hour allow 17 from hour 0 to hour 7.
    with pytest.raises(DecisionError):
        solve(replace(problem, constraints=(fixed, *ramps)))
    values[0, 0, 7] = 16.9
    fixed = Fixed("spend", template.with_tensor(values))
    assert solve(replace(problem, constraints=(fixed, *ramps))).worst_violation < 1e-9


def test_plan_in_force_that_no_ramp_can_leave_in_time_is_named(make, problem):
    spend = problem.context["spend"]
    hour = spend.index("hour")
    earlier = IndexTensor.full(
        {
            "incentive": spend.index("incentive"),
            "region": spend.index("region"),
            "hour": pd.date_range(hour[0] - pd.Timedelta("3h"), periods=3, freq="h"),
        },
        99.0,
        "spend",
    )
    ramped = replace(problem, constraints=[Ramp("spend", 4.0, step=1)], current=Panel([earlier]))
    words = r"spend\[boost, A, 2026-03-02 00:00\] cannot be reached: .* before is 99, .* of 4"
    with pytest.raises(DecisionError, match=words):
        solve(ramped)
