"""Sequential separable quadratic programming.

Each iteration replaces the Lagrangian by its exact gradient and a diagonal curvature, linearises
the outcome rows, and solves that programme over bounds, budgets and chains exactly in its dual
(`LocalModel`, `SeparableProgramme`). Rows' gradients are refreshed only now and then: one
vector-Jacobian product of the Lagrangian keeps the fixed point exact meanwhile. Progress is judged
by an l1 merit function, non-monotone over a few iterations, after one second-order correction.

Everything is scaled inside: the objective by what a typical step changes, rows by their limits,
cells by their metric. The answer does not depend on the units.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.solver.answer import (
    Certificate,
    Certifier,
    Options,
    Progress,
    Solution,
    Status,
    WarmStart,
)
from dagcast_core.solver.methods.sqp._curvature import first_metric, floored, secant_update
from dagcast_core.solver.methods.sqp._local import LocalModel, State, Step, merit, violation
from dagcast_core.solver.problem import Counter, Oracle, SmoothProblem, default_start
from dagcast_core.solver.stopping import Rule, Stopping, TimeLimit

__all__ = ["solve_smooth"]

# Near the end a forward-only correction of the rows is cheaper than another iteration.
_CORRECT_BELOW = 0.03
_LARGEST_CAP = 1e5
# In units of what typical steps change: a lift below it is no yardstick for gaps.
_LEAST_LIFT = 1e-3
_REMEMBERED = 4
# A step whose rows are further off than this was not found: it is shortened instead.
_SOUND = 1e-6
_ATTEMPTS = 14
# Iterations in which the bound of the gap should halve.
_PATIENCE = 10


def solve_smooth(
    problem: SmoothProblem,
    options: Options | None = None,
    warm: WarmStart | None = None,
    progress: Callable[[Progress], None] | None = None,
    rules: Sequence[Rule] = (),
) -> Solution:
    """Maximise a smooth problem.

    See the module docstring for the method and `Solution` for the answer.

    Ctrl-C, the time limit or a further rule ends the run with the best point found and status
    "interrupted".
    """
    options = options or Options()
    stopping = Stopping(progress, (*rules, TimeLimit(options.time_limit)))
    return SeparableSqp().solve(problem, options, warm, stopping)


@final
class SeparableSqp:
    """The method for any number of cells; see `Method`."""

    name = "separable"

    def accepts(self, problem: SmoothProblem) -> bool:
        """Any problem."""
        return True

    def solve(
        self,
        problem: SmoothProblem,
        options: Options,
        warm: WarmStart | None,
        stopping: Stopping,
    ) -> Solution:
        """One run; see `Method`."""
        return _Run(problem, options, warm, stopping).solve()


@dataclass(frozen=True, slots=True)
class _Best:
    """The best point so far: feasible before infeasible."""

    feasible: bool
    f: float
    violation: float
    x: Tensor

    def beats(self, other: _Best | None) -> bool:
        if other is None or self.feasible != other.feasible:
            return other is None or self.feasible
        return self.f < other.f if self.feasible else self.violation < other.violation


class _Run:
    """One run: the current point and what is known about it, and how the run has gone."""

    def __init__(
        self,
        problem: SmoothProblem,
        options: Options,
        warm: WarmStart | None,
        stopping: Stopping,
    ) -> None:
        self.begun = time.perf_counter()
        self.problem = replace(problem, linear=problem.linear.tightened())
        self.options = options
        self.warm = warm
        self.stopping = stopping
        self.counter = Counter()
        self.oracle = Oracle(self.problem, self.counter)
        self.model = LocalModel(self.problem, self.oracle, options.elastic)
        self.certifier = Certifier(self.problem.linear, self.model.programme)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.trace: list[Progress] = []
        self.iteration = 0
        self.status: Status = "stalled"
        self.message = f"stopped after {options.iterations} iterations"
        self.best: _Best | None = None
        self.flat = False
        self.base: float | None = None
        self.jacobian_age = 0
        self.exact = True  # The Jacobian in use was taken at the current point.
        self.bounds: list[float] = []  # of the gap, since it was first asked for
        self.previous: tuple[Tensor, Tensor] | None = None  # x, Lagrangian's gradient there
        self.state = self._begin()
        self.history = [(self.state.f, self.state.c)]

    def solve(self) -> Solution:
        """Iterate until a reason to stop."""
        options = self.options
        try:
            for self.iteration in range(1, options.iterations + 1):
                self._differentiate()
                step = self.model.step(self.state, self.state.c, 1e-13)
                weights = self._weights(step)
                promised = self.model.promised(self.state, step.target, weights)
                share = promised / self._yardstick(promised)
                reason = self._record(share)
                if reason is not None:
                    self.status, self.message = "interrupted", reason
                    break
                if share <= options.gap and step.error <= 1e-9:
                    if self._may_stop(step, share):
                        break
                    step = self.model.step(self.state, self.state.c, 1e-13)
                if not self._advance(step, promised, share, weights):
                    break
        except KeyboardInterrupt:
            self.status, self.message = "interrupted", "interrupted"
        return self._finish()

    # Parts of an iteration

    def _begin(self) -> State:
        """The first point, projected; scales the objective by what typical steps change."""
        model, oracle, warm = self.model, self.oracle, self.warm
        linear = self.problem.linear
        start = default_start(linear) if warm is None else warm.x
        model.programme.table.coefficients[:, model.first_layer :] = 0.0
        wide = torch.cat([model.budget_limit, torch.ones(model.rows, dtype=start.dtype)])
        x = model.programme.solve(start, 1.0 / (model.size * model.size), wide).x
        f, c = oracle.forward(x)
        multipliers = torch.zeros(model.budgets + model.rows, dtype=x.dtype)
        if warm is not None and warm.multipliers is not None:
            multipliers = warm.multipliers
        if warm is not None and model.rows and self._fits(warm.jacobian):
            # Rows of a related problem serve for one step; where it ends they are taken anew.
            assert warm.jacobian is not None
            model.set_rows(warm.jacobian)
            y = self._rows_of(multipliers)
            gradient = oracle.gradient(y) - model.transposed_rows(y)
            self.jacobian_age, self.exact = self.options.refresh - 1, False
        else:
            gradient = oracle.gradient()
        sigma = float((gradient.abs() * model.size).sum())
        self.flat = sigma == 0.0
        oracle.rescale(sigma if sigma > 0 else 1.0)
        sigma = oracle.sigma
        return State(x, f / sigma, c, multipliers / sigma, gradient / sigma)

    def _fits(self, jacobian: tuple[Tensor, ...] | None) -> bool:
        return (
            jacobian is not None
            and len(jacobian) == len(self.problem.rows.families)
            and all(own.shape == self.problem.linear.lower.shape for own in jacobian)
        )

    def _differentiate(self) -> None:
        """Derivatives and curvature at the current point."""
        state, model, oracle = self.state, self.model, self.oracle
        first = self.iteration == 1
        if first:
            # The objective's gradient is known from scaling, rows too if they were borrowed.
            if self.exact:
                model.refresh_rows()
        elif self.jacobian_age >= self.options.refresh:
            state.gradient = oracle.gradient()
            model.refresh_rows()
            self.jacobian_age = 0
            self.exact = True
        else:
            y = self._rows_of(state.multipliers)
            state.gradient = oracle.gradient(y) - model.transposed_rows(y)
            self.exact = False
        self.jacobian_age += 1
        assert state.gradient is not None
        model.jx = model.rows_times(state.x)
        if first:
            model.measure_rows(state.gradient)
            state.metric = self._first_metric()
        elif self.previous is not None:
            assert state.metric is not None
            lagrangian = state.gradient + model.transposed_rows(self._rows_of(state.multipliers))
            state.metric = secant_update(
                state.metric, state.x - self.previous[0], lagrangian - self.previous[1], model.size
            )

    def _first_metric(self) -> Tensor:
        state, model, oracle = self.state, self.model, self.oracle
        if self.warm is not None and self.warm.metric is not None:
            return self.warm.metric / oracle.sigma
        assert state.gradient is not None
        rough = first_metric(state.gradient, model.size)
        if self.options.curvature == "secant":
            return rough
        if model.rows:
            # The curvature of the Lagrangian needs multipliers.
            state.metric = rough
            state.multipliers = model.step(state, state.c, 1e-4).multipliers
        gradient = oracle.gradient(self._rows_of(state.multipliers), create=True)
        return floored(oracle.hessian_diagonal(gradient, self.generator), model.size)

    def _weights(self, step: Step) -> Tensor:
        """Weights of violations in the merit function: above the multipliers, never falling."""
        above = 1.5 * self._rows_of(step.multipliers)
        if not self.state.weights.numel():
            return above + 1e-3
        return torch.maximum(above, self.state.weights)

    def _yardstick(self, promised: float) -> float:
        """The lift, once a step promises so little that the run may end.

        Until then what typical steps change: the baseline costs a call of the model.
        """
        if self.base is None and promised > 10 * self.options.gap:
            return 1.0
        return max(self._baseline() - self.state.f, _LEAST_LIFT)

    def _baseline(self) -> float:
        if self.base is None:
            linear = self.problem.linear
            at = linear.lower if self.problem.baseline is None else self.problem.baseline
            self.base, _ = self.oracle.forward(at, graph=False)
        return self.base

    def _record(self, share: float) -> str | None:
        """Keep the iterate, and say why the run ends here if it does."""
        state = self.state
        worst = violation(state.c)
        now = _Best(worst <= self.options.violation, state.f, worst, state.x)
        if now.beats(self.best):
            self.best = now
        self.trace.append(
            Progress(
                self.iteration,
                -state.f * self.oracle.sigma,
                worst,
                share,
                self.counter.forward,
                self.counter.backward,
                time.perf_counter() - self.begun,
            )
        )
        return self.stopping.reason(self.trace[-1])

    def _may_stop(self, step: Step, share: float) -> bool:
        """Whether the run ends here, where no step promises anything any more."""
        state, options = self.state, self.options
        if violation(state.c) > options.violation:
            if self.model.elastic >= _LARGEST_CAP:
                self.status, self.message = "infeasible", "rows cannot all be kept"
                state.multipliers = step.multipliers
                return True
            # A multiplier at its cap may only say that the cap was too low.
            self.model.elastic *= 10.0
            state.weights = torch.zeros(0, dtype=state.x.dtype)
            return False
        y = self._rows_of(step.multipliers)
        if self.exact:
            assert state.gradient is not None
            gradient = state.gradient + self.model.transposed_rows(y)
        else:
            gradient = self.oracle.gradient(y)
        bound = self._certificate(gradient, step.multipliers, state.c).gap
        done = self.problem.concave is False or bound <= options.gap
        stuck = share <= 1e-13 or (
            len(self.bounds) >= _PATIENCE and bound > 0.5 * self.bounds[-_PATIENCE]
        )
        self.bounds.append(bound)
        if done or stuck:
            self.status, self.message = "feasible", "flat" if self.flat else "converged"
            state.multipliers = step.multipliers
        return done or stuck

    def _advance(self, step: Step, promised: float, share: float, weights: Tensor) -> bool:
        """Move to an acceptable point.

        The step, then one second-order correction, then shorter steps.
        """
        state, model, oracle = self.state, self.model, self.oracle
        reference = max(merit(f, c, weights) for f, c in self.history[-_REMEMBERED:])
        reference += 1e-14 * (abs(state.f) + abs(self.base or 0.0))
        # Rows of another problem say too little to correct by them.
        borrowed = self.iteration == 1 and not self.exact
        for attempt in range(_ATTEMPTS):
            if attempt == 2 and not self.exact:
                # Old row gradients may promise what the model does not keep: take them anew.
                oracle.forward(state.x)
                state.gradient = oracle.gradient()
                model.refresh_rows()
                model.jx = model.rows_times(state.x)
                self.jacobian_age, self.exact, state.boost = 1, True, 1.0
                step = model.step(state, state.c)
                promised = model.promised(state, step.target, weights)
            enough = reference - 1e-4 * promised
            f, c = oracle.forward(step.target)
            accepted = step.error <= _SOUND and merit(f, c, weights) <= enough
            tempting = (
                violation(c) > self.options.violation and share < _CORRECT_BELOW and not borrowed
                if accepted
                else model.rows > 0 and float((weights * c.clamp(min=0)).sum()) > 0
            )
            if tempting:
                corrected = model.corrected(state, step, c)
                f_corrected, c_corrected = oracle.forward(corrected.target)
                if corrected.error <= _SOUND and merit(f_corrected, c_corrected, weights) <= enough:
                    step, f, c, accepted = corrected, f_corrected, c_corrected, True
            if accepted:
                self._move(step, f, c, weights)
                return True
            state.boost *= 3.0
            step = model.step(state, state.c)
        self.message = "no step improves the merit function"
        if violation(state.c) <= self.options.violation and share <= 100 * self.options.gap:
            self.status, self.message = "feasible", "converged to rounding"
        return False

    def _move(self, step: Step, f: float, c: Tensor, weights: Tensor) -> None:
        state = self.state
        assert state.gradient is not None
        y = self._rows_of(step.multipliers)
        self.previous = (state.x, state.gradient + self.model.transposed_rows(y))
        state.x, state.f, state.c = step.target, f, c
        state.multipliers, state.weights = step.multipliers, weights
        state.boost = max(1.0, state.boost / 2.0)
        self.history.append((f, c))

    # The answer

    def _rows_of(self, multipliers: Tensor) -> Tensor:
        return multipliers[self.model.budgets :]

    def _certificate(self, gradient: Tensor, multipliers: Tensor, c: Tensor) -> Certificate:
        """Certificate at the current point for the exact ``gradient`` of the Lagrangian there."""
        state, budgets = self.state, self.model.budgets
        assert state.metric is not None
        return self.certifier.certify(
            state.x,
            gradient,
            state.metric,
            multipliers[:budgets],
            c,
            multipliers[budgets:],
            max(self._baseline() - state.f, _LEAST_LIFT),
        )

    def _finish(self) -> Solution:
        state, oracle, model = self.state, self.oracle, self.model
        rows = self.problem.rows
        if self.status != "feasible" and self.best is not None:
            state.x = self.best.x
        y = self._rows_of(state.multipliers)
        base = self._baseline()
        state.f, c = oracle.forward(state.x)
        gradient = oracle.gradient(y, keep=False)
        if state.metric is None:
            state.metric = torch.ones_like(state.x)
        certificate = self._certificate(gradient, state.multipliers, c)
        linear = self.problem.linear.worst_violation(state.x)
        worst = max(violation(c), linear)
        if self.status == "feasible" and linear > max(self.options.violation, 1e-9):
            self.status, self.message = "stalled", "bounds, budgets or ramps could not be kept"
        if (
            self.status == "feasible"
            and self.problem.concave
            and certificate.gap <= self.options.gap
        ):
            self.status = "optimal"
        lift = base - state.f
        sigma = oracle.sigma
        return Solution(
            status=self.status,
            message=self.message,
            x=state.x,
            objective=-state.f * sigma,
            outcomes=rows.limit + rows.sign * rows.scale * c,
            lift=lift * sigma,
            yardstick=max(lift, _LEAST_LIFT) * sigma,
            violation=worst,
            budget_prices=state.multipliers[: model.budgets] * sigma,
            # d objective / d limit: scaled multipliers are per relative limit and per sigma.
            row_prices=rows.sign * y * sigma / rows.scale,
            certificate=certificate,
            warm=WarmStart(
                state.x,
                state.multipliers * sigma,
                state.metric * sigma,
                tuple(coefficient.clone() for coefficient in model.jacobian),
            ),
            counter=self.counter,
            iterations=self.iteration,
            elastic=y >= model.elastic * model.row_unit * (1 - 1e-9),
            trace=tuple(self.trace),
        )
