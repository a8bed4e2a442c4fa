"""Sequential separable quadratic programming.

Each iteration replaces the Lagrangian by its exact gradient and a diagonal curvature, linearises
the outcome rows, and solves that programme over bounds, budgets and chains exactly in its dual
(`_separable`). Rows' gradients are refreshed only now and then: one vector-Jacobian product of the
Lagrangian keeps the fixed point exact meanwhile. Progress is judged by an l1 merit function,
non-monotone over a few iterations, after one second-order correction.

Everything is scaled inside: the objective by what a typical step changes, rows by their limits,
cells by their metric. The answer does not depend on the units.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from dagcast_core.decide._certificate import Certificate, Certifier
from dagcast_core.decide._curvature import first_metric, floored, secant_update, typical_size
from dagcast_core.decide._linear import LinearSet
from dagcast_core.decide._separable import SeparableProgramme, linear_limits, linear_programme
from dagcast_core.decide._smooth import Counter, Oracle, SmoothProblem

__all__ = ["Options", "Progress", "Solution", "WarmStart", "solve_smooth"]

# Near the end a forward-only correction of the rows is cheaper than another iteration.
_CORRECT_BELOW = 0.03
_LARGEST_CAP = 1e5
# In units of what typical steps change: a lift below it is no yardstick for gaps.
_LEAST_LIFT = 1e-3

Status = Literal["optimal", "feasible", "stalled", "infeasible", "interrupted"]


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the solver; the defaults suit a plan that people will read.

    Attributes:
        gap: stop where the predicted gain is below this share of the lift over the baseline.
        violation: largest relative violation of an outcome row that counts as feasible.
        curvature: "hessian" starts the metric by Hessian-vector products, "secant" by the first
            step.
        iterations: at most so many iterations.
        time_limit: seconds; the best point so far is returned.
        refresh: rows' gradients are taken anew every so many iterations.
        elastic: cap of the multipliers of scaled rows; raised tenfold before infeasibility is said.
        seed: of the probes.
    """

    gap: float = 1e-6
    violation: float = 1e-6
    curvature: Literal["hessian", "secant"] = "hessian"
    iterations: int = 300
    time_limit: float | None = None
    refresh: int = 3
    elastic: float = 10.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Decisions, multipliers (budgets then rows.

    Scaled as in `Solution`) and metric of an earlier solution.
    """

    x: Tensor
    multipliers: Tensor | None = None
    metric: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """State after one iteration, for a progress display: all relative, see `Options`."""

    iteration: int
    objective: float
    violation: float
    predicted: float
    forward: int
    backward: int
    seconds: float

    @property
    def passes(self) -> float:
        """One pass is 0.35 forward and 0.65 backward calls."""
        return 0.35 * self.forward + 0.65 * self.backward


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found.

    Attributes:
        status: "optimal" only where `certificate.gap` is proved and below the tolerance.
        message: why it stopped.
        x: (cells,).
        objective: in the caller's unit, maximised.
        outcomes: (rows,) in the caller's units.
        lift: objective above the baseline's.
        yardstick: what gaps are relative to: the lift, or a small share of what typical steps
            change.
        violation: largest relative violation of linear and outcome rows.
        budget_prices: (budgets,) objective per unit of limit, >= 0.
        row_prices: (rows,) d objective / d limit: positive for upper limits, negative for floors.
        certificate: residual and upper bound of the gap.
        warm: start for a related problem.
        counter: model calls.
        iterations: accepted and rejected steps.
        elastic: (rows,) the multiplier sits at its cap.
        trace: one entry per iteration.
    """

    status: Status
    message: str
    x: Tensor
    objective: float
    outcomes: Tensor
    lift: float
    yardstick: float
    violation: float
    budget_prices: Tensor
    row_prices: Tensor
    certificate: Certificate
    warm: WarmStart
    counter: Counter
    iterations: int
    elastic: Tensor
    trace: tuple[Progress, ...] = ()


@dataclass(slots=True)
class _State:
    """The current point with its derivatives, in scaled minimisation form."""

    x: Tensor
    f: float
    c: Tensor
    multipliers: Tensor  # budgets, then rows
    gradient: Tensor | None = None  # of F, consistent with the Jacobian in use
    metric: Tensor | None = None
    boost: float = 1.0
    weights: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))


def equal_shares(linear: LinearSet) -> Tensor:
    """Each cell's equal share of its tightest budget above the lower bounds, (cells,).

    Inf where in none.
    """
    share = torch.full_like(linear.lower, math.inf)
    for layer in linear.budgets:
        inside = (layer.group >= 0) & (layer.coefficient > 0)
        group = layer.group[inside]
        weight = torch.zeros_like(layer.limit).index_add_(0, group, layer.coefficient[inside])
        room = (layer.limit - layer.sums(linear.lower)).clamp(min=0)
        own = torch.full_like(share, math.inf)
        own[inside] = (room / weight.clamp(min=1e-300))[group]
        share = torch.minimum(share, own)
    return share


def default_start(linear: LinearSet) -> Tensor:
    """Half the equal shares above the lower bounds: inside the set.

    Where responses have slope and curvature.
    """
    share = equal_shares(linear)
    reach = torch.minimum(share, linear.reach() - linear.lower)
    reach = torch.where(torch.isfinite(reach), reach, torch.ones_like(reach))
    return linear.lower + 0.7 * reach


class Solver:
    """One run of the method on one problem; holds what iterations share."""

    def __init__(
        self,
        problem: SmoothProblem,
        options: Options,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        problem = replace(problem, linear=problem.linear.tightened())
        self.problem = problem
        self.options = options
        self.progress = progress
        self.counter = Counter()
        self.oracle = Oracle(problem, self.counter)
        self.rows = problem.rows.limit.numel()
        self.budgets = sum(layer.limit.numel() for layer in problem.linear.budgets)
        groups = tuple(family.group for family in problem.rows.families)
        self.certifier = Certifier(problem.linear)
        self.programme: SeparableProgramme = linear_programme(problem.linear, groups, self.rows)
        self.first_layer = len(problem.linear.budgets)
        self.budget_limit = linear_limits(problem.linear)
        self.jacobian: list[Tensor] = []
        self.row_unit = torch.ones(self.rows, dtype=torch.float64)
        self.jx = torch.zeros(self.rows, dtype=torch.float64)
        self.size = typical_size(
            problem.linear.lower, problem.linear.upper, equal_shares(problem.linear)
        )
        self.generator = torch.Generator().manual_seed(options.seed)
        self.begun = time.perf_counter()
        self.trace: list[Progress] = []
        self.elastic = options.elastic

    # -- rows ---------------------------------------------------------------------------------

    def refresh_rows(self) -> None:
        """Take the gradients of all rows at the oracle's point: one backward per family."""
        self.jacobian = [self.oracle.row_gradients(family) for family in self.problem.rows.families]
        for k, coefficient in enumerate(self.jacobian):
            self.programme.set_layer(self.first_layer + k, coefficient)

    def measure_rows(self, gradient: Tensor) -> None:
        """Exchange rate of the objective for each row over the row's own cells.

        The natural unit of multipliers.
        """
        self.row_unit = torch.ones(self.rows, dtype=gradient.dtype)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            index = family.group.clamp(min=0)
            inside = (family.group >= 0).to(gradient.dtype)
            ours = torch.zeros_like(self.row_unit).index_add_(
                0, index, coefficient.abs() * self.size
            )
            goal = torch.zeros_like(self.row_unit).index_add_(
                0, index, gradient.abs() * self.size * inside
            )
            rows = family.rows
            self.row_unit[rows] = torch.where(
                ours[rows] > 0, goal[rows] / ours[rows].clamp(min=1e-300), self.row_unit[rows]
            )

    def rows_times(self, x: Tensor) -> Tensor:
        """J x with the Jacobian in use, (rows,)."""
        out = torch.zeros(self.rows, dtype=x.dtype)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            inside = family.group.clamp(min=0)
            out.index_add_(0, inside, coefficient * x)
        return out

    def transposed_rows(self, y: Tensor) -> Tensor:
        """J'y with the Jacobian in use, (cells,)."""
        out = torch.zeros_like(self.problem.linear.lower)
        for family, coefficient in zip(self.problem.rows.families, self.jacobian, strict=True):
            out += coefficient * y[family.group.clamp(min=0)]
        return out

    # -- the step -----------------------------------------------------------------------------

    def subproblem(
        self, state: _State, c: Tensor, tolerance: float
    ) -> tuple[Tensor, Tensor, float]:
        """Minimise the model over the linear set with rows J (x - x_k) + c <= 0.

        Returns:
            x, multipliers, and the error of the rows.
        """
        assert state.gradient is not None
        assert state.metric is not None
        metric = state.metric * state.boost
        z = state.x - state.gradient / metric
        limit = torch.cat([self.budget_limit, self.jx - c])
        cap = torch.cat(
            [torch.full((self.budgets,), math.inf, dtype=limit.dtype), self.elastic * self.row_unit]
        )
        solution = self.programme.solve(z, metric, limit, state.multipliers, cap, tolerance)
        return solution.x, solution.multipliers, solution.residual

    def bound(self, state: _State, multipliers: Tensor, exact: bool, lift: float) -> float:
        """Upper bound of the gap at the current point with the newest multipliers."""
        y = multipliers[self.budgets :]
        if exact:
            assert state.gradient is not None
            gradient = state.gradient + self.transposed_rows(y)
        else:
            gradient = self.oracle.gradient(y)
        return self.certificate(state, gradient, multipliers, state.c, lift).gap

    def certificate(
        self, state: _State, gradient: Tensor, multipliers: Tensor, c: Tensor, lift: float
    ) -> Certificate:
        """Certificate at ``state.x`` for the exact ``gradient`` of the Lagrangian there."""
        assert state.metric is not None
        return self.certifier.certify(
            state.x,
            gradient,
            state.metric,
            multipliers[: self.budgets],
            c,
            multipliers[self.budgets :],
            lift,
        )

    def promised(self, state: _State, target: Tensor, weights: Tensor) -> float:
        """Decrease of the merit function that the quadratic model promises at ``target``."""
        assert state.gradient is not None
        assert state.metric is not None
        step = target - state.x
        linearised = state.c + self.rows_times(step)
        return (
            -float((state.gradient * step).sum())
            - 0.5 * float((state.metric * state.boost * step * step).sum())
            + float((weights * (state.c.clamp(min=0) - linearised.clamp(min=0))).sum())
        )

    def merit(self, f: float, c: Tensor, weights: Tensor) -> float:
        """F plus the weighted violations."""
        return f + float((weights * c.clamp(min=0)).sum())

    def violation(self, c: Tensor) -> float:
        return float(c.max().clamp(min=0)) if c.numel() else 0.0


def solve_smooth(
    problem: SmoothProblem,
    options: Options | None = None,
    warm: WarmStart | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Solution:
    """Maximise a smooth problem.

    See the module docstring for the method and `Solution` for the answer.

    Ctrl-C or the time limit ends the run with the best point found and status "interrupted".
    """
    solver = Solver(problem, options or Options(), progress)
    return _run(solver, warm)


def _run(solver: Solver, warm: WarmStart | None) -> Solution:
    problem, options, oracle = solver.problem, solver.options, solver.oracle
    linear = problem.linear
    start = default_start(linear) if warm is None else warm.x
    ones = 1.0 / (solver.size * solver.size)
    solver.programme.coefficients[:, solver.first_layer :] = 0.0
    wide = torch.cat([solver.budget_limit, torch.full((solver.rows,), 1.0, dtype=torch.float64)])
    x = solver.programme.solve(start, ones, wide).x
    baseline = linear.lower if problem.baseline is None else problem.baseline
    # The scale of the objective is what typical steps change; one evaluation at the baseline gives
    # the lift.
    f0, _ = oracle.forward(baseline, graph=False)
    f, c = oracle.forward(x)
    state = _State(x, f, c, torch.zeros(solver.budgets + solver.rows, dtype=torch.float64))
    gradient = oracle.gradient()
    sigma = float((gradient.abs() * solver.size).sum())
    flat = sigma == 0.0
    oracle.sigma = sigma if sigma > 0 else 1.0
    scale = 1.0 / oracle.sigma
    oracle._f = None if oracle._f is None else oracle._f * scale
    state.f, f0, state.gradient = f * scale, f0 * scale, gradient * scale
    if warm is not None and warm.multipliers is not None:
        state.multipliers = warm.multipliers / oracle.sigma
    history: list[tuple[float, Tensor]] = [(state.f, state.c)]
    best: tuple[bool, float, Tensor, Tensor] | None = None
    status: Status = "stalled"
    message = f"stopped after {options.iterations} iterations"
    jacobian_age = 0
    iteration = 0
    rejections = 0
    polish = 0
    tightest: list[float] = []
    previous: tuple[Tensor, Tensor] | None = (
        None  # x, gradient of the Lagrangian's model there (new multipliers)
    )
    try:
        for iteration in range(1, options.iterations + 1):
            y = state.multipliers[solver.budgets :]
            # Derivatives at the current point.
            if iteration == 1 or jacobian_age >= options.refresh:
                if iteration > 1:
                    state.gradient = oracle.gradient()
                solver.refresh_rows()
                jacobian_age = 0
                exact = True
            else:
                full = oracle.gradient(y)
                state.gradient = full - solver.transposed_rows(y)
                exact = False
            if iteration == 1:
                solver.measure_rows(state.gradient)
            jacobian_age += 1
            solver.jx = solver.rows_times(state.x)
            lagrangian = state.gradient + solver.transposed_rows(y)
            if iteration == 1:
                if warm is not None and warm.metric is not None:
                    state.metric = warm.metric / oracle.sigma
                else:
                    state.metric = first_metric(state.gradient, solver.size)
                    if options.curvature == "hessian":
                        if solver.rows:
                            _, multipliers, _ = solver.subproblem(state, state.c, 1e-4)
                            state.multipliers = multipliers
                            y = multipliers[solver.budgets :]
                        again = oracle.gradient(y, create=True)
                        state.metric = floored(
                            oracle.hessian_diagonal(again, solver.generator), solver.size
                        )
                        oracle_again = again.detach()
                        lagrangian = oracle_again
            elif previous is not None:
                assert state.metric is not None
                state.metric = secant_update(
                    state.metric, state.x - previous[0], lagrangian - previous[1], solver.size
                )
            # Step.
            target, multipliers, row_error = solver.subproblem(state, state.c, 1e-13)
            y_new = multipliers[solver.budgets :]
            weights = (
                torch.maximum(1.5 * y_new, state.weights)
                if state.weights.numel()
                else 1.5 * y_new + 1e-3
            )
            model_drop = solver.promised(state, target, weights)
            violation = solver.violation(state.c)
            lift = max(f0 - state.f, _LEAST_LIFT)
            share = model_drop / lift
            solver.trace.append(
                Progress(
                    iteration,
                    -state.f * oracle.sigma,
                    violation,
                    share,
                    solver.counter.forward,
                    solver.counter.backward,
                    time.perf_counter() - solver.begun,
                )
            )
            if solver.progress is not None:
                solver.progress(solver.trace[-1])
            feasible = violation <= options.violation
            if best is None or _better(
                (feasible, state.f, state.x, state.c), best, solver, weights
            ):
                best = (feasible, state.f, state.x, state.c)
            if share <= options.gap and row_error <= 1e-9:
                if not feasible:
                    if solver.elastic >= _LARGEST_CAP:
                        status, message = "infeasible", "rows cannot all be kept"
                        state.multipliers = multipliers
                        break
                    # A multiplier at its cap may only say that the cap was too low.
                    solver.elastic *= 10.0
                    state.weights = torch.zeros(0, dtype=x.dtype)
                    target, multipliers, row_error = solver.subproblem(state, state.c, 1e-13)
                else:
                    bound = solver.bound(state, multipliers, exact, lift)
                    done = problem.concave is False or bound <= options.gap
                    stuck = share <= 1e-13 or (polish >= 4 and bound > 0.5 * tightest[-4])
                    tightest.append(bound)
                    polish += 1
                    if done or stuck:
                        status, message = "feasible", "flat" if flat else "converged"
                        state.multipliers = multipliers
                        break
            # Trial points: the step, then one second-order correction, then a smaller step.
            reference = max(solver.merit(fh, ch, weights) for fh, ch in history[-4:])
            reference += 1e-14 * (abs(state.f) + abs(f0))
            accepted = False
            for attempt in range(14):
                if attempt == 2 and not exact:
                    # Old row gradients may promise what the model does not keep: take them anew.
                    oracle.forward(state.x)
                    state.gradient = oracle.gradient()
                    solver.refresh_rows()
                    solver.jx = solver.rows_times(state.x)
                    jacobian_age, exact, state.boost = 1, True, 1.0
                    target, multipliers, _ = solver.subproblem(state, state.c, 1e-12)
                    model_drop = solver.promised(state, target, weights)
                ft, ct = oracle.forward(target)
                if solver.merit(ft, ct, weights) <= reference - 1e-4 * model_drop:
                    accepted = True
                    if solver.violation(ct) > options.violation and share < _CORRECT_BELOW:
                        corrected, m2, _ = solver.subproblem(
                            state, ct - solver.rows_times(target - state.x), 1e-12
                        )
                        fc, cc = oracle.forward(corrected)
                        if solver.merit(fc, cc, weights) <= reference - 1e-4 * model_drop:
                            target, multipliers, ft, ct = corrected, m2, fc, cc
                    break
                rejections += 1
                if solver.rows and float((weights * ct.clamp(min=0)).sum()) > 0:
                    corrected, m2, _ = solver.subproblem(
                        state, ct - solver.rows_times(target - state.x), 1e-12
                    )
                    ft, ct = oracle.forward(corrected)
                    if solver.merit(ft, ct, weights) <= reference - 1e-4 * model_drop:
                        target, multipliers = corrected, m2
                        accepted = True
                        break
                state.boost *= 3.0
                target, multipliers, _ = solver.subproblem(state, state.c, 1e-12)
            if not accepted:
                message = "no step improves the merit function"
                if feasible and share <= 100 * options.gap:
                    status, message = "feasible", "converged to rounding"
                break
            y_new = multipliers[solver.budgets :]
            previous = (state.x, state.gradient + solver.transposed_rows(y_new))
            state.x, state.f, state.c = target, ft, ct
            state.multipliers, state.weights = multipliers, weights
            state.boost = max(1.0, state.boost / 2.0)
            history.append((ft, ct))
            if (
                options.time_limit is not None
                and time.perf_counter() - solver.begun > options.time_limit
            ):
                status, message = "interrupted", f"time limit of {options.time_limit:g} s reached"
                break
    except KeyboardInterrupt:
        status, message = "interrupted", "interrupted"
    return _finish(solver, state, best, status, message, f0, iteration)


def _better(
    new: tuple[bool, float, Tensor, Tensor],
    old: tuple[bool, float, Tensor, Tensor],
    solver: Solver,
    weights: Tensor,
) -> bool:
    if new[0] != old[0]:
        return new[0]
    if new[0]:
        return new[1] < old[1]
    return solver.violation(new[3]) < solver.violation(old[3])


def _finish(
    solver: Solver,
    state: _State,
    best: tuple[bool, float, Tensor, Tensor] | None,
    status: Status,
    message: str,
    f0: float,
    iterations: int,
) -> Solution:
    problem, options, oracle = solver.problem, solver.options, solver.oracle
    linear = problem.linear
    y = state.multipliers[solver.budgets :]
    budget = state.multipliers[: solver.budgets]
    if status != "feasible" and best is not None:
        state.x = best[2]
    f, c = oracle.forward(state.x)
    gradient = oracle.gradient(y, keep=False)
    lift = f0 - f
    yardstick = max(lift, _LEAST_LIFT)
    if state.metric is None:
        state.metric = torch.ones_like(state.x)
    certificate = solver.certificate(state, gradient, state.multipliers, c, yardstick)
    violation = max(solver.violation(c), linear.worst_violation(state.x))
    if status == "feasible" and problem.concave and certificate.gap <= options.gap:
        status = "optimal"
    rows = problem.rows
    # d objective / d limit: scaled multipliers are per relative limit and per sigma.
    row_prices = rows.sign * y * oracle.sigma / rows.scale
    outcomes = rows.limit + rows.sign * rows.scale * c
    return Solution(
        status,
        message,
        state.x,
        -f * oracle.sigma,
        outcomes,
        lift * oracle.sigma,
        yardstick * oracle.sigma,
        violation,
        budget * oracle.sigma,
        row_prices,
        certificate,
        WarmStart(state.x, state.multipliers * oracle.sigma, state.metric * oracle.sigma),
        solver.counter,
        iterations,
        y >= solver.elastic * solver.row_unit * (1 - 1e-9),
        tuple(solver.trace),
    )
