"""How an outcome's total moves with inputs and inner quantities, the decisions held."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import DecisionError, outcome_sensitivity, solve, what_if
from dagcast_core.model import Residual


def total(problem, plan, outcome):
    """The outcome under the decisions, by the model; a mean, as the contracts say nothing."""
    return float(what_if(problem, plan.decisions).forecast[outcome].tensor.mean())


def moved(problem, name, change):
    """The same problem with an input, or the model's own output, multiplied by 1 + change."""
    if name in problem.context:
        given = problem.context[name]
        more = given.with_tensor(given.tensor * (1.0 + change)).named(name)
        return replace(problem, context=problem.context.assign({name: more}))
    like = problem.context["sessions"]
    ratio = like.with_tensor(torch.full_like(like.tensor, 1.0 + change))
    return replace(problem, residuals={name: Residual(ratio, like.zeros_like())})


@pytest.mark.parametrize("name", ["sessions", "supply", "eta"])
@pytest.mark.parametrize("outcome", ["rides", "profit"])
def test_agrees_with_finite_differences_of_the_forecast(problem, outcome, name):
    """Rides to the demand forecast, and to what models make on the way."""
    plan = solve(problem)
    step = 1e-5
    ends = [total(moved(problem, name, s), plan, outcome) for s in (-step, step)]
    found = outcome_sensitivity(problem, plan, outcome, name)
    assert found.effect == pytest.approx(0.01 * (ends[1] - ends[0]) / (2 * step), rel=1e-6)
    assert found.effect != 0.0
    assert found.unit == {"rides": "ride/h", "profit": "USD/h"}[outcome]
    assert f"{outcome} by" in found.words


def test_levers_and_parameters_count_and_decisions_are_held(make, problem):
    """Ten times the change is ten times the effect: nothing is solved again."""
    model = make.market(supply=make.LearnedSupply())
    problem = replace(problem, model=model)
    plan = solve(problem)
    spend = plan.decisions["spend"]
    step = 1e-5
    ends = [
        float(
            what_if(problem, plan.decisions.assign({"spend": spend * (1.0 + s)}))
            .forecast["rides"]
            .tensor.mean()
        )
        for s in (-step, step)
    ]
    by_lever = outcome_sensitivity(problem, plan, "rides", "spend")
    assert by_lever.effect == pytest.approx(0.01 * (ends[1] - ends[0]) / (2 * step), rel=1e-6)
    gain = outcome_sensitivity(problem, plan, "rides", "supply-model.gain", change=0.1)
    parameter = model.leaves["supply-model"].gain
    raw = parameter.raw.detach().clone()
    totals = []
    for s in (-step, step):
        with torch.no_grad():
            value = parameter.transform.forward(raw) * (1.0 + s)
            parameter.raw.copy_(parameter.transform.inverse(value))
        totals.append(total(problem, plan, "rides"))
    with torch.no_grad():
        parameter.raw.copy_(raw)
    assert gain.effect == pytest.approx(0.1 * (totals[1] - totals[0]) / (2 * step), rel=1e-5)


def test_a_mean_keeps_its_unit_and_its_weights(problem):
    """ETA is a mean over cells; nobody reads the weather, and names are checked."""
    plan = solve(problem)
    found = outcome_sensitivity(problem, plan, "eta", "eta")
    assert found.unit == "min"
    assert found.effect == pytest.approx(0.01 * float(plan.forecast["eta"].tensor.mean()))
    none = outcome_sensitivity(problem, plan, "rides", "weather")
    assert none.effect == 0.0
    assert none.words == "rides does not depend on weather."
    with pytest.raises(DecisionError, match="no outcome is called 'ride'. Nearest: 'rides'"):
        outcome_sensitivity(problem, plan, "ride", "sessions")
    with pytest.raises(DecisionError, match="nothing is called 'session'"):
        outcome_sensitivity(problem, plan, "rides", "session")
