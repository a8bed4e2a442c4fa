"""scipy's SLSQP behind the same problem and answer, for small problems and as an oracle.

Its cost grows with the cube of the cells, and it knows nothing of a certificate: multipliers are
those of least squares on the active limits, and the same bound as everywhere judges the result.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize, nnls
from torch import Tensor

from dagcast_core.solver.answer import (
    Certifier,
    Options,
    Progress,
    Solution,
    WarmStart,
    reduced_gradient,
)
from dagcast_core.solver.problem import (
    Counter,
    DecisionError,
    LinearSet,
    Oracle,
    SmoothProblem,
    default_start,
    equal_shares,
    typical_size,
)
from dagcast_core.solver.stopping import Stopping

__all__ = ["Slsqp"]

_MOST_CELLS = 600
_ACTIVE = 1e-5
_LEAST_LIFT = 1e-3


class _StoppedError(Exception):
    """A rule ends the run."""


@final
class Slsqp:
    """The method for small problems; see `Method`."""

    name = "slsqp"

    def accepts(self, problem: SmoothProblem) -> bool:
        """Up to some hundred cells."""
        return problem.linear.size <= _MOST_CELLS

    def solve(
        self,
        problem: SmoothProblem,
        options: Options,
        warm: WarmStart | None,
        stopping: Stopping,
    ) -> Solution:
        """One run of scipy's; see `Method`."""
        if not self.accepts(problem):
            raise DecisionError(
                f"SLSQP serves up to {_MOST_CELLS} cells; this problem has {problem.linear.size}. "
                "Leave out method."
            )
        return _solve(problem, options, warm, stopping)


def _solve(
    problem: SmoothProblem,
    options: Options,
    warm: WarmStart | None,
    stopping: Stopping,
) -> Solution:
    problem = replace(problem, linear=problem.linear.tightened())
    linear = problem.linear
    counter = Counter()
    oracle = Oracle(problem, counter)
    begun = time.perf_counter()
    size = typical_size(linear.lower, linear.upper, equal_shares(linear))
    start = default_start(linear) if warm is None else warm.x
    baseline = linear.lower if problem.baseline is None else problem.baseline
    f0, _ = oracle.forward(baseline, graph=False)
    oracle.forward(start)
    sigma = float((oracle.gradient().abs() * size).sum())
    oracle.sigma = sigma if sigma > 0 else 1.0
    f0 /= oracle.sigma
    matrix, limit = _dense(linear)
    scale = size.numpy()
    rows = problem.rows.limit.numel()
    at: dict[bytes, tuple[float, Tensor, npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}

    def found(
        u: npt.NDArray[np.float64],
    ) -> tuple[float, Tensor, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        key = u.tobytes()
        if key not in at:
            at.clear()
            x = torch.from_numpy(u * scale)
            f, c = oracle.forward(x)
            gradient = oracle.gradient().numpy() * scale
            at[key] = (f, c, gradient, _jacobian(oracle, rows) * scale)
        return at[key]

    trace: list[Progress] = []

    def note(u: npt.NDArray[np.float64]) -> None:
        last[0] = u.copy()
        f, c, _, _ = found(u)
        trace.append(
            Progress(
                len(trace) + 1,
                -f * oracle.sigma,
                float(c.max().clamp(min=0)) if rows else 0.0,
                float("nan"),
                counter.forward,
                counter.backward,
                time.perf_counter() - begun,
            )
        )
        reason = stopping.reason(trace[-1])
        if reason is not None:
            raise _StoppedError(reason)

    constraints = []
    if len(limit):
        constraints.append(
            {
                "type": "ineq",
                "fun": lambda u: limit - matrix @ (u * scale),
                "jac": lambda u: -matrix * scale,
            }
        )
    if rows:
        constraints.append(
            {
                "type": "ineq",
                "fun": lambda u: -found(u)[1].numpy(),
                "jac": lambda u: -found(u)[3],
            }
        )
    ends = list(zip(linear.lower.numpy() / scale, linear.upper.numpy() / scale, strict=True))
    last = [start.numpy() / scale]
    stopped = ""
    message, success = "", False
    try:
        result = minimize(
            lambda u: found(u)[0],
            last[0],
            jac=lambda u: found(u)[2],
            method="SLSQP",
            bounds=ends,
            constraints=constraints,
            callback=note,
            options={"maxiter": options.iterations, "ftol": 1e-3 * options.gap},
        )
        last[0], message, success = result.x, str(result.message), bool(result.success)
    except _StoppedError as reason:
        stopped = str(reason)
    except KeyboardInterrupt:
        stopped = "interrupted"
    x = torch.from_numpy(last[0] * scale).clamp(linear.lower, linear.upper)
    f, c = oracle.forward(x)
    gradient = oracle.gradient()
    jacobian = torch.from_numpy(_jacobian(oracle, rows))
    budgets = sum(layer.limit.numel() for layer in linear.budgets)
    y, prices = _multipliers(problem, x, gradient, jacobian, c, size, budgets)
    lift = f0 - f
    yardstick = max(lift, _LEAST_LIFT)
    full = gradient + jacobian.T @ prices if rows else gradient
    certificate = Certifier(linear).certify(x, full, 1.0 / (size * size), y, c, prices, yardstick)
    violation = float(c.max().clamp(min=0)) if rows else 0.0
    violation = max(violation, linear.worst_violation(x))
    status = "interrupted" if stopped else "stalled"
    if status == "stalled" and violation > options.violation:
        # SLSQP does not tell a conflict from a line search that failed; least violations do.
        status = "infeasible"
    if success and violation <= options.violation:
        proved = problem.concave and certificate.gap <= options.gap
        status = "optimal" if proved else "feasible"
    signs = problem.rows
    return Solution(
        status,  # type: ignore[arg-type]
        stopped or f"SLSQP: {message}",
        x,
        -f * oracle.sigma,
        signs.limit + signs.sign * signs.scale * c,
        lift * oracle.sigma,
        yardstick * oracle.sigma,
        violation,
        y * oracle.sigma,
        signs.sign * prices * oracle.sigma / signs.scale,
        certificate,
        WarmStart(x, torch.cat([y, prices]) * oracle.sigma),
        counter,
        len(trace),
        torch.zeros(rows, dtype=torch.bool),
        tuple(trace),
    )


def _jacobian(oracle: Oracle, rows: int) -> npt.NDArray[np.float64]:
    """Gradients of all rows at the oracle's point, (rows, cells)."""
    eye = torch.eye(rows, dtype=torch.float64)
    plain = oracle.gradient()
    found = [(oracle.gradient(eye[k]) - plain).numpy() for k in range(rows)]
    return np.stack(found) if found else np.zeros((0, plain.numel()))


def _dense(linear: LinearSet) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Budgets and both sides of every link of the chains as rows A x <= b."""
    rows: list[Tensor] = []
    limits: list[float] = []
    cells = linear.lower.numel()
    for layer in linear.budgets:
        for k in range(layer.limit.numel()):
            inside = layer.group == k
            rows.append(torch.where(inside, layer.coefficient, torch.zeros_like(layer.coefficient)))
            limits.append(float(layer.limit[k]))
    for chains in linear.all_chains:
        order, limit = chains.order, chains.limit
        for chain in range(order.shape[0]):
            for t in range(1, order.shape[1]):
                here, before = int(order[chain, t]), int(order[chain, t - 1])
                if here < 0 or before < 0:
                    continue
                for sign in (1.0, -1.0):
                    row = torch.zeros(cells, dtype=torch.float64)
                    row[here], row[before] = sign, -sign
                    rows.append(row)
                    limits.append(float(limit[chain, t]))
    matrix = torch.stack(rows).numpy() if rows else np.zeros((0, cells))
    return matrix, np.asarray(limits, dtype=np.float64)


def _multipliers(
    problem: SmoothProblem,
    x: Tensor,
    gradient: Tensor,
    jacobian: Tensor,
    c: Tensor,
    size: Tensor,
    budgets: int,
) -> tuple[Tensor, Tensor]:
    """Nonnegative multipliers of budgets and rows that explain the gradient best where x is free.

    With ramps they leave out the links' own multipliers, which only widens the bound.
    """
    linear = problem.linear
    y = torch.zeros(budgets, dtype=torch.float64)
    prices = torch.zeros(c.numel(), dtype=torch.float64)
    room = 1e-6 * size
    free = (x > linear.lower + room) & (x < linear.upper - room)
    columns, where = [], []
    offset = 0
    for layer in linear.budgets:
        slack = layer.limit - layer.sums(x)
        for k in range(layer.limit.numel()):
            if float(slack[k]) <= _ACTIVE * max(float(layer.limit[k]), 1e-300):
                one = torch.zeros(budgets, dtype=torch.float64)
                one[offset + k] = 1.0
                columns.append(reduced_gradient(torch.zeros_like(x), linear, one))
                where.append(offset + k)
        offset += layer.limit.numel()
    for k in torch.nonzero(c >= -_ACTIVE).flatten().tolist():
        columns.append(jacobian[k])
        where.append(budgets + k)
    if not columns or not bool(free.any()):
        return y, prices
    left = (torch.stack(columns, 1) * size.unsqueeze(1))[free].numpy()
    right = (-gradient * size)[free].numpy()
    found, _ = nnls(left, right)
    both = torch.cat([y, prices])
    both[where] = torch.from_numpy(found)
    return both[:budgets], both[budgets:]
