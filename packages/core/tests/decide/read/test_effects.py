"""Marginal effects and sensitivities of a plan."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Options, solve, what_if
from dagcast_core.tensor import Panel

FINE = Options(gap=1e-6)


def test_marginal_effects_are_the_derivatives_of_the_forecast(problem):
    plan = solve(problem)
    effect = plan.marginal_effects["eta"]
    assert effect.dims == ("incentive", "region", "hour")
    spend = plan.decisions["spend"]
    bumped = spend.tensor.clone()
    bumped[1, 2, 5] += 1e-4
    moved = what_if(problem, Panel(spend=spend.with_tensor(bumped)))
    change = (moved.forecast["eta"].tensor - plan.forecast["eta"].tensor).sum() / 1e-4
    assert float(effect.tensor[1, 2, 5]) == pytest.approx(float(change), rel=1e-3)


def test_sensitivities_agree_with_solving_again(problem):
    plan = solve(problem, options=FINE)
    effect = next(s for s in plan.sensitivities if s.name == "sessions").effect
    ends = []
    for factor in (0.999, 1.001):
        sessions = problem.context["sessions"]
        changed = problem.context.assign(sessions=sessions.with_tensor(sessions.tensor * factor))
        ends.append(solve(replace(problem, context=changed), plan, options=FINE).objective)
    assert (ends[1] - ends[0]) / 0.2 == pytest.approx(effect, rel=5e-3)
