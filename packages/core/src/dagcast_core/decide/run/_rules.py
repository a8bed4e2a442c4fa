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

from dagcast_core.decide.compile import Linear, ends_of, fixed_values
from dagcast_core.decide.declare import Constraint, DecisionProblem, Fallback, Fixed, Space
from dagcast_core.decide.run._response import relative_width
from dagcast_core.solver import DecisionError, EmptySetError, project
from dagcast_core.tensor import IndexTensor, Panel

__all__ = ["Ruled", "apply_fallbacks"]


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
        width = relative_width(problem, space, item, _reference(problem, space))
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


def _within(
    problem: DecisionProblem, space: Space, lever: str, wanted: Tensor, chosen: Tensor
) -> tuple[Tensor, int]:
    """A rule's values, moved as little as bounds, budgets, ramps and people's cells require.

    Returns:
        Values in the lever's shape, and how many of the chosen ones were moved.
    """
    part = space.slices[lever]
    z = _reference(problem, space)
    z[part] = torch.where(chosen.reshape(-1), wanted.reshape(-1), z[part])
    # Where a budget is too small for the rule and the current plan of all other cells together, all
    # of them shrink by the same share: uncertain cells must not crowd out the others.
    floor = 1e-3 * z.abs().max().clamp(min=1e-300)
    weight = 1.0 / torch.maximum(z.abs(), floor)
    try:
        nearest = project(z, weight, Linear.of(problem, space).set.tightened()).x
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
        low, high = ends_of(lever, space)
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
    low, high = ends_of(lever, space)
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
