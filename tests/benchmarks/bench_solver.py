"""How many model calls the decision solver needs, against certified optima and other methods.

    python tests/benchmarks/bench_solver.py            every figure, 5k to 5.04M cells
    python tests/benchmarks/bench_solver.py --quick    5k cells and few seeds

Calls are counted at the first iterate whose gap and violation are small enough, all derivatives at
that iterate included; "to the stop" beside them is a run of its own with those tolerances, its
certificate included, and the evaluation at zero spend that only says when to stop. The gap is
relative to the lift over zero spend and is measured against the end of a run that goes on until
rounding stops it, whose own gap is bounded by weak duality; the bound is added to the measured gap.
A Hessian-vector product counts as a backward call, a forward call without derivatives as a forward
call. Times are CPU time of one thread, because others use the machine too. The problem's parameters
are this repository's own, so counts compare with other benchmarks only roughly.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

sys.path.insert(0, str(Path(__file__).parent))

import _solver_conflicts
import _solver_market
import _solver_rivals
import _solver_truths
from _benchmark_problem import benchmark_problem, make_market
from _harness import Row, limit, report

from dagcast_core.decide import Options, Progress, SmoothProblem, Solution, WarmStart, solve_smooth
from dagcast_core.solver import Counter, check_point
from dagcast_core.solver.problem._oracle import Oracle

TRACED = Options(gap=2e-8, violation=1e-7, iterations=120)
# Bytes of one decision-sized vector per cell.
_FLOAT = 8


@dataclass(frozen=True)
class Reach:
    """Calls and CPU seconds until a gap and a violation were reached."""

    forward: int
    backward: int
    seconds: float

    @property
    def passes(self) -> float:
        return 0.35 * self.forward + 0.65 * self.backward


@dataclass(frozen=True)
class Run:
    """A solution with the CPU time at every iterate."""

    solution: Solution
    seconds: tuple[float, ...]

    def reach(self, best: Solution, gap: float, violation: float = 1e-6) -> Reach | None:
        """First iterate within ``gap`` of the certified optimum and ``violation`` of the limits."""
        doubt = best.certificate.gap
        for at, seconds in zip(self.solution.trace, self.seconds, strict=True):
            distance = abs(best.objective - at.objective) / best.yardstick
            if distance + doubt <= gap and at.violation <= violation:
                return Reach(at.forward, at.backward, seconds)
        return None


def traced(problem: SmoothProblem, options: Options = TRACED, warm: WarmStart | None = None) -> Run:
    """Solve and note the CPU time of every iterate."""
    begun = time.process_time()
    seconds: list[float] = []

    def note(_: Progress) -> None:
        seconds.append(time.process_time() - begun)

    solution = solve_smooth(problem, options, warm, note)
    if solution.certificate.gap > 2e-7:
        print(f"reference only certified to {solution.certificate.gap:.1e}", file=sys.stderr)
    return Run(solution, tuple(seconds))


def to_the_stop(problem: SmoothProblem, gap: float, warm: WarmStart | None = None) -> str:
    """Calls of a whole run with these tolerances."""
    found = solve_smooth(problem, Options(gap=gap, violation=1e-6), warm)
    counts = found.counter
    return (
        f"{counts.forward}, {counts.backward} ({found.status}, bound {found.certificate.gap:.0e})"
    )


def calls_row(case: str, found: Reach | None, forward: int, backward: int, stop: str = "") -> Row:
    """A row judged by forward and backward calls."""
    target = f"<= {forward}, {backward} calls"
    beside = {"to the stop": stop} if stop else {}
    if found is None:
        return Row(case, target, "not reached", False, beside)
    held = found.forward <= forward and found.backward <= backward
    return Row(
        case, target, f"{found.forward}, {found.backward} ({found.seconds:.1f} s)", held, beside
    )


def passes_row(case: str, found: Reach | None, passes: float) -> Row:
    """A row judged by passes."""
    target = f"<= {passes:g} passes"
    if found is None:
        return Row(case, target, "not reached", False)
    return Row(case, target, f"{found.passes:.1f} ({found.seconds:.1f} s)", found.passes <= passes)


class Sizes:
    """A, B and C at several sizes; keeps what growth is measured from."""

    def __init__(self) -> None:
        self.passes: dict[tuple[str, int, float], list[float]] = {}

    def rows(self, regions: int, seeds: tuple[int, ...]) -> list[Row]:
        """All three cases at one size."""
        out = []
        for seed in seeds:
            market = make_market(3, regions, 168, seed)
            size = f"{market.cells / 1000:.0f}k seed {seed}"
            for case in ("A", "B", "C"):
                problem = benchmark_problem(market, case, seed)
                run = traced(problem)
                best = run.solution
                reached = {gap: run.reach(best, gap) for gap in (1e-4, 1e-6)}
                for gap, found in reached.items():
                    passes = float("inf") if found is None else found.passes
                    self.passes.setdefault((case, regions, gap), []).append(passes)
                if case == "A":
                    worst = check_point(problem, best.x).violation
                    out.append(passes_row(f"A {size} 1e-6", reached[1e-6], 25))
                    out.append(limit(f"A {size} budgets", worst, at_most=1e-12))
                    continue
                stop = to_the_stop(problem, 1e-4)
                out.append(calls_row(f"{case} {size} 1e-4", reached[1e-4], 18, 24, stop))
                if case == "B":
                    out.append(passes_row(f"B {size} 1e-6", reached[1e-6], 28))
                if regions == 1000:
                    seconds = float("inf") if reached[1e-4] is None else reached[1e-4].seconds
                    most = 5.0 if case == "B" else 12.0
                    out.append(limit(f"{case} {size} 1e-4, CPU", seconds, at_most=most, unit="s"))
        return out

    def growth(self, small: int, large: int) -> list[Row]:
        """Passes at the largest size per passes at the smallest, means over seeds."""
        out = []
        for case, gap in (("A", 1e-6), ("B", 1e-4), ("B", 1e-6), ("C", 1e-4), ("C", 1e-6)):
            few, many = (mean(self.passes[case, n, gap]) for n in (small, large))
            out.append(
                limit(
                    f"passes of {case} to {gap:.0e} at 504k per at 5k ({many:.1f} / {few:.1f})",
                    many / few,
                    at_most=1.2,
                )
            )
        return out


def variants(regions: int, seeds: tuple[int, ...]) -> list[Row]:
    """Coupled, without Hessian-vector products, and warm-started."""
    rows = []
    for seed in seeds:
        coupled = benchmark_problem(make_market(3, regions, 168, seed, leak=0.3), "B", seed)
        run = traced(replace(coupled, concave=True))
        found = run.reach(run.solution, 1e-4)
        rows.append(calls_row(f"B coupled 0.3 seed {seed}, 1e-4", found, 18, 36))
        plain = benchmark_problem(make_market(3, regions, 168, seed), "B", seed)
        best = traced(plain).solution
        secant = traced(plain, replace(TRACED, curvature="secant"))
        rows.append(calls_row(f"B by secants seed {seed}, 1e-4", secant.reach(best, 1e-4), 40, 42))
        drifted = benchmark_problem(
            make_market(3, regions, 168, seed, drift=0.03), "B", seed, limits_from=plain
        )
        cold = traced(drifted).solution
        case = f"B warm after 3 % drift seed {seed}, 1e-4"
        if cold.status == "infeasible":
            rows.append(Row(case, "<= 4, 7 calls", "drift made it infeasible", None))
            continue
        earlier = solve_smooth(plain, Options(gap=1e-6)).warm
        found = traced(drifted, TRACED, earlier).reach(cold, 1e-4)
        rows.append(calls_row(case, found, 4, 7, to_the_stop(drifted, 1e-4, earlier)))
    return rows


def fresh(count: int) -> Row:
    """Instances of many seeds from 480 to 50k cells, each to 1e-6 / 1e-6."""
    shapes = (
        (2, 5, 48),
        (1, 10, 48),
        (3, 3, 168),
        (2, 10, 168),
        (3, 10, 168),
        (3, 20, 168),
        (3, 40, 168),
        (3, 100, 168),
    )
    failures = []
    begun = time.process_time()
    for seed in range(count):
        market = make_market(*shapes[seed % len(shapes)], 500 + seed)
        for case in ("B", "C"):
            problem = benchmark_problem(market, case, seed)
            found = solve_smooth(problem, Options(gap=1e-6, violation=1e-6, iterations=200))
            if found.violation > 1e-6 or not found.certificate.gap <= 1e-6:
                failures.append(f"{case}/{seed}")
    text = f"{len(failures)} of {2 * count}" + (f": {', '.join(failures[:4])}" if failures else "")
    text += f" ({time.process_time() - begun:.0f} s)"
    return Row(
        f"B and C, {count} fresh seeds each, 480 to 50k, 1e-6", "0 failures", text, not failures
    )


def huge() -> list[Row]:
    """Case A with five million cells."""
    problem = benchmark_problem(make_market(3, 10_000, 168, 1), "A", 1)
    gc.collect()
    reset_peak()
    run = traced(problem, replace(TRACED, gap=1e-7))
    memory = peak() / 2**30
    worst = check_point(problem, run.solution.x).violation
    found = run.reach(run.solution, 1e-6)
    return [
        passes_row("A 5.04M 1e-6", found, 25),
        limit("A 5.04M budgets", worst, at_most=1e-12),
        limit("A 5.04M, CPU of the whole run", run.seconds[-1], at_most=60.0, unit="s"),
        limit("A 5.04M, peak of memory", memory, at_most=6.0, unit="GB"),
    ]


def memory(regions: int) -> list[Row]:
    """Decision-sized vectors that a solve needs beyond the model's own pass.

    Every case is measured in a process of its own, where no memory lies about from another, and
    where whatever holds a vector is given back when it is freed: kept by the allocator, it would
    count as there before, or twice.
    """
    strict = {
        "MALLOC_MMAP_MAX_": "1000000",
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }
    out = []
    for case in ("A", "B", "C"):
        command = [sys.executable, __file__, "--memory", case, str(regions)]
        found = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **strict}
        )
        model, whole, cells = (float(part) for part in found.stdout.split())
        out.append(
            limit(
                f"{case} {cells / 1000:.0f}k, memory beyond the model's pass "
                f"({model / (_FLOAT * cells):.0f} vectors)",
                (whole - model) / (_FLOAT * cells),
                at_most=25.0,
                unit="vectors",
            )
        )
    return out


def measure_memory(case: str, regions: int) -> int:
    """Print the bytes of the model's own pass and of a whole solve, and the number of cells."""
    problem = benchmark_problem(make_market(3, regions, 168, 1), case, 1)
    base = peak_of(lambda: None)
    model = peak_of(lambda: _own_pass(problem)) - base
    whole = peak_of(lambda: solve_smooth(problem, Options(gap=1e-4))) - base
    print(model, whole, problem.linear.size)
    return 0


def _own_pass(problem: SmoothProblem) -> None:
    """What the model itself needs: a forward, a gradient and Hessian-vector products."""
    oracle = Oracle(problem, Counter())
    oracle.forward(0.1 * problem.linear.reach())
    gradient = oracle.gradient(torch.ones_like(problem.rows.limit), create=True)
    oracle.hessian_diagonal(gradient, torch.Generator().manual_seed(0))


def peak_of(work: Callable[[], object]) -> float:
    """Bytes of resident memory at the peak of ``work``."""
    gc.collect()
    reset_peak()
    work()
    return peak()


def reset_peak() -> None:
    """Let the kernel count the peak of resident memory from here on, where it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        print("the peak of memory is that of the whole process", file=sys.stderr)


def peak() -> float:
    """Peak of resident memory in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return float(line.split()[1]) * 1024.0


def compile_first() -> None:
    """Compile before anything is timed."""
    for case in ("A", "B", "C"):
        solve_smooth(benchmark_problem(make_market(1, 2, 48, 0), case, 0))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5k cells and few seeds only")
    parser.add_argument("--memory", nargs=2, metavar=("CASE", "REGIONS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    quick = chosen.quick
    torch.set_num_threads(1)
    compile_first()
    if chosen.memory:
        return measure_memory(chosen.memory[0], int(chosen.memory[1]))
    sizes = Sizes()
    rows = sizes.rows(10, (1,) if quick else (1, 2, 3, 4))
    if not quick:
        rows += memory(300)
        rows += sizes.rows(100, (1, 2))
        rows += sizes.rows(1000, (1, 2))
        rows += sizes.growth(10, 1000)
        rows += huge()
    rows += variants(9 if quick else 99, (1,) if quick else (1, 2))
    rows.append(fresh(8 if quick else 100))
    rows += _solver_truths.rows(quick)
    rows += _solver_conflicts.rows(6 if quick else 30)
    if not quick:
        rows += _solver_market.rows()
        rows += _solver_rivals.rows()
    return report("decision solver", rows)


if __name__ == "__main__":
    sys.exit(main())
