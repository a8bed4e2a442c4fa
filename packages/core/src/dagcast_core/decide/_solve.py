"""`solve` and `what_if`: from a decision problem to a plan."""

from __future__ import annotations

import contextlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, final

import torch
from torch import Tensor

from dagcast_core.decide._compile import Compiled
from dagcast_core.decide._concavity import is_supported
from dagcast_core.decide._declare import DecisionError, Fallback, OutcomeLimit
from dagcast_core.decide._describe import describe
from dagcast_core.decide._diagnose import (
    broken_linear,
    explain_empty,
    explain_infeasible,
    explain_non_finite,
)
from dagcast_core.decide._fallback import Ruled, apply_fallbacks
from dagcast_core.decide._globally import solve_globally
from dagcast_core.decide._interrupted import CUT_SHORT, Watched
from dagcast_core.decide._linear import EmptySetError
from dagcast_core.decide._patience import Patience
from dagcast_core.decide._phase_one import PhaseOne, phase_one
from dagcast_core.decide._plan import Plan
from dagcast_core.decide._problem import DecisionProblem
from dagcast_core.decide._reading import (
    marginal_effects,
    objective_unit,
    sensitivities,
    shadow_prices,
)
from dagcast_core.decide._slsqp import solve_slsqp
from dagcast_core.decide._smooth import Counter, NonFiniteError
from dagcast_core.decide._sqp import (
    Options,
    Progress,
    Solution,
    WarmStart,
    solve_smooth,
)
from dagcast_core.decide._warnings import warnings_of
from dagcast_core.tensor import Panel

__all__ = ["search", "solve", "what_if"]

# Rounds of less and less smoothing of measures over draws.
_SHARPENED = 6
# They end where a round adds less than this share of the lift and proves no more than those before.
_NOTHING = 1e-6
# The solver is given up where the worst violation falls by less than this share within so many
# iterations; where limits can be kept it falls by orders of magnitude.
_FALLS, _WITHIN = 0.1, 15


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
    found = _searched(compiled, warm, options, starts, progress, method)
    try:
        if found.solution.status == "infeasible":
            found = _looked_into(compiled, found, _left(options, begun), progress)
        return _plan_of(compiled, ruled, found, options, time.perf_counter() - begun, method)
    except KeyboardInterrupt:
        # The decisions are there: what is said about them is cut short, which takes a few passes.
        seconds = time.perf_counter() - begun
        return _plan_of(compiled, ruled, found, options, seconds, method, cut_short=True)


def _import_derivatives() -> None:
    """Take a derivative: torch imports much with the first one, which must not be interrupted.

    What is left half imported fails in every later call, also in those that answer Ctrl-C.
    """
    leaf = torch.ones(1, requires_grad=True)
    torch.autograd.grad(leaf.square().sum(), leaf, create_graph=True)


@final
@dataclass(frozen=True)
class _Found:
    """A solution and what may be claimed of it.

    Attributes:
        solution: see `Solution`.
        concavity: see `Plan`.
        tried: number of starts.
        gap: bound on what a better plan could add, relative to the lift, smoothing included.
        before: calls of rounds with more smoothing.
        least: the decisions of least violation, where the problem is infeasible.
        objective: of the solution by the exact measure, maximised, where measures are smoothed.
        added: what the last round of less smoothing added to it, relative to the lift; None where
            there was but one.
    """

    solution: Solution
    concavity: Any
    tried: int
    gap: float
    before: Counter = field(default_factory=Counter)
    least: PhaseOne | None = None
    objective: float = float("-inf")
    added: float | None = None


def _searched(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
    method: str,
) -> _Found:
    """Solve; where measures over draws have kinks, with ever less smoothing."""
    begun = time.perf_counter()
    if method == "slsqp":
        return _by_slsqp(compiled, warm, options, starts, progress)
    if not compiled.smoothed:
        solution, concavity, tried = search(
            compiled, warm, options, starts=starts, progress=progress
        )
        solution = _kept_after_all(solution, options)
        return _Found(solution, concavity, tried, solution.certificate.gap)
    rough = replace(options, gap=max(options.gap, 1e-3))
    solution, concavity, tried = search(compiled, warm, rough, starts=starts, progress=progress)
    # Until the cost of smoothing is known, nothing is claimed of the gap.
    best = _Found(solution, concavity, tried, float("inf"))
    # Wide smoothing bounds the optimum well, narrow smoothing finds it: every round's bound is one
    # for all plans, so the best plan of any round is judged by the lowest bound of any, and its
    # prices are those that prove that bound.
    bound, proof = float("inf"), solution
    spent = Counter()
    try:
        for k in range(_SHARPENED):
            solution = _kept_after_all(solution, options)
            objective, gap, lift = _true_gap(compiled, solution)
            lower = objective + gap * lift < bound
            if lower:
                bound, proof = objective + gap * lift, solution
            if solution.status == "stalled" and best.solution.status == "feasible":
                # A round before converged, and this one began at its plan: what stalls is the
                # search for the last of it.
                solution = replace(solution, status="feasible", message="converged to rounding")
            found = _Found(solution, concavity, tried, gap, objective=objective)
            before = best.objective
            if _better(found, best, options):
                best = found
            gap = max(bound - best.objective, 0.0) / best.solution.yardstick
            added = (best.objective - before) / best.solution.yardstick if k else None
            best = replace(best, gap=gap, added=added)
            left = None
            if options.time_limit is not None:
                left = options.time_limit - (time.perf_counter() - begun)
            if (
                solution.status in ("interrupted", "infeasible")
                or gap <= options.gap
                or (left is not None and left <= 0)
                or (added is not None and added <= _NOTHING and not lower)
            ):
                break
            spent.forward += solution.counter.forward
            spent.backward += solution.counter.backward
            compiled.sharpen(lift * 0.25**k, solution.row_prices)
            start = WarmStart(solution.x, solution.warm.multipliers)
            solution, _, _ = search(
                compiled, start, replace(options, time_limit=left), progress=progress
            )
    except KeyboardInterrupt:
        stopped = replace(best.solution, status="interrupted", message="interrupted")
        return replace(best, solution=stopped)
    if solution.status == "interrupted" and best.gap > options.gap:
        # The rounds before were more smoothed than was asked for: they do not count as an end.
        stopped = replace(best.solution, status="interrupted", message=solution.message)
        best = replace(best, solution=stopped)
    warm = replace(best.solution.warm, multipliers=proof.warm.multipliers)
    priced = replace(
        best.solution,
        budget_prices=proof.budget_prices,
        row_prices=proof.row_prices,
        certificate=proof.certificate,
        warm=warm,
    )
    best = replace(best, solution=priced)
    last = solution.counter
    spent.forward += last.forward - best.solution.counter.forward
    spent.backward += last.backward - best.solution.counter.backward
    return replace(best, before=spent)


def _by_slsqp(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    starts: int,
    progress: Callable[[Progress], None] | None,
) -> _Found:
    watched = Watched(compiled.smooth, options)
    try:
        solution = solve_slsqp(watched.problem, options, warm, progress)
    except KeyboardInterrupt:
        solution = watched.stopped(warm)
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise explain_empty(compiled, error) from error
    concavity = "unknown"
    if starts > 0 and solution.status != "interrupted":
        with contextlib.suppress(KeyboardInterrupt):
            concavity = _concavity(compiled, solution, options)
    if solution.status == "stalled" and solution.violation > options.violation:
        # SLSQP does not tell a conflict from a line search that failed; least violations do.
        solution = replace(solution, status="infeasible")
    return _Found(solution, concavity, 1, solution.certificate.gap)


def _left(options: Options, begun: float) -> Options:
    """The options with what is left of the time limit."""
    if options.time_limit is None:
        return options
    left = options.time_limit - (time.perf_counter() - begun)
    return replace(options, time_limit=max(left, 1e-9))


def _looked_into(
    compiled: Compiled,
    found: _Found,
    options: Options,
    progress: Callable[[Progress], None] | None,
) -> _Found:
    """Minimise violations alone: either the conflict, or a point from which to solve after all."""
    begun = time.perf_counter()
    try:
        least = phase_one(compiled.smooth, found.solution.x, options)
        if not least.finished:
            return _unfinished(found, options)
        kept = least.keeps(options.violation)
        if not kept and not least.is_open:
            return replace(found, least=least)
        again, concavity, _ = search(
            compiled,
            WarmStart(least.x),
            _left(options, begun),
            starts=1,
            progress=progress,
            patient=True,
        )
        again = _kept_after_all(again, options)
    except KeyboardInterrupt:
        return _unfinished(found, replace(options, time_limit=None))
    if again.status == "infeasible":
        message = "some plan keeps every limit, but the solver did not come back to one"
        if not kept:
            message = (
                "no plan that keeps every limit was found, but some come so near that there may "
                f"be one (the limits are missed by {float(least.violations.max()):.1e} of "
                "themselves). Relax them by more than that"
            )
        again = replace(again, status="stalled", message=message)
    return _Found(again, concavity, found.tried + 1, again.certificate.gap)


def _unfinished(found: _Found, options: Options) -> _Found:
    """Stopped before it was clear whether the limits contradict one another."""
    message = "interrupted"
    if options.time_limit is not None:
        message = (
            "time limit reached before it was clear whether any plan keeps every limit; the plan "
            "is the best point found, and breaks some"
        )
    stopped = replace(found.solution, status="interrupted", message=message)
    return replace(found, solution=stopped)


def _kept_after_all(solution: Solution, options: Options) -> Solution:
    """Where the solver gave up rows that its best point keeps, the point counts."""
    if solution.status == "infeasible" and solution.violation <= options.violation:
        return replace(solution, status="feasible", message="converged")
    return solution


def _true_gap(compiled: Compiled, solution: Solution) -> tuple[float, float, float]:
    """Objective by the exact measure, gap relative to the lift with the cost of smoothing, lift."""
    with torch.no_grad():
        objective = float(compiled.exact(solution.x)[0])
    cost = compiled.smoothing_cost(solution.x, solution.row_prices)
    gap = solution.certificate.gap + cost / solution.yardstick
    return objective, gap, solution.yardstick


def _better(found: _Found, best: _Found, options: Options) -> bool:
    """Whether the plan of a round is better: one that keeps its limits, then by objective."""
    kept = found.solution.violation <= options.violation
    was = best.solution.violation <= options.violation
    if kept != was:
        return kept
    if not kept:
        return found.solution.violation < best.solution.violation
    return found.objective >= best.objective


def search(
    compiled: Compiled,
    warm: WarmStart | None,
    options: Options,
    *,
    starts: int = 0,
    progress: Callable[[Progress], None] | None = None,
    patient: bool = False,
) -> tuple[Solution, Any, int]:
    """Solve, and start again elsewhere where the problem turns out not to be concave.

    Args:
        compiled: the problem.
        warm: where to start, or None.
        options: of every start.
        progress: called once per iteration.
        starts: further starts; with 0 concavity is not tested.
        patient: go on where violations of limits no longer fall.

    Returns:
        The best solution, "declared", "tested", "refuted" or "unknown", and the number of starts.

    Raises:
        DecisionError: the model is not finite, or the linear limits contradict one another.
    """
    begun = time.perf_counter()
    tried = 1
    watched = Watched(compiled.smooth, options)
    patience = Patience(lambda state: state.violation, _FALLS, _WITHIN, options.violation, progress)
    try:
        try:
            solution = solve_smooth(
                watched.problem, options, warm, progress if patient else patience
            )
        except KeyboardInterrupt:
            solution = watched.stopped(warm)
        if patience.ended:
            # Whether some plan keeps every limit is then asked without the objective.
            solution = replace(solution, status="infeasible", message="rows cannot all be kept")
        if starts == 0:
            return solution, "declared" if compiled.problem.concave else "unknown", tried
        if solution.status == "interrupted":
            return solution, "unknown", tried
        try:
            concavity = _concavity(compiled, solution, options)
            if concavity != "refuted":
                return solution, concavity, tried
            left = None
            if options.time_limit is not None:
                left = max(options.time_limit - (time.perf_counter() - begun), 1e-9)
            # Where rows are not convex, another start may also keep limits that this one could not.
            found = solve_globally(
                compiled.smooth,
                replace(options, time_limit=left),
                starts,
                solution,
                _known_points(compiled),
                progress,
            )
            solution, tried = found.solution, found.tried
        except KeyboardInterrupt:
            return replace(solution, status="interrupted", message="interrupted"), "unknown", tried
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    except EmptySetError as error:
        raise explain_empty(compiled, error) from error
    return solution, concavity, tried


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
    return _assemble(
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
        provenance=_provenance(problem, options, time.perf_counter() - begun, {"kind": "what-if"}),
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


def _concavity(compiled: Compiled, solution: Solution, options: Options) -> Any:
    if not compiled.convex_measures:
        # A quantile of concave functions is not concave.
        return "refuted"
    if compiled.problem.concave:
        return "declared"
    if compiled.problem.concave is False:
        return "refuted"
    rows = compiled.smooth.rows
    weights = solution.row_prices * rows.sign
    held = is_supported(compiled.smooth, solution.x, weights, options.seed)
    return "tested" if held else "refuted"


def _known_points(compiled: Compiled) -> list[Tensor]:
    """The plan in force, where it covers the problem's hours."""
    current = compiled.problem.current
    if current is None or not all(name in current for name in compiled.space.slices):
        return []
    with contextlib.suppress(DecisionError):
        return [compiled.space.flat(current)]
    return []


def _claim(found: _Found, options: Options) -> tuple[Any, str]:
    solution, concavity, gap = found.solution, found.concavity, found.gap
    if solution.status in ("interrupted", "infeasible", "stalled"):
        return solution.status, solution.message
    if solution.message == "flat":
        return "feasible", "the objective is flat: no lever moves it where the solver began"
    if concavity == "refuted":
        words = f"best known of {found.tried} starts" if found.tried > 1 else "local optimum"
        return (
            "feasible",
            f"{words}; the problem is not concave, so no bound on a better plan is proved",
        )
    if concavity == "unknown":
        return (
            "feasible",
            "converged, but nothing is claimed of better plans: it was not tested whether the "
            "problem is concave (declare concave=True, or solve with starts of at least 1)",
        )
    share = f"at most {gap:.1e} of the lift below the optimum"
    basis = "declared concave" if concavity == "declared" else "concave on all points tested"
    if gap <= options.gap:
        return "optimal", f"{share} ({basis})"
    told = f"converged, {share} ({basis}); tolerance {options.gap:.0e}"
    if found.added is not None:
        told += (
            ". Bounds are wide where draws change places in the tail; the last round of less "
            f"smoothing added {found.added:.1e} of the lift"
        )
    return "feasible", told


def _plan_of(
    compiled: Compiled,
    ruled: Ruled,
    found: _Found,
    options: Options,
    seconds: float,
    method: str,
    cut_short: bool = False,
) -> Plan:
    solution, concavity = found.solution, found.concavity
    if solution.status == "infeasible" and found.least is None:
        solution = replace(solution, status="interrupted", message="interrupted")
        found = replace(found, solution=solution)
    status, message = _claim(found, options)
    conflicts: tuple[str, ...] = ()
    if status == "infeasible":
        assert found.least is not None
        conflicts = explain_infeasible(compiled, found.least, options, cut_short)
        said = "no plan keeps every limit"
        if concavity == "refuted":
            said = f"no plan that keeps every limit was found from {found.tried} starts"
        elif found.least.least <= 0.0:
            said = "no plan that keeps every limit was found, nor a proof that there is none"
        message = f"{said}: " + "; ".join(conflicts)
    proved = concavity in ("declared", "tested") and status != "infeasible"
    gap = found.gap * solution.yardstick if proved else None
    warnings = (CUT_SHORT,) if cut_short else warnings_of(compiled, solution, status, options)
    assert solution.warm.multipliers is not None
    counts = solution.counter
    more = {
        "kind": "solved",
        "iterations": solution.iterations,
        "forward": counts.forward + found.before.forward,
        "backward": counts.backward + found.before.backward,
        "starts": found.tried,
        "cells": compiled.space.size,
        "method": method,
    }
    objective = torch.tensor(solution.objective, dtype=torch.float64)
    base = torch.tensor(solution.objective - solution.lift, dtype=torch.float64)
    outcomes = solution.outcomes
    x, violation, residual = solution.x, solution.violation, solution.certificate.residual
    budget_prices, row_prices = solution.budget_prices, solution.row_prices
    if found.least is not None and status == "infeasible":
        # The decisions that break limits least. Multipliers stand at the solver's cap there, which
        # is no price.
        x, residual = found.least.x, float("nan")
        linear = compiled.smooth.linear.worst_violation(x)
        violation = max(linear, float(found.least.violations.max()))
        budget_prices, row_prices = 0.0 * budget_prices, 0.0 * row_prices
    if compiled.smoothed or x is not solution.x:
        with torch.no_grad():
            objective, outcomes = compiled.exact(x)
            base, _ = compiled.exact(compiled.smooth.linear.lower)
    plan = _assemble(
        compiled,
        ruled,
        x,
        objective,
        outcomes,
        base,
        budget_prices,
        row_prices,
        status=status,
        message=message,
        kkt_residual=residual,
        worst_violation=violation,
        gap_bound=gap,
        concavity=concavity,
        conflicts=conflicts,
        multipliers=tuple(solution.warm.multipliers.tolist()),
        warnings=warnings,
        provenance=_provenance(ruled.asked, options, seconds, more),
    )
    return _without_prices(plan) if status == "infeasible" else plan


def _without_prices(plan: Plan) -> Plan:
    """A plan that breaks limits has no prices and no sensitivities of an optimum."""
    priceless = tuple(
        replace(
            item,
            words=f"{item.name}{' of ' + item.label if item.label else ''} is at {item.used:.6g} "
            f"{item.unit}, limit {item.sense} {item.limit:.6g}: no price, as no plan keeps every "
            "limit.",
        )
        for item in plan.shadow_prices
    )
    return replace(plan, shadow_prices=priceless, sensitivities=())


def _assemble(
    compiled: Compiled,
    ruled: Ruled,
    x: Tensor,
    objective: Tensor,
    outcomes: Tensor,
    base: Tensor,
    budget_prices: Tensor,
    row_prices: Tensor,
    **fields: Any,
) -> Plan:
    problem = compiled.problem
    sign = 1.0 if problem.objective.sense == "max" else -1.0
    with torch.no_grad():
        forecast = compiled.forecast(x)
    prices = shadow_prices(compiled, x, outcomes, budget_prices, row_prices)
    limited = [c.quantity for c in problem.constraints if isinstance(c, OutcomeLimit)]
    watched = [name for name in ("eta", "prime_time") if name in problem.contract.output_names]
    effects = marginal_effects(compiled, x, tuple(dict.fromkeys([*limited, *watched])))
    records, _ = sensitivities(compiled, x, row_prices)
    detached = {
        name: tensor.with_tensor(tensor.tensor.detach()) for name, tensor in forecast.items()
    }
    return Plan(
        decisions=Panel(compiled.space.panel(x)),
        forecast=Panel(detached),
        objective=sign * float(objective),
        objective_name=problem.objective.name,
        objective_unit=objective_unit(compiled),
        baseline=sign * float(base),
        shadow_prices=prices,
        active=tuple(
            f"{p.name} {p.label} {p.sense} {p.limit:.6g} {p.unit}".replace("  ", " ")
            for p in prices
            if p.binding
        ),
        marginal_effects=effects,
        sensitivities=records,
        flags=ruled.flags,
        reasons=ruled.reasons,
        response_width=ruled.widths,
        objective_draws=_objective_draws(compiled, x, sign),
        **fields,
    )


def _objective_draws(compiled: Compiled, x: Tensor, sign: float) -> tuple[float, ...]:
    if compiled.scenarios is None:
        return ()
    with torch.no_grad():
        found, _ = compiled.by_draw({**compiled.context, **compiled.space.panel(x)})
    return tuple((sign * found).tolist())


def _provenance(
    problem: DecisionProblem, options: Options, seconds: float, more: dict[str, Any]
) -> dict[str, Any]:
    versions = {}
    for name in ("dagcast-core", "torch"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "options": asdict(options),
        "seconds": seconds,
        "versions": versions,
        "problem": describe(problem),
        **more,
    }
