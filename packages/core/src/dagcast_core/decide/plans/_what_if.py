"""`what_if`: given decisions, judged by the same path as a solved plan."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from dagcast_core.decide.compile import explain_non_finite, lay_out
from dagcast_core.decide.declare import DecisionProblem, Fallback
from dagcast_core.decide.plans._assemble import assemble, provenance
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.run import apply_fallbacks
from dagcast_core.solver import DecisionError, NonFiniteError, Options, check_point
from dagcast_core.tensor import Panel

__all__ = ["what_if"]


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
    compiled = lay_out(ruled.problem)
    x = compiled.space.flat(decisions)
    if not bool(torch.isfinite(x).all()):
        at = compiled.space.where(int(torch.nonzero(~torch.isfinite(x))[0]))
        raise DecisionError(f"the decisions have no number at {at}. Give every cell a value.")
    try:
        with torch.no_grad():
            objective, outcomes = compiled.evaluation.exact(x)
            base, _ = compiled.evaluation.exact(compiled.smooth.linear.lower)
    except NonFiniteError as error:
        raise explain_non_finite(compiled, error) from error
    if not bool(torch.isfinite(objective)) or not bool(torch.isfinite(outcomes).all()):
        what = "outcome" if bool(torch.isfinite(objective)) else "objective"
        raise explain_non_finite(compiled, NonFiniteError(what, (), 1, x))
    found = check_point(compiled.smooth, x, values=(objective, outcomes))
    broken = [
        str(compiled.outcomes.names[k])
        for k in torch.nonzero(found.rows > options.violation).flatten().tolist()
    ]
    broken += [
        str(compiled.linear.budgets.names[k])
        for k in torch.nonzero(found.budgets > options.violation).flatten().tolist()
    ]
    if found.linear > options.violation:
        broken += compiled.linear.broken(x, options.violation)
    return assemble(
        compiled,
        ruled,
        x,
        objective,
        outcomes,
        base,
        torch.zeros(len(compiled.linear.budgets.names), dtype=x.dtype),
        torch.zeros(len(compiled.outcomes.names), dtype=x.dtype),
        status="infeasible" if broken else "feasible",
        message="given decisions, evaluated; "
        + ("breaks limits" if broken else "keeps every limit"),
        kkt_residual=float("nan"),
        worst_violation=found.violation,
        gap_bound=None,
        concavity="unknown",
        conflicts=tuple(broken),
        multipliers=(),
        provenance=provenance(problem, options, time.perf_counter() - begun, {"kind": "what-if"}),
    )
