"""How the optimum moves with what is not decided."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import (
    DecisionError,
    Options,
    OutcomeLimit,
    Risk,
    parameter_uncertainty,
    sensitivity,
    solve,
    solve_again,
)

FINE = Options(gap=1e-6)


@pytest.mark.parametrize("name", ["sessions", "supply", "eta", "supply-model.gain"])
def test_envelope_theorem_agrees_with_solving_again(make, problem, name):
    problem = replace(problem, model=make.market(supply=make.LearnedSupply()))
    plan = solve(problem, options=Options(gap=1e-8))
    exact = Options(gap=1e-8)
    ends = [
        sensitivity(problem, plan, name, change=step, resolve=True, options=exact).effect
        for step in (-1e-4, 1e-4)
    ]
    quick = sensitivity(problem, plan, name, change=1e-4)
    assert (ends[1] - ends[0]) / 2 == pytest.approx(quick.effect, rel=2e-3)
    assert "envelope theorem" in quick.words
    assert quick.unit == "ride"


def test_large_changes_need_solving_again(make, problem):
    """Three limits bind: a fifth more sessions is not two hundred times a thousandth."""
    plan = solve(problem, options=FINE)
    quick = sensitivity(problem, plan, "sessions", change=0.05)
    solved = sensitivity(problem, plan, "sessions", change=0.05, resolve=True, options=FINE)
    assert "solved again" in solved.words
    assert solved.effect != pytest.approx(quick.effect, rel=1e-3)
    with pytest.raises(DecisionError, match="nothing is called 'session'. Nearest: 'sessions'"):
        sensitivity(problem, plan, "session")
    with pytest.raises(DecisionError, match="answers another problem"):
        sensitivity(replace(problem, constraints=[]), plan, "sessions")


def test_parameter_uncertainty_is_the_spread_of_optima(make, problem):
    """Against solving at every draw of one parameter alone, where draws are close together."""
    problem = replace(problem, model=make.market(supply=make.LearnedSupply()))
    plan = solve(problem, options=FINE)
    draws = make.draws(problem.model, count=24, spread=0.01)
    found = parameter_uncertainty(problem, plan, draws)
    assert {item.name for item in found} == {"supply-model.need", "supply-model.gain"}
    assert found[0].effect >= found[1].effect
    name = found[0].name
    key = next(key for key in draws.states if name.split(".")[-1] in key)
    alone = replace(draws, states={key: draws.states[key]})
    worth = torch.tensor([p.objective for p in solve_again(problem, plan, alone, count=24)])
    assert found[0].effect == pytest.approx(float(worth.std()), rel=0.05)
    with pytest.raises(DecisionError, match="needs draws"):
        parameter_uncertainty(problem, plan)


@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_solve_is_no_number_to_go_on_with(problem, at, interrupt_at_gradient):
    plan = solve(problem)
    left = interrupt_at_gradient(at)
    with pytest.raises(KeyboardInterrupt, match="while the problem was solved with other param"):
        solve_again(problem, plan, [problem.model])
    left[0] = at
    with pytest.raises(KeyboardInterrupt, match="interrupted while the problem was solved again"):
        sensitivity(problem, plan, "sessions", change=0.1, resolve=True)


@pytest.mark.parametrize("name", ["sessions", "eta", "supply-model.gain"])
def test_envelope_theorem_holds_over_draws(make, uncertain, name):
    sure = OutcomeLimit("eta", "<=", {"B": 4.45}, by=("region",), chance=0.9)
    problem = uncertain(Risk("cvar", 0.25), [*make.limits()[:2], sure])
    exact = Options(gap=1e-7, violation=1e-9)
    plan = solve(problem, options=exact)
    ends = [
        sensitivity(problem, plan, name, change=step, resolve=True, options=exact).effect
        for step in (-1e-4, 1e-4)
    ]
    quick = sensitivity(problem, plan, name, change=1e-4)
    assert (ends[1] - ends[0]) / 2 == pytest.approx(quick.effect, rel=2e-3)
