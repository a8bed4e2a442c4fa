"""What is claimed where the problem is not known to be concave."""

from dataclasses import replace

import torch

from dagcast_core.decide import Budget, DecisionProblem, Lever, Objective, Options, solve
from dagcast_core.tensor import IndexTensor, Panel


def test_seed_decides_everything_random(make):
    problem = DecisionProblem(
        make.market(exponent=3.0),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 700.0)],
        make.context(),
    )
    first, second = (solve(problem, options=Options(seed=4), starts=5) for _ in range(2))
    assert torch.equal(first.decisions["spend"].tensor, second.decisions["spend"].tensor)
    assert isinstance(first.decisions["spend"], IndexTensor)


def test_threshold_response_is_not_called_optimal_and_beats_a_single_start(make):
    """Spending nothing is a trap for a response with a threshold."""
    problem = DecisionProblem(
        make.market(exponent=3.0),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 700.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "feasible"
    assert plan.concavity == "refuted"
    assert plan.gap_bound is None
    assert "best known" in plan.message
    trapped = solve(problem, Panel(spend=problem.context["spend"]), starts=0)
    assert plan.objective >= trapped.objective - 1e-9


def test_flat_objective_is_said_to_be_flat(make):
    """Far beyond saturation nothing moves: a clamp leaves no slope at all."""

    class Full(make.Supply):
        contract = make.Supply.contract

        def forward(self, spend, sessions):
            return super().forward(spend, sessions).clamp(max=1.0)

    problem = DecisionProblem(
        make.market(supply=Full()),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 900.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "feasible"
    assert "flat" in plan.message


def test_concavity_that_was_not_tested_is_not_claimed(problem):
    plan = solve(problem, starts=0)
    assert plan.concavity == "unknown"
    assert plan.status == "feasible"
    assert "not tested" in plan.message
    assert plan.gap_bound is None
    assert solve(replace(problem, concave=True), starts=0).status == "optimal"
