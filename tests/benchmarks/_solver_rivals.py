"""What other methods reach on the benchmark problem in 1,000 passes.

Each rival gets the gradients of the same model and the metric, projection or multiplier update that
its authors give it. A pass is one forward and one backward call; scipy's methods are given the
whole Jacobian for the price of one backward call, which flatters them.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from _benchmark_problem import benchmark_problem, make_market
from _harness import Row
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint, minimize
from torch import Tensor

from dagcast_core.decide import Options, SmoothProblem, Solution, project, solve_smooth
from dagcast_core.solver import Checked, check_point

PASSES = 1000


@dataclass
class Best:
    """The best point that a rival has seen: feasible to 1e-6 first, then by objective."""

    objective: float = -float("inf")
    violation: float = float("inf")
    at: int = 0

    def see(self, point: Checked, used: int) -> None:
        objective, violation = point.objective, point.violation
        kept, known = violation <= 1e-6, self.violation <= 1e-6
        better = (
            objective > self.objective if kept == known and kept else violation < self.violation
        )
        if (kept and not known) or (kept == known and better):
            self.objective, self.violation, self.at = objective, violation, used


def rows() -> list[Row]:
    """One row per rival; none is judged."""
    out = []
    a = benchmark_problem(make_market(3, 10, 168, 1), "A", 1)
    best = solve_smooth(a, Options(gap=1e-8, iterations=120))
    for name, method in (("Adam, projected", adam_projected), ("SPG, Euclidean", spg)):
        out.append(_row(f"A 5k: {name}", method, a, best))
    b = benchmark_problem(make_market(3, 10, 168, 1), "B", 1)
    best = solve_smooth(b, Options(gap=1e-8, violation=1e-10, iterations=120))
    for name, method in (
        ("Adam with penalties, projected", adam_with_penalties),
        ("augmented Lagrangian + SPG", augmented_lagrangian),
    ):
        out.append(_row(f"B 5k: {name}", method, b, best))
    for method, regions, hours in (("SLSQP", 5, 48), ("trust-constr", 4, 24)):
        small = benchmark_problem(make_market(2, regions, hours, 1), "B", 1)
        best = solve_smooth(small, Options(gap=1e-8, violation=1e-10, iterations=120))
        out.append(
            _row(
                f"B {small.linear.size}: {method}",
                lambda problem, passes, method=method: by_scipy(problem, method, passes),
                small,
                best,
            )
        )
    return out


def _row(name, method, problem: SmoothProblem, best: Solution) -> Row:
    begun = time.process_time()
    found = method(problem, PASSES)
    seconds = time.process_time() - begun
    gap = (best.objective - found.objective) / best.yardstick
    text = f"gap {gap:.1e}, violation {found.violation:.1e} after {found.at} ({seconds:.0f} s CPU)"
    return Row(f"rival on {name}", "-", text, None)


class _Scaled:
    """F = -objective / sigma and relative rows c <= 0, with gradients."""

    def __init__(self, problem: SmoothProblem) -> None:
        self.problem = problem
        self.rows = problem.rows
        self.used = 0
        self.best = Best()
        self.sigma = 1.0
        _, g, _, _ = self.at(0.1 * problem.linear.reach(), None)
        self.sigma = float((g.abs() * problem.linear.reach()).sum())
        self.used, self.best = 0, Best()

    def at(self, x: Tensor, penalty) -> tuple[float, Tensor, Tensor, float]:
        """Value and gradient of F plus a penalty on the rows, the rows, and F."""
        leaf = x.clone().requires_grad_(True)
        objective, outcomes = self.problem.evaluate(leaf)
        c = self.rows.excess(outcomes)
        f = -objective / self.sigma
        value = f if penalty is None or not c.numel() else f + penalty(c)
        (gradient,) = torch.autograd.grad(value, leaf)
        self.used += 1
        self.best.see(check_point(self.problem, x, values=(objective, outcomes)), self.used)
        return float(value.detach()), gradient, c.detach(), float(f.detach())


def adam_projected(problem: SmoothProblem, passes: int, penalty=None) -> Best:
    """Adam in units of each cell's reach, every step projected in the Euclidean metric."""
    scaled = _Scaled(problem)
    size = problem.linear.reach()
    ones = torch.ones_like(size)
    x = project(0.1 * size, ones, problem.linear).x
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for step in range(1, passes + 1):
        _, gradient, _, _ = scaled.at(x, penalty)
        gradient = -gradient * size
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        move = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-12)
        x = project(x + 0.01 * size * move, ones, problem.linear).x
    return scaled.best


def adam_with_penalties(problem: SmoothProblem, passes: int) -> Best:
    """As `adam_projected` with a squared penalty; the best of three weights."""
    found = [
        adam_projected(problem, passes, lambda c, w=weight: w * (c.clamp(min=0) ** 2).sum())
        for weight in (1.0, 30.0, 1000.0)
    ]
    return min(found, key=lambda best: (best.violation > 1e-6, best.violation, -best.objective))


def spg(problem: SmoothProblem, passes: int) -> Best:
    """Euclidean spectral projected gradient with a non-monotone search over ten steps."""
    scaled = _Scaled(problem)
    ones = torch.ones_like(problem.linear.lower)
    x = project(0.1 * problem.linear.reach(), ones, problem.linear).x
    f, g, _, _ = scaled.at(x, None)
    length = 0.1 * float(problem.linear.reach().norm() / g.norm())
    past = [f]
    while scaled.used < passes:
        step = project(x - length * g, ones, problem.linear).x - x
        slope, share = float((g * step).sum()), 1.0
        while True:
            f_new, g_new, _, _ = scaled.at(x + share * step, None)
            enough = f_new <= max(past[-10:]) + 1e-4 * share * slope
            if enough or scaled.used >= passes or share < 1e-6:
                break
            share *= 0.5
        s, y = share * step, g_new - g
        x, f, g = x + s, f_new, g_new
        past.append(f)
        curvature = float((s * y).sum())
        length = float((s * s).sum()) / curvature if curvature > 0 else 2.0 * length
    return scaled.best


def augmented_lagrangian(problem: SmoothProblem, passes: int) -> Best:
    """Augmented Lagrangian; inside, projected gradients with an element-wise secant metric."""
    scaled = _Scaled(problem)
    size = problem.linear.reach()
    x = project(0.1 * size, 1.0 / size**2, problem.linear).x
    y = torch.zeros_like(problem.rows.limit)
    weight, last, tolerance = 10.0, float("inf"), 1e-3
    while scaled.used < passes:

        def penalty(c: Tensor, y: Tensor = y, weight: float = weight) -> Tensor:
            return ((y + weight * c).clamp(min=0) ** 2).sum() / (2 * weight)

        f, g, c, _ = scaled.at(x, penalty)
        metric = (g.abs() / size).clamp(min=float((g.abs() / size).median()) * 1e-3) * 2.0
        past, boost = [f], 1.0
        while scaled.used < passes:
            step = project(x - g / (metric * boost), metric * boost, problem.linear).x - x
            slope = float((g * step).sum())
            if -slope <= tolerance * 1e-3:
                break
            f_new, g_new, c_new, _ = scaled.at(x + step, penalty)
            if f_new > max(past[-10:]) + 1e-4 * slope:
                boost *= 3.0
                if boost > 1e12:
                    break
                continue
            ratio = (g_new - g) / torch.where(step.abs() > 1e-9 * size, step, torch.ones_like(step))
            inside = torch.maximum(torch.minimum(ratio, 4 * metric), metric / 4)
            metric = torch.where(step.abs() > 1e-9 * size, torch.sqrt(metric * inside), metric)
            x, f, g, c = x + step, f_new, g_new, c_new
            boost = max(1.0, boost / 2)
            past.append(f)
        worst = float(torch.maximum(c, -y / weight).abs().max())
        y = (y + weight * c).clamp(min=0)
        if worst > 0.3 * last:
            weight *= 3.0
        last, tolerance = worst, max(tolerance * 0.3, 1e-9)
    return scaled.best


def by_scipy(problem: SmoothProblem, method: str, passes: int) -> Best:
    """SLSQP or trust-constr in units of each cell's reach, all rows at once."""
    rows, linear = problem.rows, problem.linear
    size = linear.reach().numpy()
    best = Best()
    used = 0

    class Enough(Exception):
        pass

    cache: dict[bytes, tuple[float, np.ndarray, np.ndarray, np.ndarray]] = {}

    def at(u: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        nonlocal used
        key = u.tobytes()
        if key in cache:
            return cache[key]
        used += 1
        if used > passes:
            raise Enough
        leaf = torch.tensor(u * size, requires_grad=True)
        objective, outcomes = problem.evaluate(leaf)
        c = rows.excess(outcomes)
        (g,) = torch.autograd.grad(objective, leaf, retain_graph=True)
        jac = [torch.autograd.grad(item, leaf, retain_graph=True)[0] for item in c]
        best.see(check_point(problem, leaf.detach(), values=(objective, outcomes)), used)
        cache.clear()
        cache[key] = (
            float(objective.detach()),
            g.numpy() * size,
            c.detach().numpy(),
            torch.stack(jac).numpy() * size,
        )
        return cache[key]

    start = np.full(linear.size, 0.05)
    scale = abs(at(start)[0])
    budgets = []
    for layer in linear.budgets:
        for k in range(layer.limit.numel()):
            weight = ((layer.group == k) * layer.coefficient / layer.limit[k]).numpy() * size
            budgets.append(weight)
    table = np.stack(budgets)
    if method == "SLSQP":
        keep: object = [
            {"type": "ineq", "fun": lambda u: -at(u)[2], "jac": lambda u: -at(u)[3]},
            {"type": "ineq", "fun": lambda u: 1.0 - table @ u, "jac": lambda u: -table},
        ]
    else:
        keep = [
            NonlinearConstraint(lambda u: at(u)[2], -np.inf, 0.0, jac=lambda u: at(u)[3]),
            LinearConstraint(table, -np.inf, 1.0),
        ]
    options: dict[str, float] = {"maxiter": 10 * passes}
    options |= {"ftol": 1e-14} if method == "SLSQP" else {"gtol": 1e-10, "xtol": 1e-12}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(Enough):
            minimize(
                lambda u: (-at(u)[0] / scale, -at(u)[1] / scale),
                start,
                jac=True,
                method=method,
                bounds=Bounds(np.zeros(linear.size), np.ones(linear.size), keep_feasible=False),
                constraints=keep,
                options=options,
            )
    return best
