"""Runs that are ended before they converge."""

from dataclasses import replace

from dagcast_core.decide import Options, solve_smooth

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
