"""What must be true of every answer: bounds, prices, units, labels, agreement with an oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from _benchmark_problem import benchmark_problem, make_market
from _harness import Row, limit
from _solver_rivals import by_scipy
from torch import Tensor

from dagcast_core.decide import (
    LinearSet,
    Options,
    RowFamily,
    SmoothProblem,
    Solution,
    WarmStart,
    solve_smooth,
)
from dagcast_core.solver import Counter, check_point, solve_globally
from dagcast_core.solver.search._globally import plain_starts, tabulated_start

TIGHT = Options(gap=1e-9, violation=1e-10, iterations=150)


def rows(quick: bool) -> list[Row]:
    """All of them."""
    return [
        bound_is_true(1 if quick else 3),
        *prices(1 if quick else 2),
        units(1 if quick else 2),
        labels(1 if quick else 2),
        slsqp(1 if quick else 4),
        *not_concave(((1.5, 1),) if quick else ((1.5, 1), (1.5, 2), (2.0, 1), (2.0, 2))),
    ]


def bound_is_true(seeds: int) -> Row:
    """Largest true gap per reported bound, over runs stopped after every iteration."""
    worst, runs = 0.0, 0
    for seed in range(seeds):
        market = make_market(3, 5, 48, 70 + seed)
        for case in ("A", "B", "C"):
            problem = benchmark_problem(market, case, seed)
            best = solve_smooth(problem, TIGHT)
            for stop in range(1, 15):
                rough = solve_smooth(problem, Options(gap=1e-9, iterations=stop))
                found = check_point(problem, rough.x, rough.budget_prices, rough.row_prices)
                # A point that breaks limits may lie above the optimum: its gap is no gap.
                if found.violation > 1e-6:
                    continue
                true = (best.objective - found.objective) / rough.yardstick
                # Below it rounding of the objective is larger than the gap.
                if true > 1e-9:
                    worst = max(worst, true / rough.certificate.gap)
                    runs += 1
    return limit(f"true gap / its bound, worst of {runs} stopped runs", worst, at_most=1.0)


def prices(seeds: int) -> list[Row]:
    """Shadow prices against solving again with limits moved by 1e-4 of their size."""
    worst = {"budgets": 0.0, "outcome limits": 0.0}
    checked = {"budgets": 0, "outcome limits": 0}
    wrong = 0
    for seed in range(seeds):
        problem = benchmark_problem(make_market(3, 10, 48, 40 + seed), "B", seed)
        best = solve_smooth(problem, TIGHT)
        for kind, price, moved in _moves(problem, best):
            up, down = (solve_smooth(moved(s), TIGHT, warm=best.warm) for s in (1e-4, -1e-4))
            slope = (up.objective - down.objective) / 2e-4
            # Prices are compared per relative change of the limit; what moves the objective by less
            # than the solver resolves has no sign.
            if abs(price) * 1e-4 < 1e-7 * best.lift:
                continue
            checked[kind] += 1
            wrong += price * slope <= 0
            worst[kind] = max(worst[kind], abs(slope - price) / abs(price))
    out = [
        limit(f"shadow prices of {checked[kind]} {kind}, relative error", worst[kind], at_most=most)
        for kind, most in (("budgets", 1e-3), ("outcome limits", 3e-3))
    ]
    total = sum(checked.values())
    out.append(Row(f"shadow prices of {total} limits, wrong signs", "0", f"{wrong}", wrong == 0))
    return out


def _moves(problem: SmoothProblem, best: Solution) -> Iterator[tuple]:
    """Kind, price per relative change, and the problem after one: for every limit with a price."""
    offset = 0
    for k, layer in enumerate(problem.linear.budgets):
        for row in range(layer.limit.numel()):
            price = float(best.budget_prices[offset + row] * layer.limit[row])
            if price > 0:
                yield "budgets", price, lambda s, k=k, r=row: _moved(problem, k, r, s)
        offset += layer.limit.numel()
    for row in range(problem.rows.limit.numel()):
        price = float(best.row_prices[row] * problem.rows.limit[row])
        if price != 0:
            yield "outcome limits", price, lambda s, r=row: _moved(problem, None, r, s)


def _moved(problem: SmoothProblem, layer: int | None, row: int, share: float) -> SmoothProblem:
    if layer is None:
        changed = problem.rows.limit.clone()
        changed[row] *= 1 + share
        return replace(problem, rows=replace(problem.rows, limit=changed))
    budgets = list(problem.linear.budgets)
    changed = budgets[layer].limit.clone()
    changed[row] *= 1 + share
    budgets[layer] = replace(budgets[layer], limit=changed)
    return replace(problem, linear=replace(problem.linear, budgets=tuple(budgets)))


def units(seeds: int) -> Row:
    """Largest difference of a cell, per its typical size, when money is in another unit."""
    worst = 0.0
    for seed in range(seeds):
        for case in ("B", "C"):
            problem = benchmark_problem(make_market(3, 5, 48, 20 + seed), case, seed)
            plain = solve_smooth(problem, TIGHT)
            size = problem.linear.scale()
            for unit in (1e-6, 3e-3, 700.0, 1e7):
                other = solve_smooth(in_unit(problem, unit), TIGHT)
                worst = max(worst, float(((other.x / unit - plain.x) / size).abs().max()))
    return limit("plan when money is in units of 1e-6 to 1e7", worst, at_most=1e-6)


def in_unit(problem: SmoothProblem, unit: float) -> SmoothProblem:
    """The same problem with decisions and money outcomes multiplied by ``unit``."""
    linear, given = problem.linear, problem.rows
    money = torch.ones_like(given.limit)
    money[-1] = unit  # profit
    budgets = tuple(replace(layer, limit=layer.limit * unit) for layer in linear.budgets)
    chains = linear.chains
    if chains is not None:
        chains = replace(chains, limit=chains.limit * unit)

    def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
        objective, outcomes = problem.evaluate(x / unit)
        return objective, outcomes * money

    return replace(
        problem,
        evaluate=evaluate,
        linear=LinearSet(linear.lower * unit, linear.upper * unit, budgets, chains),
        rows=replace(given, limit=given.limit * money, scale=given.scale * money),
    )


def labels(seeds: int) -> Row:
    """Largest difference of a cell, per its typical size, when labels come in another order."""
    worst = 0.0
    for seed in range(seeds):
        for case in ("B", "C"):
            problem = benchmark_problem(make_market(3, 5, 48, 30 + seed), case, seed)
            plain = solve_smooth(problem, TIGHT)
            order = torch.randperm(
                problem.linear.size, generator=torch.Generator().manual_seed(seed)
            )
            other = solve_smooth(in_order(problem, order), TIGHT)
            size = problem.linear.scale()[order]
            worst = max(worst, float(((other.x - plain.x[order]) / size).abs().max()))
    return limit("plan when labels are permuted", worst, at_most=1e-6)


def in_order(problem: SmoothProblem, order: Tensor) -> SmoothProblem:
    """The same problem with cell ``order[i]`` in place i."""
    linear = problem.linear
    back = torch.argsort(order)
    budgets = tuple(
        replace(layer, group=layer.group[order], coefficient=layer.coefficient[order])
        for layer in linear.budgets
    )
    chains = linear.chains
    if chains is not None:
        chains = replace(
            chains, order=torch.where(chains.order >= 0, back[chains.order.clamp(min=0)], -1)
        )
    families = tuple(
        RowFamily(family.rows, family.group[order]) for family in problem.rows.families
    )
    assert problem.probes is not None
    return replace(
        problem,
        evaluate=lambda x: problem.evaluate(x[back]),
        linear=LinearSet(linear.lower[order], linear.upper[order], budgets, chains),
        rows=replace(problem.rows, families=families),
        probes=problem.probes[:, order],
    )


def slsqp(seeds: int) -> Row:
    """Largest relative difference of the objective from scipy's SLSQP, n <= 100."""
    worst = 0.0
    for seed in range(seeds):
        problem = benchmark_problem(make_market(2, 2, 24, 10 + seed), "B", seed)
        ours = solve_smooth(problem, TIGHT)
        oracle = by_scipy(problem, "SLSQP", 3000)
        if oracle.violation > 1e-6:
            return Row("SLSQP", "<= 1e-6", f"seed {seed}: the oracle found no point", False)
        worst = max(worst, abs(ours.objective - oracle.objective) / abs(oracle.objective))
    return limit(f"objective against SLSQP, 96 cells, {seeds} seeds", worst, at_most=1e-6)


def not_concave(drawn: tuple[tuple[float, int], ...]) -> list[Row]:
    """S-shaped responses: what few starts lose against 50 of every kind that we know."""
    out = []
    for exponent, seed in drawn:
        problem = benchmark_problem(make_market(3, 10, 168, seed, exponent=exponent), "B", seed)
        options = Options(gap=1e-4, iterations=60)
        ours = solve_globally(problem, options, starts=2)
        best = ours.solution
        for point in _many_starts(problem, ours.solution, 50):
            other = solve_smooth(replace(problem, concave=False), options, WarmStart(point))
            if check_point(problem, other.x).violation > 1e-6:
                continue
            if other.objective > best.objective:
                best = other
        lost = (best.objective - ours.solution.objective) / best.lift
        passes = ours.counter.passes
        case = f"S-shaped (exponent {exponent:g}) B 5k seed {seed}"
        kept = check_point(problem, ours.solution.x).violation <= 1e-6
        held = lost <= 4e-3 and passes <= 200 and kept
        out.append(
            Row(
                f"{case}: lost against 50 starts",
                "<= 0.4 % of the lift in 200 passes",
                f"{100 * lost:.2f} % in {passes:.0f}",
                held,
            )
        )
    return out


def _many_starts(problem: SmoothProblem, known: Solution, count: int) -> Iterator[Tensor]:
    """Plain starts, then the table's and the known plan's neighbourhoods, then sparse ones."""
    reach = problem.linear.reach()
    table = tabulated_start(problem, known, Counter())
    g = torch.Generator().manual_seed(99)
    yield from plain_starts(problem.linear, 12, 5)
    for k in range(count - 12):
        noise = torch.randn(reach.shape, generator=g, dtype=reach.dtype)
        draw = torch.rand(reach.shape, generator=g, dtype=reach.dtype)
        if k % 4 == 0:
            yield torch.minimum(table * torch.exp(0.4 * noise), reach)
        elif k % 4 == 1:
            yield torch.where(draw < 0.1, 0.15 * reach, table)
        elif k % 4 == 2:
            yield torch.minimum(known.x * torch.exp(0.3 * noise) + 0.02 * draw * reach, reach)
        else:
            yield torch.where(draw < 0.15 + 0.01 * k, 0.3 * reach, torch.zeros_like(reach))
