"""Responses with a threshold: which cells are chosen."""

import torch

from dagcast_core.decide import LinearSet, Options, RowLayer, SmoothProblem, WarmStart, solve_smooth
from dagcast_core.solver import solve_globally


def threshold_problem(cells=40, limit=300.0):
    """S-shaped responses that differ in threshold and worth, under one budget.

    Returns:
        The problem, and its response by cell.
    """
    g = torch.Generator().manual_seed(3)
    worth = 1.0 + 4.0 * torch.rand(cells, generator=g, dtype=torch.float64)
    half = 5.0 + 30.0 * torch.rand(cells, generator=g, dtype=torch.float64)

    def response(x):
        power = (x / half + 1e-6) ** 3
        return worth * power / (power + 1.0)

    linear = LinearSet(
        torch.zeros(cells, dtype=torch.float64),
        torch.full((cells,), 60.0, dtype=torch.float64),
        (
            RowLayer(
                torch.zeros(cells, dtype=torch.int64),
                torch.ones(cells, dtype=torch.float64),
                torch.tensor([limit], dtype=torch.float64),
            ),
        ),
    )
    problem = SmoothProblem(lambda x: (response(x).sum(), x.new_zeros(0)), linear, concave=False)
    return problem, response


def test_budget_is_kept_from_a_start_where_the_response_is_flat():
    """From there the first price of the budget is off by ten orders of magnitude."""
    problem, _ = threshold_problem()
    found = solve_smooth(problem, warm=WarmStart(problem.linear.lower))
    assert found.status == "feasible"
    assert problem.linear.worst_violation(found.x) < 1e-9


def test_choice_of_cells_comes_near_the_bound_of_the_dual():
    """Of a separable problem the dual bounds every plan, also where it is not concave."""
    problem, response = threshold_problem(400, 3000.0)
    best = solve_globally(problem, Options(gap=1e-6), starts=3)
    grid = torch.linspace(0.0, 60.0, 1201, dtype=torch.float64)
    gain = torch.stack([response(torch.full((400,), float(level))) for level in grid])
    bound = min(
        float((gain - price * grid[:, None]).amax(0).sum()) + price * 3000.0
        for price in torch.linspace(0.01, 0.5, 400).tolist()
    )
    assert best.solution.violation <= 1e-6
    assert best.tried == 4
    assert bound - 0.004 * best.solution.lift <= best.solution.objective <= bound
    # The check can fail: a single start is much further off.
    alone = solve_smooth(problem, warm=WarmStart(problem.linear.upper))
    assert alone.objective < bound - 0.02 * best.solution.lift
