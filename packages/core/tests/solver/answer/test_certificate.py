"""The bound of the gap."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Options, solve_smooth

TIGHT = Options(gap=3e-7, violation=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_bound_of_the_gap_is_never_below_the_true_gap(concave_problem, seed):
    problem = concave_problem(seed)
    best = solve_smooth(problem, TIGHT)
    for gap in (1e-1, 1e-2, 1e-3):
        rough = solve_smooth(replace(problem, concave=False), Options(gap=gap))
        true_gap = (best.objective - rough.objective) / rough.yardstick
        assert rough.certificate.gap >= true_gap - 1e-9


def test_bound_of_a_bad_point_is_large(concave_problem):
    problem = concave_problem(1)
    stopped = solve_smooth(problem, Options(iterations=1))
    best = solve_smooth(problem, TIGHT)
    true_gap = (best.objective - stopped.objective) / stopped.yardstick
    assert true_gap > 0.01
    assert stopped.certificate.gap >= true_gap
    assert stopped.status != "optimal"
