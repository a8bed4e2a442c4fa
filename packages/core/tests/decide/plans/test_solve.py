"""Plans of labelled problems."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import (
    DecisionError,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    solve,
    what_if,
)
from dagcast_core.tensor import Panel

FINE = Options(gap=1e-6)


def test_plan_is_optimal_and_keeps_every_limit(problem, judged):
    plan = solve(problem, options=FINE)
    assert plan.status == "optimal"
    assert judged(problem, plan).failures(1e-6, 1e-6) == ()
    assert plan.worst_violation <= 1e-6
    assert plan.gap_bound <= 1e-6 * plan.lift
    spend = plan.decisions["spend"]
    assert float(spend.sum().item()) <= 2000 * (1 + 1e-9)
    assert bool((spend.sum("incentive", "hour").tensor <= 900 * (1 + 1e-9)).all())
    assert float(plan.forecast["eta"].sel(region="B").mean().item()) <= 4.03 * (1 + 1e-6)
    assert float(plan.forecast["profit"].sum().item()) >= 9850 * (1 - 1e-6)


def test_no_random_feasible_plan_is_better(problem):
    plan = solve(problem, options=FINE)
    generator = torch.Generator().manual_seed(0)
    spend = plan.decisions["spend"]
    tried = 0
    for _ in range(60):
        noise = 1 + 0.2 * torch.randn(spend.shape, generator=generator, dtype=torch.float64)
        other = spend.with_tensor((spend.tensor * noise).clamp(0, 60))
        judged = what_if(problem, Panel(spend=other))
        if judged.status == "feasible":
            tried += 1
            assert judged.objective <= plan.objective + 1e-9
    again = what_if(problem, plan.decisions)
    assert again.status == "feasible"
    assert again.objective == pytest.approx(plan.objective, rel=1e-12)


def test_shadow_prices_have_labels_units_and_agree_with_solving_again(problem):
    plan = solve(problem, options=FINE)
    floor = plan.price_of("profit")
    assert floor.unit == "USD"
    assert floor.price_unit == "ride per USD"
    assert floor.price < 0
    assert "profit" in floor.words
    assert "ride" in floor.words
    at_b = plan.price_of("eta", "B")
    assert at_b.price > 0
    assert at_b.unit == "min"
    more = []
    for amount in (-0.5, 0.5):
        changed = [
            replace(c, limit=c.limit + amount)
            if isinstance(c, OutcomeLimit) and c.quantity == "profit"
            else c
            for c in problem.constraints
        ]
        more.append(solve(replace(problem, constraints=changed), plan, options=FINE).objective)
    assert more[1] - more[0] == pytest.approx(floor.price, rel=1e-3)


def test_best_to_spend_nothing_is_a_plan(make):
    problem = DecisionProblem(
        make.market(exponent=1.0, supply=make.Supply(half=1e4)),
        [Lever("spend", 0.0, 60.0)],
        Objective("profit"),
        [],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "optimal"
    assert float(plan.decisions["spend"].sum().item()) == 0.0


def test_replay_gives_the_same_plan(problem):
    first, second = solve(problem), solve(problem)
    assert torch.equal(first.decisions["spend"].tensor, second.decisions["spend"].tensor)


def test_warm_start_from_a_plan_is_cheaper_than_its_decisions_or_nothing(problem):
    cold = solve(problem, options=FINE)
    sessions = problem.context["sessions"]
    drifted = replace(
        problem,
        context=problem.context.assign(sessions=sessions.with_tensor(sessions.tensor * 1.01)),
        constraints=[
            replace(c, limit=c.limit * 1.01) if getattr(c, "quantity", "") == "profit" else c
            for c in problem.constraints
        ],
    )
    fresh = solve(drifted, options=FINE)
    warm = solve(drifted, cold, options=FINE)
    assert warm.objective == pytest.approx(fresh.objective, rel=1e-7)
    assert warm.provenance["iterations"] < fresh.provenance["iterations"]


@pytest.mark.parametrize("starts", [-1, 1.5, True])
def test_number_of_starts_is_checked(problem, starts):
    with pytest.raises(DecisionError, match="starts is .*; it is a whole number of at least 0"):
        solve(problem, starts=starts)


def test_start_without_a_number_is_refused(problem):
    spend = problem.context["spend"]
    hollow = spend.tensor.clone()
    hollow[0, 1, 2] = float("nan")
    with pytest.raises(DecisionError, match=r"start has no number at spend\[boost, B, .* 02:00"):
        solve(problem, Panel(spend=spend.with_tensor(hollow)))
