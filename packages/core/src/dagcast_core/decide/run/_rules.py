"""Cells whose response is too uncertain to optimise, and the rule that decides them instead.

The response of a cell is the change of a quantity, summed over all its cells, per unit of lever
there, at the decisions in force (or half the equal shares, where there are none). Its interval is
taken over the parameter draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled, Run, Scenarios, objective_value
from dagcast_core.decide.declare import (
    Budget,
    Constraint,
    DecisionProblem,
    Fallback,
    Fixed,
    Ramp,
    Space,
)
from dagcast_core.solver import DecisionError, EmptySetError, project
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Ruled", "apply_fallbacks", "fixed_values", "response_draws"]


@final
@dataclass(frozen=True)
class Ruled:
    """A problem whose uncertain cells are fixed.

    Attributes:
        asked: the problem as it was asked.
        problem: with the ruled cells as `Fixed`.
        flags: by lever, 0 where the solver decides, else the number of the reason, from 1.
        reasons: why, in words.
        widths: by lever, width of the response's interval relative to its middle.
    """

    asked: DecisionProblem
    problem: DecisionProblem
    flags: Panel
    reasons: tuple[str, ...]
    widths: Panel


def apply_fallbacks(problem: DecisionProblem) -> Ruled:
    """Fix what people set and what the rules of a problem decide, and say why.

    Raises:
        DecisionError: a rule returns other labels or no numbers.
    """
    space = problem.space()
    flags = {name: torch.zeros(tuple(t.shape)) for name, t in space.templates.items()}
    reasons: list[str] = []
    constraints: list[Constraint] = []
    widths: dict[str, IndexTensor] = {}
    people = [item for item in problem.constraints if isinstance(item, Fixed)]
    for given in people:
        known = torch.isfinite(fixed_values(given, space))
        if "set by people" not in reasons:
            reasons.append("set by people")
        flags[given.lever][known] = 1.0
    for item in problem.constraints:
        if not isinstance(item, Fallback):
            constraints.append(item)
            continue
        template = space.templates[item.lever]
        width = _relative_width(problem, space, item)
        widths[item.lever] = template.with_tensor(width)
        free = flags[item.lever] == 0
        chosen = (width > item.width) & free
        if not bool(chosen.any()):
            continue
        wanted = _rule_values(problem, space, item, chosen)
        values, moved = _within(problem, space, item.lever, wanted, chosen)
        constraints.append(
            Fixed(
                item.lever,
                template.with_tensor(torch.where(chosen, values, torch.tensor(float("nan")))),
            )
        )
        quantity = item.quantity or problem.objective.name
        adjusted = f"; moved in {moved} cells to keep budgets and ramps" if moved else ""
        reasons.append(
            f"rule: {item.rule_name}, because the {item.level:.0%} interval of what one more unit "
            f"does to {quantity} is wider than {item.width:.0%} of its middle{adjusted}"
        )
        flags[item.lever][chosen] = float(len(reasons))
    shown = {
        name: space.templates[name].with_tensor(flag.double())
        for name, flag in flags.items()
        if bool((flag > 0).any())
    }
    return Ruled(
        problem,
        replace(problem, constraints=tuple(constraints)),
        Panel(shown),
        tuple(reasons),
        Panel(widths),
    )


def fixed_values(item: Fixed, space: Space) -> Tensor:
    """Values in the lever's shape, NaN where nothing is set."""
    template = space.templates[item.lever]
    wanted = {dim: template.index(dim) for dim in template.dims}
    return item.values.double().reindex(wanted, fill=float("nan")).values(*template.dims)


def response_draws(problem: DecisionProblem, x: Tensor, quantity: str | None = None) -> Tensor:
    """Response of every cell under each draw, (draws, cells).

    Args:
        problem: with draws.
        x: (cells,) where responses are taken.
        quantity: an output, summed; the objective (as it is, not as it is maximised) by default.
    """
    assert problem.draws is not None
    space = problem.space()
    scenarios = Scenarios(problem.model, problem.draws)
    context = {name: t for name, t in problem.context.items() if name not in space.slices}
    # A copy of the decisions for each draw: one backward pass then gives every draw's gradient.
    leaf = x.detach().expand(scenarios.count, -1).clone().requires_grad_(True)

    def total(run: Run, own: Tensor) -> Tensor:
        levers = space.panel(own)
        outputs = run({**context, **levers}, problem.residuals)
        if quantity is not None:
            return outputs[quantity].tensor.sum()
        return objective_value(problem.objective, {**context, **levers, **outputs})

    totals = scenarios.with_own(total, leaf)
    if not totals.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(totals.sum(), leaf, materialize_grads=True)
    return gradient


def _relative_width(problem: DecisionProblem, space: Space, item: Fallback) -> Tensor:
    """Width of the interval over its middle, in the lever's shape; inf where the middle is 0."""
    found = response_draws(problem, _reference(problem, space), item.quantity)
    own = found[:, space.slices[item.lever]]
    if not bool(torch.isfinite(own).all()):
        cell = int(torch.nonzero(~torch.isfinite(own))[0, 1]) + space.slices[item.lever].start
        raise DecisionError(
            f"the response at {space.where(cell)} is not finite under some draws, so its interval "
            "cannot be judged. Clamp the model there, or fix the cell."
        )
    edge = (1.0 - item.level) / 2.0
    low, middle, high = torch.quantile(
        own, torch.tensor([edge, 0.5, 1.0 - edge], dtype=own.dtype), dim=0
    )
    width = (high - low) / middle.abs()
    width = torch.where(high == low, torch.zeros_like(width), width)
    return width.reshape(space.templates[item.lever].shape)


def _within(
    problem: DecisionProblem, space: Space, lever: str, wanted: Tensor, chosen: Tensor
) -> tuple[Tensor, int]:
    """A rule's values, moved as little as bounds, budgets, ramps and people's cells require.

    Returns:
        Values in the lever's shape, and how many of the chosen ones were moved.
    """
    linear_only = tuple(c for c in problem.constraints if isinstance(c, Budget | Ramp | Fixed))
    bare = replace(problem, constraints=linear_only, draws=None, risk=None)
    part = space.slices[lever]
    z = _reference(problem, space)
    z[part] = torch.where(chosen.reshape(-1), wanted.reshape(-1), z[part])
    # Where a budget is too small for the rule and the current plan of all other cells together, all
    # of them shrink by the same share: uncertain cells must not crowd out the others.
    floor = 1e-3 * z.abs().max().clamp(min=1e-300)
    weight = 1.0 / torch.maximum(z.abs(), floor)
    try:
        nearest = project(z, weight, Compiled(bare).smooth.linear.tightened()).x
    except EmptySetError:
        # The limits contradict one another without the rule; solving says which.
        return wanted, 0
    found = nearest[part].reshape(wanted.shape)
    scale = wanted.abs().max().clamp(min=1e-300)
    return found, int(((found - wanted).abs() > 1e-6 * scale)[chosen].sum())


def _reference(problem: DecisionProblem, space: Space) -> Tensor:
    """Where responses are judged: the current plan, or inside the bounds."""
    parts = []
    for lever in problem.levers:
        template = space.templates[lever.name]
        low, high = (
            space.values_like(end, lever.name, "bounds")
            if isinstance(end, IndexTensor)
            else torch.full(tuple(template.shape), float(end), dtype=torch.float64)
            for end in (lever.lower, lever.upper)
        )
        inside = torch.where(torch.isfinite(high), low + 0.25 * (high - low), low + 1.0)
        current = _current(problem, space, lever.name)
        if current is not None:
            # A response at no spend at all says nothing of the next dollars.
            inside = torch.where(torch.isfinite(current) & (current > low), current, inside)
        parts.append(inside.reshape(-1))
    return torch.cat(parts)


def _current(problem: DecisionProblem, space: Space, lever: str) -> Tensor | None:
    if problem.current is None or lever not in problem.current:
        return None
    template = space.templates[lever]
    wanted = {dim: template.index(dim) for dim in template.dims}
    given = problem.current[lever].double().reindex(wanted, fill=float("nan"))
    return given.values(*template.dims).detach()


def _rule_values(problem: DecisionProblem, space: Space, item: Fallback, chosen: Tensor) -> Tensor:
    template = space.templates[item.lever]
    lever = next(lever for lever in problem.levers if lever.name == item.lever)
    shape = tuple(template.shape)
    low, high = (
        space.values_like(end, item.lever, "bounds")
        if isinstance(end, IndexTensor)
        else torch.full(shape, float(end), dtype=torch.float64)
        for end in (lever.lower, lever.upper)
    )
    what = f"rule {item.rule_name!r}"
    current = _current(problem, space, item.lever)
    if item.rule == "zero":
        values = low
    elif isinstance(item.rule, IndexTensor):
        values = space.values_like(item.rule, item.lever, what)
    else:
        assert current is not None
        values = current
        if callable(item.rule):
            found = item.rule(template.with_tensor(current))
            if not isinstance(found, IndexTensor):
                raise DecisionError(
                    f"the {what} returns a {type(found).__name__}; return an IndexTensor with the "
                    "labels it was given."
                )
            values = space.values_like(found, item.lever, what)
        elif not isinstance(item.rule, str):
            values = float(item.rule) * current
    missing = torch.nonzero((chosen & ~torch.isfinite(values)).reshape(-1)).flatten()
    if missing.numel():
        at = space.where(space.slices[item.lever].start + int(missing[0]))
        raise DecisionError(
            f"the {what} gives no number for {missing.numel()} cell(s), first {at}. Give a current "
            "plan over all hours to decide, or the rule 'zero'."
        )
    return torch.where(chosen, values, low).clamp(low, high)
