"""The solver on flat problems: optimality, certificate, invariances, prices, interruption."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, NonlinearConstraint, minimize

from dagcast_core.decide import LinearSet, Options, RowLayer, SmoothProblem, WarmStart, solve_smooth
from dagcast_core.solver import solve_globally
from dagcast_core.solver.methods.sqp._curvature import secant_update
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


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e4, 1e7])
def test_unit_of_money_does_not_matter(concave_problem, scale):
    plain = solve_smooth(concave_problem(2), TIGHT)
    scaled = solve_smooth(concave_problem(2, scale=scale), TIGHT)
    assert scaled.status == plain.status == "optimal"
    torch.testing.assert_close(scaled.x / scale, plain.x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        scaled.budget_prices * scale, plain.budget_prices, rtol=1e-5, atol=1e-7
    )


def test_order_of_cells_does_not_matter(concave_problem):
    plain = solve_smooth(concave_problem(4), TIGHT)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    permuted = solve_smooth(concave_problem(4, order=order), TIGHT)
    torch.testing.assert_close(permuted.x, plain.x[order], rtol=0, atol=1e-6)


def test_same_bits_for_the_same_seed(concave_problem):
    first = solve_smooth(concave_problem(3), TIGHT)
    second = solve_smooth(concave_problem(3), TIGHT)
    assert torch.equal(first.x, second.x)


def moved(problem, layer=None, row=None, amount=0.0):
    """The problem with one limit moved."""
    if row is not None:
        limit = problem.rows.limit.clone()
        limit[row] += amount
        return replace(problem, rows=replace(problem.rows, limit=limit))
    budgets = list(problem.linear.budgets)
    limit = budgets[layer].limit.clone()
    limit[0] += amount
    budgets[layer] = replace(budgets[layer], limit=limit)
    linear = problem.linear
    return replace(
        problem, linear=LinearSet(linear.lower, linear.upper, tuple(budgets), linear.chains)
    )


@pytest.mark.parametrize("seed", range(3))
def test_shadow_prices_agree_with_solving_again(concave_problem, seed):
    problem = concave_problem(seed)
    solution = solve_smooth(problem, TIGHT)
    checked = 0
    for row in range(solution.row_prices.numel()):
        price = float(solution.row_prices[row])
        amount = 1e-4 * float(problem.rows.limit[row].abs())
        up = solve_smooth(moved(problem, row=row, amount=amount), TIGHT).objective
        down = solve_smooth(moved(problem, row=row, amount=-amount), TIGHT).objective
        slope = (up - down) / (2 * amount)
        assert slope == pytest.approx(price, rel=3e-3, abs=2e-4)
        checked += price != 0
    for layer in range(2):
        price = float(solution.budget_prices[0 if layer == 0 else -1])
        amount = 1e-4 * float(problem.linear.budgets[layer].limit[0])
        up = solve_smooth(moved(problem, layer=layer, amount=amount), TIGHT).objective
        down = solve_smooth(moved(problem, layer=layer, amount=-amount), TIGHT).objective
        assert (up - down) / (2 * amount) == pytest.approx(price, rel=1e-3, abs=1e-5)
        checked += price != 0
    assert checked >= 1


def test_floor_has_a_negative_price_and_cap_a_positive_one(concave_problem):
    problem = concave_problem(0)
    at = solve_smooth(problem, TIGHT).outcomes
    tight = problem.rows.limit.clone()
    tight[0] = 0.97 * at[0]
    solution = solve_smooth(replace(problem, rows=replace(problem.rows, limit=tight)), TIGHT)
    assert float(solution.row_prices[0]) > 0
    assert bool((solution.row_prices[problem.rows.sign < 0] <= 0).all())


def test_warm_start_needs_few_iterations(concave_problem):
    problem = concave_problem(6)
    cold = solve_smooth(problem, Options(gap=1e-6))
    warm = solve_smooth(problem, Options(gap=1e-6), warm=cold.warm)
    assert warm.iterations <= 3 < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, rel=1e-9)


def test_secants_alone_reach_the_same_optimum(concave_problem):
    problem = concave_problem(7)
    exact = solve_smooth(problem, TIGHT)
    secant = solve_smooth(problem, replace(TIGHT, curvature="secant"))
    assert secant.status == "optimal"
    assert secant.objective == pytest.approx(exact.objective, rel=1e-7)


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


def test_steps_that_leave_the_linear_set_are_not_called_feasible(concave_problem, monkeypatch):
    """A subproblem that is not solved must not end in a claim."""
    problem = concave_problem(2)
    solve = SeparableProgramme.solve

    def sloppy(self, *args, **kwargs):
        found = solve(self, *args, **kwargs)
        return replace(found, x=found.x * 1.5, residual=0.0)

    monkeypatch.setattr(SeparableProgramme, "solve", sloppy)
    assert solve_smooth(problem, TIGHT).status not in ("optimal", "feasible")


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


def test_curvature_is_extrapolated_along_a_step_and_bounded_by_its_length():
    size = torch.ones(3, dtype=torch.float64)
    metric = torch.full((3,), 2.0, dtype=torch.float64)
    # Exponential curvature along a step of a fifth of the size: D(x) = 2 exp(-x).
    step = torch.tensor([0.2, 1e-4, 0.0], dtype=torch.float64)
    change = 2.0 * (1.0 - torch.exp(-step))
    # The second cell hardly moves and is disturbed by a neighbour.
    change[1] = 50.0
    found = secant_update(metric, step, change, size)
    end = 2.0 * math.exp(-0.2)
    mean = float(change[0] / step[0])
    assert end < float(found[0]) < mean
    assert 2.0 < float(found[1]) < 2.2
    assert float(found[2]) == 2.0
