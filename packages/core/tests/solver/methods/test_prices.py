"""Prices of limits, against solving again."""

from dataclasses import replace

import pytest

from dagcast_core.decide import LinearSet, Options, solve_smooth

TIGHT = Options(gap=3e-7, violation=1e-9)


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
