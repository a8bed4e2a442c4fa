"""What an earlier solution saves."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Options, solve_smooth


def test_warm_start_needs_few_iterations(concave_problem):
    problem = concave_problem(6)
    cold = solve_smooth(problem, Options(gap=1e-6))
    warm = solve_smooth(problem, Options(gap=1e-6), warm=cold.warm)
    assert warm.iterations <= 3 < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, rel=1e-9)


def test_warm_start_with_rows_of_a_related_problem_needs_one_gradient_each_step(concave_problem):
    problem = concave_problem(6)
    cold = solve_smooth(problem, Options(gap=1e-6))
    assert cold.warm.jacobian is not None
    limit = problem.rows.limit.clone()
    limit[:3] *= 1.01
    related = replace(problem, rows=replace(problem.rows, limit=limit))
    warm = solve_smooth(related, Options(gap=1e-6), warm=cold.warm)
    again = solve_smooth(related, Options(gap=1e-6))
    assert warm.trace[0].backward == 1
    assert warm.counter.backward < again.counter.backward
    assert warm.objective == pytest.approx(again.objective, rel=1e-8)
