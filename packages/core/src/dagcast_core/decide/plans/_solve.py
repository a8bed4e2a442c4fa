"""`solve`: from a decision problem to a plan."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from dagcast_core.decide.compile import Compiled, lay_out
from dagcast_core.decide.declare import DecisionProblem
from dagcast_core.decide.plans._assemble import plan_of
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.run import apply_fallbacks, looked_into, searched, time_left
from dagcast_core.solver import DecisionError, Options, Progress, WarmStart, method_named, preferred
from dagcast_core.tensor import Panel

__all__ = ["solve"]


def solve(
    problem: DecisionProblem,
    start: Plan | Panel | None = None,
    *,
    options: Options | None = None,
    starts: int = 3,
    progress: Callable[[Progress], None] | None = None,
    method: str | None = None,
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
        method: the first that takes the problem by default. "separable" is this package's solver;
            "slsqp" is scipy's, for up to a few hundred cells, such as to compare with.

    Returns:
        A plan; see its status. Ctrl-C returns the best point found with status "interrupted", and
        what was certified already with a warning that it was not looked over.

    Raises:
        DecisionError: limits contradict one another before any model is asked, or the model is not
            finite at the places named.
        KeyboardInterrupt: interrupted before the solver began, or a second time.
    """
    options = options or Options(gap=1e-5)
    asked = None if method is None else method_named(method)
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 0:
        raise DecisionError(f"starts is {starts!r}; it is a whole number of at least 0.")
    begun = time.perf_counter()
    try:
        _import_derivatives()
        ruled = apply_fallbacks(problem)
        compiled = lay_out(ruled.problem)
        warm = _warm(compiled, start)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted while the problem was laid out: the solver had not begun, so there is no "
            "plan to return"
        ) from None
    chosen = preferred(compiled.smooth) if asked is None else asked
    found = searched(compiled, warm, options, starts, progress, chosen)
    try:
        if found.solution.status == "infeasible":
            found = looked_into(compiled, found, time_left(options, begun), progress)
        return plan_of(compiled, ruled, found, options, time.perf_counter() - begun, chosen.name)
    except KeyboardInterrupt:
        # The decisions are there: what is said about them is cut short, which takes a few passes.
        seconds = time.perf_counter() - begun
        return plan_of(compiled, ruled, found, options, seconds, chosen.name, cut_short=True)


def _import_derivatives() -> None:
    """Take a derivative: torch imports much with the first one, which must not be interrupted.

    What is left half imported fails in every later call, also in those that answer Ctrl-C.
    """
    leaf = torch.ones(1, requires_grad=True)
    torch.autograd.grad(leaf.square().sum(), leaf, create_graph=True)


def _warm(compiled: Compiled, start: Plan | Panel | None) -> WarmStart | None:
    if isinstance(start, Plan):
        x = compiled.space.flat(start.decisions)
        rows = len(compiled.linear.budgets.names) + len(compiled.outcomes.names)
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
