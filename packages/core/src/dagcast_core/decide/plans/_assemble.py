"""From decisions and what was found out about them to a plan that says so."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.declare import DecisionProblem, OutcomeLimit, describe
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.read import (
    CUT_SHORT,
    explain_infeasible,
    marginal_effects,
    sensitivities,
    warnings_of,
)
from dagcast_core.decide.run import Found, Ruled
from dagcast_core.solver import Options
from dagcast_core.tensor import Panel

__all__ = ["assemble", "plan_of", "provenance"]


def _claim(found: Found, options: Options) -> tuple[Any, str]:
    """Status and message: no more than was proved."""
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
    basis = (
        "declared concave" if concavity == "declared" else "a bound that held at all points tested"
    )
    if gap <= options.gap:
        return "optimal", f"{share} ({basis})"
    told = f"converged, {share} ({basis}); tolerance {options.gap:.0e}"
    if found.added is not None:
        told += (
            ". Bounds are wide where draws change places in the tail; the last round of less "
            f"smoothing added {found.added:.1e} of the lift"
        )
    return "feasible", told


def plan_of(
    compiled: Compiled,
    ruled: Ruled,
    found: Found,
    options: Options,
    seconds: float,
    method: str,
    cut_short: bool = False,
) -> Plan:
    """A solution as a plan: what may be claimed of it, its prices, and why where there is none.

    Args:
        compiled: the problem that was solved.
        ruled: the problem as it was asked, and what rules made of it.
        found: what the search ended with.
        options: of the search.
        seconds: that it took.
        method: of the search.
        cut_short: whether somebody interrupted what is said about the plan, which then is little.
    """
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
    if compiled.tails.smoothed or x is not solution.x:
        with torch.no_grad():
            objective, outcomes = compiled.evaluation.exact(x)
            base, _ = compiled.evaluation.exact(compiled.smooth.linear.lower)
    plan = assemble(
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
        provenance=provenance(ruled.asked, options, seconds, more),
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


def assemble(
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
    """A plan of these decisions, with the forecast, marginal effects and sensitivities there.

    Args:
        compiled: the problem.
        ruled: rules for uncertain cells, whose flags and reasons the plan carries.
        x: (cells,) decisions.
        objective: at ``x``, maximised.
        outcomes: (rows,) at ``x``, in their units.
        base: the objective at the baseline.
        budget_prices: (budgets,) objective per unit of each budget.
        row_prices: (rows,) objective per unit of each limit.
        **fields: of `Plan`, as they are.
    """
    problem = compiled.problem
    sign = 1.0 if problem.objective.sense == "max" else -1.0
    with torch.no_grad():
        forecast = compiled.forecaster.forecast(x)
    prices = compiled.prices(x, outcomes, budget_prices, row_prices)
    limited = [c.quantity for c in problem.constraints if isinstance(c, OutcomeLimit)]
    asked = (*limited, *problem.objective.weights)
    effects = marginal_effects(compiled, x, tuple(dict.fromkeys(asked)))
    records, _ = sensitivities(compiled, x, row_prices)
    detached = {
        name: tensor.with_tensor(tensor.tensor.detach()) for name, tensor in forecast.items()
    }
    return Plan(
        decisions=Panel(compiled.space.panel(x)),
        forecast=Panel(detached),
        objective=sign * float(objective),
        objective_name=problem.objective.name,
        objective_unit=compiled.goal.unit,
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
    if compiled.evaluation.scenarios is None:
        return ()
    with torch.no_grad():
        found, _ = compiled.evaluation.by_draw(compiled.forecaster.known(x))
    return tuple((sign * found).tolist())


def provenance(
    problem: DecisionProblem, options: Options, seconds: float, more: dict[str, Any]
) -> dict[str, Any]:
    """What a plan has to say of where it comes from, for JSON.

    Args:
        problem: as it was asked.
        options: of the search.
        seconds: that it took.
        more: counts and the kind of plan.
    """
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
