"""The optimum of flat problems, against another solver and under abuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, NonlinearConstraint, minimize

from dagcast_core.decide import LinearSet, Options, SmoothProblem, WarmStart, solve_smooth
from dagcast_core.solver.separable._programme import SeparableProgramme

TIGHT = Options(gap=3e-7, violation=1e-9)


def by_slsqp(problem):
    linear, rows = problem.linear, problem.rows

    def value(x):
        leaf = torch.tensor(x, requires_grad=True)
        objective, outcomes = problem.evaluate(leaf)
        (gradient,) = torch.autograd.grad(objective, leaf, retain_graph=True)
        jacobian = torch.stack(
            [torch.autograd.grad(o, leaf, retain_graph=True)[0] for o in outcomes]
        )
        return (
            float(objective.detach()),
            gradient.numpy(),
            outcomes.detach().numpy(),
            jacobian.numpy(),
        )

    sign, limit, scale = rows.sign.numpy(), rows.limit.numpy(), rows.scale.numpy()
    budget = []
    for layer in linear.budgets:
        for row in range(layer.limit.numel()):
            weight = (layer.group.numpy() == row) * layer.coefficient.numpy()
            budget.append(LinearConstraint(weight / float(layer.limit[row]), -np.inf, 1.0))
    outcome = NonlinearConstraint(
        lambda x: sign * (value(x)[2] - limit) / scale,
        -np.inf,
        0.0,
        jac=lambda x: (sign / scale)[:, None] * value(x)[3],
    )
    return minimize(
        lambda x: (-value(x)[0], -value(x)[1]),
        0.1 * linear.upper.numpy(),
        jac=True,
        method="SLSQP",
        bounds=list(zip(linear.lower.numpy(), linear.upper.numpy(), strict=True)),
        constraints=[*budget, outcome],
        options={"maxiter": 500, "ftol": 1e-13},
    )


@pytest.mark.parametrize("seed", range(5))
def test_equals_slsqp_on_small_problems(concave_problem, seed):
    problem = concave_problem(seed)
    ours = solve_smooth(problem, TIGHT)
    oracle = by_slsqp(problem)
    assert oracle.success
    assert ours.status == "optimal"
    assert ours.objective == pytest.approx(-oracle.fun, rel=1e-6)
    assert ours.violation <= 1e-9


def test_same_bits_for_the_same_seed(concave_problem):
    first = solve_smooth(concave_problem(3), TIGHT)
    second = solve_smooth(concave_problem(3), TIGHT)
    assert torch.equal(first.x, second.x)


def test_secants_alone_reach_the_same_optimum(concave_problem):
    problem = concave_problem(7)
    exact = solve_smooth(problem, TIGHT)
    secant = solve_smooth(problem, replace(TIGHT, curvature="secant"))
    assert secant.status == "optimal"
    assert secant.objective == pytest.approx(exact.objective, rel=1e-7)


def test_flat_objective_is_called_flat():
    linear = LinearSet(torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    flat = SmoothProblem(lambda x: (0.0 * x.sum() + 3.0, x.new_zeros(0)), linear, concave=True)
    assert solve_smooth(flat).message == "flat"


def test_a_start_at_the_optimum_stays_there(concave_problem):
    """A projected step in the wrong metric would leave it."""
    problem = concave_problem(5, floor=False)
    best = solve_smooth(problem, TIGHT)
    again = solve_smooth(problem, TIGHT, warm=WarmStart(best.x))
    torch.testing.assert_close(again.x, best.x, atol=1e-5, rtol=0)


def test_steps_that_leave_the_linear_set_are_not_called_feasible(concave_problem, monkeypatch):
    """A subproblem that is not solved must not end in a claim."""
    problem = concave_problem(2)
    solve = SeparableProgramme.solve

    def sloppy(self, *args, **kwargs):
        found = solve(self, *args, **kwargs)
        return replace(found, x=found.x * 1.5, residual=0.0)

    monkeypatch.setattr(SeparableProgramme, "solve", sloppy)
    assert solve_smooth(problem, TIGHT).status not in ("optimal", "feasible")
