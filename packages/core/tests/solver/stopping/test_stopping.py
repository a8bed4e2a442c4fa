"""Runs that are ended before they converge."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Options, solve_smooth
from dagcast_core.solver import Patience, Stopping, method_named

TIGHT = Options(gap=3e-7, violation=1e-9)


def test_interrupt_returns_the_best_feasible_point(concave_problem):
    problem = concave_problem(8)
    calls = 0

    def evaluate(x):
        nonlocal calls
        calls += 1
        if calls > 9:
            raise KeyboardInterrupt
        return problem.evaluate(x)

    # Once interrupted, the last evaluation that reports the point must succeed.
    def once(x):
        try:
            return evaluate(x)
        except KeyboardInterrupt:
            if calls > 10:
                return problem.evaluate(x)
            raise

    stopped = solve_smooth(replace(problem, evaluate=once), TIGHT)
    assert stopped.status == "interrupted"
    assert problem.linear.worst_violation(stopped.x) < 1e-9
    assert stopped.objective > 0


def test_time_limit_returns_a_point_with_its_status(concave_problem):
    stopped = solve_smooth(concave_problem(9), Options(time_limit=1e-9, gap=1e-12))
    assert stopped.status == "interrupted"
    assert "time limit" in stopped.message
    assert stopped.iterations == 1


class At:
    """A rule that ends a run after so many iterations."""

    def __init__(self, iteration):
        self.iteration = iteration

    def reason(self, state):
        return f"seen {state.iteration}" if state.iteration == self.iteration else None


@pytest.mark.parametrize("name", ["separable", "slsqp"])
def test_a_rule_ends_a_run_of_any_method_with_its_reason(concave_problem, name):
    told = []
    stopping = Stopping(told.append, (At(3), At(2)))
    stopped = method_named(name).solve(concave_problem(4), TIGHT, None, stopping)
    assert (stopped.status, stopped.message) == ("interrupted", "seen 2")
    assert [state.iteration for state in told] == [1, 2]


def test_patience_ends_a_run_whose_measure_no_longer_falls(concave_problem):
    never = Patience(lambda state: 1.0 / state.iteration, 0.05, 3)
    patient = solve_smooth(concave_problem(4), TIGHT, rules=(never,))
    assert patient.status == "optimal"
    assert not never.ended
    soon = Patience(lambda state: 1.0, 0.05, 3)
    stopped = solve_smooth(concave_problem(4), TIGHT, rules=(soon,))
    assert soon.ended
    assert (stopped.status, len(stopped.trace)) == ("interrupted", 4)
    enough = Patience(lambda state: 1.0, 0.05, 3, until=1.0)
    assert solve_smooth(concave_problem(4), TIGHT, rules=(enough,)).status == "optimal"
