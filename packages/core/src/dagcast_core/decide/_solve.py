"""`solve` and `what_if`: from a decision problem to a plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch

from dagcast_core.decide._assemble import assemble, plan_of, provenance
from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._declare import DecisionError, Fallback
from dagcast_core.decide._diagnose import broken_linear, explain_non_finite
from dagcast_core.decide._fallback import apply_fallbacks
from dagcast_core.decide._plan import Plan
from dagcast_core.decide._problem import DecisionProblem
from dagcast_core.decide._search import looked_into, searched, time_left
from dagcast_core.decide._smooth import NonFiniteError
from dagcast_core.decide._sqp import Options, Progress, WarmStart
from dagcast_core.tensor import Panel

__all__ = ["solve", "what_if"]


def solve(
    problem: DecisionProblem,
    start: Plan | Panel | None = None,
    *,
    options: Options | None = None,
    starts: int = 3,
    progress: Callable[[Progress], None] | None = None,
    method: Literal["separable", "slsqp"] = "separable",
) -> Plan:
    """Find the best decisions.

    Args:
        problem: what to decide.
        start: a plan of a related problem (its decisions and multipliers), or decisions to start
            from.
        options: tolerances, limits of time and iterations, seed.
        starts: for problems that turn out not to be concave: further starts from a table of gains,
            low spend, the current plan and at random, the best of which is returned as the best
            known. With 0 it is not even tested whether the problem is concave, and unless that is
            declared nothing is claimed but a local optimum.
        progress: called once per iteration.
        method: "separable" is this package's solver; "slsqp" is scipy's, for up to a few hundred
            cells, such as to compare with.

    Returns:
        A plan; see its status. Ctrl-C returns the best point found with status "interrupted", and
        what was certified already with a warning that it was not looked over.

    Raises:
        DecisionError: limits contradict one another before any model is asked, or the model is not
            finite at the places named.
        KeyboardInterrupt: interrupted before the solver began, or a second time.
    """
    options = options or Options(gap=1e-5)
    if method not in ("separable", "slsqp"):
        raise DecisionError(f"no method {method!r}; use 'separable' or 'slsqp'.")
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 0:
        raise DecisionError(f"starts is {starts!r}; it is a whole number of at least 0.")
    begun = time.perf_counter()
    try:
        _import_derivatives()
        ruled = apply_fallbacks(problem)
        compiled = _compiled(ruled.problem)
        warm = _warm(compiled, start)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted while the problem was laid out: the solver had not begun, so there is no "
            "plan to return"
        ) from None
    found = searched(compiled, warm, options, starts, progress, method)
    try:
        if found.solution.status == "infeasible":
            found = looked_into(compiled, found, time_left(options, begun), progress)
        return plan_of(compiled, ruled, found, options, time.perf_counter() - begun, method)
    except KeyboardInterrupt:
        # The decisions are there: what is said about them is cut short, which takes a few passes.
        seconds = time.perf_counter() - begun
        return plan_of(compiled, ruled, found, options, seconds, method, cut_short=True)


def _import_derivatives() -> None:
    """Take a derivative: torch imports much with the first one, which must not be interrupted.

    What is left half imported fails in every later call, also in those that answer Ctrl-C.
    """
    leaf = torch.ones(1, requires_grad=True)
    torch.autograd.grad(leaf.square().sum(), leaf, create_graph=True)


def what_if(problem: DecisionProblem, decisions: Panel, *, options: Options | None = None) -> Plan:
    """Evaluate given decisions by the same path as a solved plan.

    Args:
        problem: the limits that the decisions are judged by.
        decisions: every lever over the problem's labels.
        options: the tolerance of violations.

    Returns:
        A plan with status "feasible" or "infeasible", whose conflicts name the limits that it
        breaks.
    """
    options = options or Options(gap=1e-5)
    begun = time.perf_counter()
    # A person's proposal is judged as it is: rules for uncertain cells do not bind it.
    ruled = apply_fallbacks(
        replace(
            problem,
            constraints=[c for c in problem.constraints if not isinstance(c, Fallback)],
        )
    )
    compiled = _compiled(ruled.problem)
    x = compiled.space.flat(decisions)
    if not bool(torch.isfinite(x).all()):
        at = compiled.space.where(int(torch.nonzero(~torch.isfinite(x))[0]))
        raise DecisionError(f"the decisions have no number at {at}. Give every cell a value.")
    try:
        with torch.no_grad():
            objective, outcomes = compiled.exact(x)
            base, _ = compiled.exact(compiled.smooth.linear.lower)
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    if not bool(torch.isfinite(objective)) or not bool(torch.isfinite(outcomes).all()):
        what = "outcome" if bool(torch.isfinite(objective)) else "objective"
        raise explain_non_finite(compiled, NonFiniteError(what, (), 1, x))
    rows = compiled.smooth.rows
    excess = rows.sign * (outcomes - rows.limit) / rows.scale
    broken = [
        str(compiled.outcomes[k]) for k in torch.nonzero(excess > options.violation).flatten()
    ]
    spent = [layer.sums(x) for layer in compiled.smooth.linear.budgets]
    over = torch.cat(spent) if spent else torch.zeros(0, dtype=x.dtype)
    limit = torch.tensor([name.limit for name in compiled.budgets], dtype=x.dtype)
    broken += [
        str(compiled.budgets[k])
        for k in torch.nonzero(over > limit * (1 + options.violation)).flatten()
    ]
    linear_violation = compiled.smooth.linear.worst_violation(x)
    if linear_violation > options.violation:
        broken += broken_linear(compiled, x, options.violation)
    worst = max(linear_violation, float(excess.max().clamp(min=0)) if excess.numel() else 0.0)
    return assemble(
        compiled,
        ruled,
        x,
        objective,
        outcomes,
        base,
        torch.zeros(len(compiled.budgets), dtype=x.dtype),
        torch.zeros(len(compiled.outcomes), dtype=x.dtype),
        status="infeasible" if broken else "feasible",
        message="given decisions, evaluated; "
        + ("breaks limits" if broken else "keeps every limit"),
        kkt_residual=float("nan"),
        worst_violation=worst,
        gap_bound=None,
        concavity="unknown",
        conflicts=tuple(broken),
        multipliers=(),
        provenance=provenance(problem, options, time.perf_counter() - begun, {"kind": "what-if"}),
    )


def _compiled(problem: DecisionProblem) -> Compiled:
    try:
        return Compiled(problem)
    except NonFiniteError as error:
        # Which cells rows touch cannot be told; their names and the cells' are all that is needed.
        raise explain_non_finite(Compiled(problem, families=()), error) from error


def _warm(compiled: Compiled, start: Plan | Panel | None) -> WarmStart | None:
    if isinstance(start, Plan):
        x = compiled.space.flat(start.decisions)
        rows = len(compiled.budgets) + len(compiled.outcomes)
        if len(start.multipliers) == rows:
            return WarmStart(x, torch.tensor(start.multipliers, dtype=x.dtype))
        return WarmStart(x)
    if start is not None:
        x = compiled.space.flat(start, "start")
        if not bool(torch.isfinite(x).all()):
            at = compiled.space.where(int(torch.nonzero(~torch.isfinite(x))[0]))
            raise DecisionError(f"the start has no number at {at}. Give every cell a value.")
        return WarmStart(x)
    return None
