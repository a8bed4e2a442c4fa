"""How far plans move with the parameters behind them."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from dagcast_core.decide import DecisionError, Risk, solve, solve_again, stability, what_if
from dagcast_core.tensor import Panel


def test_stability_of_a_plan_over_draws(make, problem):
    problem = replace(
        problem,
        model=make.market(supply=make.LearnedSupply()),
        constraints=make.limits()[:2],
    )
    plan = solve(problem)
    close, far = (
        stability(plan, solve_again(problem, plan, make.draws(problem.model, 8, spread), count=6))
        for spread in (0.02, 0.3)
    )
    assert close.plans == far.plans == 6
    assert 0 < close.typical("spend") < far.typical("spend") < 1
    region = next(r for r in far.ranges if r.dim == "region" and r.label == "A")
    planned = float(plan.decisions["spend"].sel(region="A").sum().item())
    assert region.low <= region.planned == pytest.approx(planned)
    assert region.planned <= region.high
    assert far.spread["spend"].dims == plan.decisions["spend"].dims
    assert "place" in far.words
    assert "of spend" in far.words


def test_stability_over_models_fitted_at_other_moments(make, problem):
    plan = solve(problem)
    models = [make.market(supply=make.Supply(half=half)) for half in (20.0, 26.0)]
    found = stability(plan, solve_again(problem, plan, models))
    # The first model is the plan's own.
    assert found.moved["spend"][0] == pytest.approx(0.0, abs=1e-3)
    assert found.moved["spend"][1] > found.moved["spend"][0]


def test_stability_of_a_cautious_plan_weighs_the_draws_of_every_model(make, problem):
    """Its own model and draws give the plan again; plans without draws are others."""
    models = [make.market(supply=make.LearnedSupply()) for _ in range(2)]
    draws = [make.draws(model, 16, 0.5, seed) for seed, model in enumerate(models)]
    cautious = replace(
        problem,
        model=models[0],
        constraints=make.limits()[:2],
        draws=draws[0],
        risk=Risk("cvar", 0.25),
    )
    plan = solve(cautious)
    same, other = solve_again(cautious, plan, list(zip(models, draws, strict=True)))
    assert len(same.objective_draws) == len(other.objective_draws) == 16
    moved = stability(plan, [same, other]).moved["spend"]
    assert moved[0] == pytest.approx(0.0, abs=2e-3)
    assert moved[1] > 0.01
    # Models alone have no draws to weigh.
    bare = solve_again(cautious, plan, models[:1])
    assert bare[0].objective_draws == ()
    assert stability(plan, bare).moved["spend"][0] > 0.01


def test_moved_share_of_known_plans(problem):
    spend = problem.context["spend"]
    one = spend.with_tensor(torch.full(tuple(spend.shape), 2.0).double())
    half = one.tensor.clone()
    half[0] = 0.0
    plans = [
        what_if(problem, Panel(spend=one.with_tensor(values))) for values in (one.tensor, half)
    ]
    # Of 144 + 72 together, 72 are in other cells.
    assert stability(plans[0], plans[1:]).moved["spend"] == (pytest.approx(1 / 3),)
    with pytest.raises(DecisionError, match="needs other plans"):
        stability(plans[0], [])
    other = replace(problem, context=problem.context.map(lambda t: _later(t)))
    with pytest.raises(DecisionError, match="other labels along 'hour'"):
        stability(plans[0], [what_if(other, Panel(spend=_later(one)))])


def _later(tensor):
    return tensor.relabel(hour=lambda hour: hour + pd.Timedelta(hours=1)).named(tensor.name)
