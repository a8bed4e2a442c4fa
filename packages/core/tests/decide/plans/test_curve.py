"""Response curves."""

import pytest

from dagcast_core.decide import DecisionError, Options, response_curve, solve, what_if
from dagcast_core.tensor import Panel

FINE = Options(gap=1e-6)


def test_response_curve_passes_through_the_plan_and_is_what_would_be_forecast(problem):
    plan = solve(problem, options=FINE)
    hour = problem.context["spend"].index("hour")[5]
    cell = {"incentive": "quest", "region": "B", "hour": hour}
    curve = response_curve(problem, plan, "spend", cell)
    assert len(curve.grid) == 21
    assert (curve.grid[0], curve.grid[-1]) == (0.0, 60.0)
    assert curve.planned == pytest.approx(float(plan.decisions["spend"].sel(**cell).item()))
    at = response_curve(problem, plan, "spend", cell, [curve.planned, 30.0])
    assert at.objective[0] == pytest.approx(plan.objective, rel=1e-12)
    assert at.kept[0]
    moved = plan.decisions["spend"].tensor.clone()
    moved[1, 1, 5] = 30.0
    judged = what_if(problem, Panel(spend=plan.decisions["spend"].with_tensor(moved)))
    assert at.objective[1] == pytest.approx(judged.objective, rel=1e-12)
    assert at.outcomes["profit"][1] == pytest.approx(
        float(judged.forecast["profit"].mean().item()), rel=1e-12
    )
    limit = next(name for name in at.limits if "eta B" in name)
    assert at.limits[limit][1] == pytest.approx(judged.price_of("eta", "B").used, rel=1e-12)
    # Saturating: ever less for the same step.
    steps = [b - a for a, b in zip(curve.objective[:-1], curve.objective[1:], strict=True)]
    assert steps == sorted(steps, reverse=True)
    slope = response_curve(problem, plan, "spend", cell, [curve.planned + s for s in (-1e-4, 1e-4)])
    change = (slope.objective[1] - slope.objective[0]) / 2e-4
    assert change == pytest.approx(
        float(plan.marginal_effects["objective"].sel(**cell).item()), rel=1e-4
    )


def test_response_curve_of_no_cell_is_refused(problem):
    plan = solve(problem)
    with pytest.raises(DecisionError, match="no lever 'spent'. Nearest: 'spend'"):
        response_curve(problem, plan, "spent", {})
    with pytest.raises(DecisionError, match="a label for each of incentive, region, hour"):
        response_curve(problem, plan, "spend", {"region": "A"})
    hour = problem.context["spend"].index("hour")[0]
    with pytest.raises(DecisionError, match="no region 'Z'"):
        response_curve(problem, plan, "spend", {"incentive": "quest", "region": "Z", "hour": hour})
    with pytest.raises(DecisionError, match="no finite numbers"):
        response_curve(
            problem, plan, "spend", {"incentive": "quest", "region": "A", "hour": hour}, []
        )
