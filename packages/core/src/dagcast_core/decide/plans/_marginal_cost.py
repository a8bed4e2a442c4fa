"""What one more unit of an outcome costs at a plan, whether or not a limit on it binds.

A shadow price is 0 where its limit does not bind, although another unit is never free. Let
T(x) be the outcome's total under decisions x, and c(t) the least that has to be spent on top of the
plan x* for t more units of it:

    c(t) = min sum(x - x*)  subject to  x >= x*,  x <= upper bounds,  T(x) - T(x*) = t

Its slope at t = 0 is 1 / max over cells of dT/dx: the next unit of lever goes where it moves the
outcome most. The slope is what is reported, times the change that is asked for. What is spent comes
on top: budgets, ramps and other limits do not count, bounds and fixed cells do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.declare import DecisionProblem, closest, label_text, summed_unit
from dagcast_core.decide.plans._optimum import compiled_at
from dagcast_core.decide.plans._plan import Plan
from dagcast_core.decide.plans._totals import total_of, unit_of_total, with_unit
from dagcast_core.solver import DecisionError

__all__ = ["MarginalCost", "marginal_cost"]


@final
@dataclass(frozen=True)
class MarginalCost:
    """What moving an outcome's total costs at a plan.

    Attributes:
        outcome: whose total, the sum over all cells where it adds up over time, else the mean.
        change: of the total, in ``unit``.
        unit: of the total.
        cost: least amount of lever on top of the plan, ``cost_unit``.
        cost_unit: unit of the lever, summed over hours.
        objective: what the objective changes by where the outcome is moved so. Where nothing but a
            limit on this total binds, this is the limit's shadow price times ``change``.
        objective_unit: unit of the objective.
        lever: that moves the outcome most for its unit.
        cell: labels of the cell where it does.
        words: the same in one sentence.
    """

    outcome: str
    change: float
    unit: str
    cost: float
    cost_unit: str
    objective: float
    objective_unit: str
    lever: str
    cell: Mapping[str, object]
    words: str


def marginal_cost(
    problem: DecisionProblem,
    plan: Plan,
    outcome: str,
    *,
    change: float = 1.0,
    levers: Sequence[str] | None = None,
) -> MarginalCost:
    """What moving an outcome costs at the plan; see the module for the formula.

    The outcome is forecast at the fitted parameters; the objective is over draws where the problem
    has them.

    Args:
        problem: that the plan answers.
        plan: on top of which is spent.
        outcome: a quantity that a model predicts.
        change: of its total, in its unit: -0.01 for one point less of a share.
        levers: that may be raised, in one unit; by default all in the unit of the first.

    Raises:
        DecisionError: no such outcome or lever, levers in several units, a change of 0, or no cell
            that moves the outcome that way when it is raised.
    """
    compiled = compiled_at(problem, plan)
    names = problem.contract.output_names
    if outcome not in names:
        raise DecisionError(f"no outcome is called {outcome!r}. {closest(outcome, names)}")
    if not abs(change) > 0.0 or abs(change) == float("inf"):
        raise DecisionError(
            f"the change of {outcome!r} is {change!r}; it is a finite number, not 0."
        )
    raised = _raised(problem, compiled, levers)
    effect, objective = _gradients(problem, compiled, plan, outcome)
    x = compiled.space.flat(plan.decisions)
    bounds = compiled.smooth.linear
    open_cells = torch.zeros_like(x, dtype=torch.bool)
    for name in raised:
        open_cells[compiled.space.slices[name]] = True
    room = 1e-9 * (bounds.upper - bounds.lower).abs().nan_to_num(posinf=0.0) + 1e-12
    open_cells &= x < bounds.upper - room
    toward = 1.0 if change > 0 else -1.0
    useful = torch.where(open_cells, toward * effect, torch.zeros_like(effect))
    at = int(useful.argmax())
    if not useful[at] > 0.0:
        way = "more" if change > 0 else "less"
        raise DecisionError(
            f"raising {', '.join(raised)} anywhere within bounds brings no {way} {outcome}. Ask "
            "for a change the other way, or for another lever."
        )
    units = abs(change) / float(useful[at])
    lever, cell = _cell(compiled, at)
    cost_unit = summed_unit(problem.quantity(lever).unit)
    quantity = problem.quantity(outcome)
    unit, moved = unit_of_total(quantity), units * float(objective[at])
    place = ", ".join(label_text(label) for label in cell.values())
    moves = with_unit(f"{change:+.4g}", unit)
    words = (
        f"{moves} of {outcome} costs {units:.4g} {cost_unit} of {lever} at the margin ({place}) "
        f"and changes {problem.objective.name} by {moved:+.4g} {compiled.goal.unit}."
    )
    return MarginalCost(
        outcome, change, unit, units, cost_unit, moved, compiled.goal.unit, lever, cell, words
    )


def _raised(
    problem: DecisionProblem, compiled: Compiled, levers: Sequence[str] | None
) -> tuple[str, ...]:
    known = tuple(compiled.space.slices)
    unit = problem.quantity(known[0]).unit
    alike = tuple(name for name in known if problem.quantity(name).unit == unit)
    raised = alike if levers is None else tuple(levers)
    for name in raised:
        if name not in known:
            raise DecisionError(f"no lever {name!r}. {closest(name, known)}")
    units = {name: problem.quantity(name).unit for name in raised}
    if len(set(units.values())) != 1:
        found = ", ".join(f"{name} ({unit})" for name, unit in units.items()) or "none"
        raise DecisionError(
            f"costs of levers in one unit can be compared; found {found}. Name them with levers=."
        )
    return raised


def _gradients(
    problem: DecisionProblem, compiled: Compiled, plan: Plan, outcome: str
) -> tuple[Tensor, Tensor]:
    """Change of the outcome's total and of the objective per unit of each cell, (cells,)."""
    x = compiled.space.flat(plan.decisions).detach().clone().requires_grad_(True)
    known = compiled.forecaster.known(x)
    outputs = compiled.forecaster.run(known)
    total = total_of(problem.quantity(outcome), {**known, **outputs})
    objective = compiled.goal.sign * compiled.smooth.evaluate(x)[0]
    found = []
    for value in (total, objective):
        if not value.requires_grad:
            found.append(torch.zeros_like(x))
            continue
        (gradient,) = torch.autograd.grad(value, x, retain_graph=True, materialize_grads=True)
        found.append(gradient.detach())
    return found[0], found[1]


def _cell(compiled: Compiled, at: int) -> tuple[str, dict[str, object]]:
    """Lever and labels of a flat place."""
    for name, part in compiled.space.slices.items():
        if part.start <= at < part.stop:
            template = compiled.space.templates[name]
            place, labels = at - part.start, {}
            for dim in reversed(template.dims):
                place, k = divmod(place, len(template.index(dim)))
                labels[dim] = template.index(dim)[k]
            return name, {dim: labels[dim] for dim in template.dims}
    raise AssertionError("every cell belongs to a lever")
