"""How many model calls the decision solver needs, against certified optima and other methods.

    python tests/benchmarks/bench_solver.py            sizes up to 50k cells
    python tests/benchmarks/bench_solver.py --full     504k cells too
    python tests/benchmarks/bench_solver.py --huge     case A at 5.04M cells too

Calls are counted at the first iterate whose gap and violation are small enough, all derivatives
at that iterate included. The gap is relative to the lift over zero spend and is measured against
a reference that is solved further, whose own gap is bounded by weak duality; the bound is added
to the measured gap. A Hessian-vector product counts as a backward call. The problem's parameters
are this repository's own, so counts compare with other benchmarks only roughly.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from dagcast_core.decide import Options, SmoothProblem, Solution, solve_smooth

sys.path.insert(0, str(Path(__file__).parent))

from _benchmark_problem import benchmark_problem, make_market
from _harness import Row, report

from dagcast_core.decide import project

REFERENCE = Options(gap=1e-8, violation=1e-10, iterations=120)
TRACED = Options(gap=2e-8, violation=1e-7, iterations=120)


@dataclass(frozen=True)
class Reach:
    """Calls until a gap and a violation were reached, or None."""

    forward: int
    backward: int
    seconds: float

    @property
    def passes(self) -> float:
        return 0.35 * self.forward + 0.65 * self.backward


def reach(solution: Solution, best: Solution, gap: float, violation: float) -> Reach | None:
    """First iterate within ``gap`` of the certified optimum and ``violation`` of the limits."""
    doubt = best.certificate.gap
    for at in solution.trace:
        distance = abs(best.objective - at.objective) / best.yardstick
        if distance + doubt <= gap and at.violation <= violation:
            return Reach(at.forward, at.backward, at.seconds)
    return None


def calls_row(case: str, found: Reach | None, forward: int, backward: int) -> Row:
    target = f"<= {forward}, {backward} calls"
    if found is None:
        return Row(case, target, "not reached", False)
    held = found.forward <= forward and found.backward <= backward
    return Row(case, target, f"{found.forward}, {found.backward} ({found.seconds:.1f} s)", held)


def passes_row(case: str, found: Reach | None, passes: float) -> Row:
    target = f"<= {passes:g} passes"
    if found is None:
        return Row(case, target, "not reached", False)
    return Row(case, target, f"{found.passes:.1f} ({found.seconds:.1f} s)", found.passes <= passes)


def certified(problem: SmoothProblem) -> Solution:
    best = solve_smooth(problem, REFERENCE)
    if best.certificate.gap > 1e-6:
        print(f"reference only certified to {best.certificate.gap:.1e}", file=sys.stderr)
    return best


def cases(regions: int, seeds: tuple[int, ...]) -> list[Row]:
    """A, B and C at one size."""
    rows = []
    for seed in seeds:
        market = make_market(3, regions, 168, seed)
        size = f"{market.cells / 1000:.0f}k seed {seed}"
        for case in ("A", "B", "C"):
            problem = benchmark_problem(market, case, seed)
            best = certified(problem)
            run = solve_smooth(problem, TRACED)
            if case == "A":
                rows.append(passes_row(f"A {size} 1e-6", reach(run, best, 1e-6, 1e-6), 25))
                worst = problem.linear.worst_violation(run.x)
                rows.append(Row(f"A {size} budgets", "<= 1e-12", f"{worst:.1e}", worst <= 1e-12))
                continue
            rows.append(calls_row(f"{case} {size} 1e-4", reach(run, best, 1e-4, 1e-6), 18, 24))
            if case == "B":
                rows.append(passes_row(f"B {size} 1e-6", reach(run, best, 1e-6, 1e-6), 28))
    return rows


def variants(regions: int, seed: int) -> list[Row]:
    """Coupled, without Hessian-vector products, and warm-started."""
    rows = []
    coupled = benchmark_problem(make_market(3, regions, 168, seed, leak=0.3), "B", seed)
    coupled = replace(coupled, concave=True)
    run = solve_smooth(coupled, TRACED)
    found = reach(run, certified(coupled), 1e-4, 1e-6)
    rows.append(calls_row("B coupled 0.3, 1e-4", found, 18, 36))
    plain = benchmark_problem(make_market(3, regions, 168, seed), "B", seed)
    best = certified(plain)
    secant = solve_smooth(plain, replace(TRACED, curvature="secant"))
    rows.append(calls_row("B by secants, 1e-4", reach(secant, best, 1e-4, 1e-6), 40, 42))
    drifted = benchmark_problem(
        make_market(3, regions, 168, seed, drift=0.03), "B", seed, limits_from=plain
    )
    moved = solve_smooth(drifted, TRACED, warm=best.warm)
    if moved.status == "infeasible":
        rows.append(
            Row("B warm after 3 % drift", "<= 4, 7 calls", "drift made it infeasible", None)
        )
    else:
        found = reach(moved, certified(drifted), 1e-4, 1e-6)
        rows.append(calls_row("B warm after 3 % drift, 1e-4", found, 4, 7))
    return rows


def fresh(count: int) -> Row:
    """Instances of many seeds and sizes, each to 1e-6 / 1e-6."""
    failures = []
    for seed in range(count):
        regions = (3, 10, 20)[seed % 3]
        market = make_market(2 + seed % 2, regions, 168 if seed % 4 else 48, 500 + seed)
        for case in ("B", "C"):
            found = solve_smooth(
                benchmark_problem(market, case, seed), Options(gap=1e-6, iterations=200)
            )
            if found.violation > 1e-6 or found.certificate.gap > 1e-5:
                failures.append(f"{case}/{seed}")
    text = f"{len(failures)} of {2 * count}" + (f": {', '.join(failures[:4])}" if failures else "")
    return Row("B and C on fresh seeds", "0 failures", text, not failures)


def adam_projected(problem: SmoothProblem, passes: int) -> float:
    """Adam steps, each projected in the Euclidean metric; returns the best objective reached."""
    x = 0.1 * problem.linear.reach()
    scale = problem.linear.reach()
    ones = torch.ones_like(x)
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    best = -float("inf")
    for step in range(1, passes + 1):
        leaf = x.clone().requires_grad_(True)
        value = problem.evaluate(leaf)[0]
        best = max(best, float(value.detach()))
        (gradient,) = torch.autograd.grad(value, leaf)
        gradient = gradient * scale
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        move = (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)).sqrt() + 1e-12)
        x = project(x + 0.01 * scale * move, ones, problem.linear).x
    return best


def spg(problem: SmoothProblem, passes: int) -> float:
    """Euclidean spectral projected gradient with a non-monotone search over ten steps."""
    ones = torch.ones_like(problem.linear.lower)
    x = project(0.1 * problem.linear.reach(), ones, problem.linear).x

    def value(point: Tensor) -> tuple[float, Tensor]:
        leaf = point.clone().requires_grad_(True)
        objective = problem.evaluate(leaf)[0]
        (gradient,) = torch.autograd.grad(objective, leaf)
        return -float(objective.detach()), -gradient

    f, g = value(x)
    length = 0.1 * float(problem.linear.reach().norm() / g.norm())
    past, used = [f], 1
    while used < passes:
        step = project(x - length * g, ones, problem.linear).x - x
        slope, share = float((g * step).sum()), 1.0
        while True:
            f_new, g_new = value(x + share * step)
            used += 1
            if f_new <= max(past[-10:]) + 1e-4 * share * slope or used >= passes or share < 1e-6:
                break
            share *= 0.5
        s, y = share * step, g_new - g
        x, f, g = x + s, f_new, g_new
        past.append(f)
        curvature = float((s * y).sum())
        length = float((s * s).sum()) / curvature if curvature > 0 else 2.0 * length
    return -min(past)


def by_scipy(problem: SmoothProblem, method: str, calls: int) -> tuple[float, int]:
    """A scipy method on all rows; returns the objective of a feasible end and the calls used."""
    rows, linear = problem.rows, problem.linear
    reach_ = linear.reach().numpy()
    used = 0

    def parts(u: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        nonlocal used
        used += 1
        leaf = torch.tensor(u * reach_, requires_grad=True)
        objective, outcomes = problem.evaluate(leaf)
        c = rows.sign * (outcomes - rows.limit) / rows.scale
        (g,) = torch.autograd.grad(objective, leaf, retain_graph=True)
        jac = [torch.autograd.grad(item, leaf, retain_graph=True)[0] for item in c]
        for layer in linear.budgets:
            spent = layer.sums(leaf.detach())
            c = torch.cat([c.detach(), spent / layer.limit - 1.0])
            jac += [
                (layer.group == k) * layer.coefficient / layer.limit[k]
                for k in range(layer.limit.numel())
            ]
        value = float(objective.detach())
        return value, g.numpy() * reach_, c.detach().numpy(), torch.stack(jac).numpy() * reach_

    cache: dict[bytes, tuple[float, np.ndarray, np.ndarray, np.ndarray]] = {}

    def at(u: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        key = u.tobytes()
        if key not in cache:
            cache.clear()
            cache[key] = parts(u)
        return cache[key]

    start = np.full(linear.size, 0.05)
    scale = abs(at(start)[0])
    if method == "SLSQP":
        keep = {"type": "ineq", "fun": lambda u: -at(u)[2], "jac": lambda u: -at(u)[3]}
    else:
        from scipy.optimize import NonlinearConstraint

        keep = NonlinearConstraint(lambda u: at(u)[2], -np.inf, 0.0, jac=lambda u: at(u)[3])
    found = minimize(
        lambda u: (-at(u)[0] / scale, -at(u)[1] / scale),
        start,
        jac=True,
        method=method,
        bounds=[(0.0, 1.0)] * linear.size,
        constraints=keep,
        options={"maxiter": calls} | ({"ftol": 1e-12} if method == "SLSQP" else {}),
    )
    value, _, c, _ = at(found.x)
    return (value if c.max() <= 1e-5 else float("nan")), used


def rivals() -> list[Row]:
    """What other methods reach: on A in 1,000 passes, on B where they fit."""
    problem = benchmark_problem(make_market(3, 10, 168, 1), "A", 1)
    best = certified(problem)
    rows = []
    for name, method in (("Adam, projected", adam_projected), ("SPG, Euclidean", spg)):
        gap = (best.objective - method(problem, 1000)) / best.yardstick
        rows.append(Row(f"rival on A 5k: {name}", "1,000 passes", f"gap {gap:.1e}", None))
    for method, regions, hours in (("SLSQP", 5, 24), ("trust-constr", 2, 24)):
        small = benchmark_problem(make_market(2, regions, hours, 1), "B", 1)
        best = certified(small)
        try:
            value, used = by_scipy(small, method, 60)
            text = f"gap {(best.objective - value) / best.yardstick:.1e}, {used} calls"
        except ValueError as error:
            text = f"fails: {error}"
        rows.append(Row(f"rival on B {small.linear.size}: {method}", "-", text, None))
    return rows


def huge() -> list[Row]:
    """Case A with five million cells."""
    problem = benchmark_problem(make_market(3, 10_000, 168, 1), "A", 1)
    begun = time.perf_counter()
    run = solve_smooth(replace(problem, concave=False), Options(gap=1e-7, iterations=60))
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    gap = run.certificate.gap
    return [
        Row("A 5.04M", "<= 25 passes", f"{run.counter.passes:.1f}", run.counter.passes <= 25),
        Row("A 5.04M wall", "<= 60 s", f"{seconds:.0f} s", seconds <= 60),
        Row("A 5.04M memory", "<= 6 GB", f"{memory:.1f} GB", memory <= 6),
        Row("A 5.04M certified gap", "-", f"{gap:.1e}", None),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="504k cells too")
    parser.add_argument("--huge", action="store_true", help="5.04M cells too")
    parser.add_argument("--quick", action="store_true", help="5k cells and few seeds only")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    # Compile before anything is timed.
    solve_smooth(benchmark_problem(make_market(1, 2, 48, 0), "B", 0))
    solve_smooth(benchmark_problem(make_market(1, 2, 48, 0), "C", 0))
    rows = cases(10, (1,) if chosen.quick else (1, 2))
    if not chosen.quick:
        rows += cases(100, (1, 2))
        rows += variants(99, 1)
    else:
        rows += variants(9, 1)
    if chosen.full:
        rows += cases(1000, (1,))
    if chosen.huge:
        rows += huge()
    rows.append(fresh(4 if chosen.quick else 20))
    rows += rivals()
    return report("decision solver", rows)


if __name__ == "__main__":
    sys.exit(main())
