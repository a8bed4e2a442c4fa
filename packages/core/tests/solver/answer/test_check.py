"""One routine judges any point of any solver: right answers pass, every wrong one is named."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import Chains, Options, OutcomeRows, solve_smooth
from dagcast_core.solver import METHODS, Stopping, check_point

TIGHT = Options(gap=3e-7, violation=1e-9)


def judged(problem, solution):
    return check_point(problem, solution.x, solution.budget_prices, solution.row_prices)


def ramped(problem, steps):
    """Without outcome rows, and with ramps of each number of steps along a region's cells."""
    linear = problem.linear
    cells = torch.arange(linear.size).view(3, -1)
    ramps = []
    for step in steps:
        order = cells.view(3, -1, step).transpose(1, 2).reshape(-1, cells.shape[1] // step)
        ramps.append(Chains(order.contiguous(), torch.full(order.shape, 0.3, dtype=torch.float64)))
    linear = replace(linear, chains=ramps[0], more_chains=tuple(ramps[1:]))
    none = torch.zeros(0, dtype=torch.float64)
    return replace(
        problem,
        linear=linear,
        rows=OutcomeRows.none(),
        evaluate=lambda x: (problem.evaluate(x)[0], none),
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@pytest.mark.parametrize("seed", range(3))
def test_answers_of_every_method_pass(concave_problem, method, seed):
    problem = concave_problem(seed)
    found = judged(problem, method.solve(problem, TIGHT, None, Stopping()))
    # SLSQP's own multipliers come from least squares, so its bound is wider.
    assert found.failures(1e-8, 1e-6 if method.name == "separable" else 1e-3) == ()
    assert found.optimality.lift > 0


@pytest.mark.parametrize("steps", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_answers_with_ramps_pass_a_linear_programme_of_another_solver(concave_problem, seed, steps):
    problem = ramped(concave_problem(seed), steps)
    solution = solve_smooth(problem, TIGHT)
    found = judged(problem, solution)
    assert found.failures(1e-8, 1e-6) == ()
    free = judged(replace(problem, linear=replace(problem.linear, chains=None)), solution)
    assert free.failures(1e-8, 1e-6) != (), "the ramps must matter"


@pytest.mark.parametrize("seed", range(3))
def test_gap_bounds_what_a_better_point_adds(concave_problem, seed):
    problem = concave_problem(seed)
    best = solve_smooth(problem, TIGHT)
    for gap in (1e-1, 1e-2, 1e-3):
        rough = solve_smooth(replace(problem, concave=False), Options(gap=gap))
        found = judged(problem, rough)
        assert found.optimality.gap >= best.objective - rough.objective - 1e-9
        assert found.optimality.gap == pytest.approx(
            rough.certificate.gap * rough.yardstick, rel=1e-6, abs=1e-9
        )


def test_every_wrong_answer_is_named(concave_problem):
    problem = concave_problem(1)
    right = solve_smooth(problem, TIGHT)
    x, budgets, rows = right.x, right.budget_prices, right.row_prices
    binding = int(budgets.argmax())
    slack = int((problem.linear.budgets[0].limit - problem.linear.budgets[0].sums(x)).argmax())

    def failures(x=x, budgets=budgets, rows=rows):
        return " ".join(check_point(problem, x, budgets, rows).failures(1e-8, 1e-6))

    def put(values, at, value):
        changed = values.clone()
        changed[at] = value
        return changed

    assert failures() == ""
    assert "bounds broken" in failures(x=put(x, 3, -1e-3))
    assert "budget 0 broken" in failures(x=1.3 * x)
    assert "row" in failures(x=0.5 * x)
    assert "gap" in failures(x=0.9 * x + 0.1 * x.flip(0))
    assert "wrong sign" in failures(budgets=put(budgets, binding, -float(budgets[binding])))
    floors = torch.nonzero(problem.rows.sign < 0).flatten()
    assert "wrong sign" in failures(rows=put(rows, floors, 1.0))
    assert "gap" in failures(budgets=put(budgets, binding, 2.0 * float(budgets[binding])))
    assert "gap" in failures(budgets=put(budgets, slack, float(budgets[slack]) + 1.0))
    assert "gap" in failures(budgets=0.0 * budgets, rows=0.0 * rows)


def test_broken_ramp_is_named_and_limits_alone_ask_for_no_prices(concave_problem):
    problem = ramped(concave_problem(0), (2,))
    x = 0.0 * problem.linear.lower
    assert check_point(problem, x).failures() == ()
    x[4] = 0.4
    found = check_point(problem, x)
    assert found.optimality is None
    beyond = 0.1 / float(problem.linear.scale().min())
    assert found.ramps == pytest.approx(beyond)
    assert found.failures() == (f"ramps broken by {beyond:.1e}",)
    assert found.violation == found.linear == problem.linear.worst_violation(x)
