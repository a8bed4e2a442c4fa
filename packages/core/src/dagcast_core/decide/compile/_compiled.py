"""From a labelled decision problem to the flat one that the solver sees, step by step.

Every step has its way there and its way back in one file: cells (`Space`), bounds, budgets, ramps,
the goal, outcome rows, tails. What the solver answers returns the way that the problem came.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._evaluation import Evaluation, Forecaster
from dagcast_core.decide.compile._goal import Goal
from dagcast_core.decide.compile._linear import Linear
from dagcast_core.decide.compile._outcomes import Outcomes
from dagcast_core.decide.compile._price import ShadowPrice
from dagcast_core.decide.compile._scenarios import Scenarios
from dagcast_core.decide.compile._tails import Tails
from dagcast_core.decide.declare import DecisionProblem, OutcomeLimit, Space, group_numbers
from dagcast_core.solver import DecisionError, LinearSet, RowFamily, SmoothProblem, families_of
from dagcast_core.tensor import IndexTensor

__all__ = ["Compiled", "compile_problem"]


@final
@dataclass(frozen=True)
class Compiled:
    """A flat problem, and the steps that lead to it and back.

    Attributes:
        problem: the labelled problem.
        space: cells.
        linear: bounds, budgets, ramps.
        goal: the objective.
        outcomes: rows of limits.
        tails: measures over draws.
        forecaster: the fitted model.
        evaluation: the model as the solver asks it.
        smooth: the flat problem.
    """

    problem: DecisionProblem
    space: Space
    linear: Linear
    goal: Goal
    outcomes: Outcomes
    tails: Tails
    forecaster: Forecaster
    evaluation: Evaluation
    smooth: SmoothProblem

    def prices(
        self, x: Tensor, outcomes: Tensor, budget_prices: Tensor, row_prices: Tensor
    ) -> tuple[ShadowPrice, ...]:
        """What every limit means at a point, and what moving it is worth.

        Args:
            x: (cells,) decisions.
            outcomes: (rows,) there, in their units.
            budget_prices: (budgets,) of the maximised objective, per unit of each budget.
            row_prices: (rows,) the same per unit of each limit.
        """
        budgets = self.linear.budgets.priced(x, budget_prices, self.goal)
        return (*budgets, *self.outcomes.priced(outcomes, row_prices, self.goal, self._kept(x)))

    def sharpen(self, lift: float, row_prices: Tensor) -> None:
        """Smooth measures over draws by what costs about the promised share of the lift.

        Args:
            lift: of the plan found so far.
            row_prices: (rows,) objective per unit of limit.
        """
        self.tails.sharpen(self.problem.measured_risk.smoothing * max(lift, 0.0), row_prices)

    def _kept(self, x: Tensor) -> list[float] | None:
        """Share of the draws that keep each outcome row, give or take rounding."""
        if self.evaluation.scenarios is None:
            return None
        with torch.no_grad():
            _, found = self.evaluation.by_draw(self.forecaster.known(x))
        kept = self.smooth.rows.excess(found) <= 1e-6
        return [float(share) for share in kept.double().mean(0)]


def compile_problem(
    problem: DecisionProblem, families: tuple[RowFamily, ...] | None = None
) -> Compiled:
    """Lay a problem out.

    Args:
        problem: what to decide.
        families: of outcome rows that touch disjoint cells, where they are known already.

    Raises:
        DecisionError: limits that cannot be meant.
        NonFiniteError: the model has no gradient where rows are laid out.
    """
    space = problem.space()
    linear = Linear.of(problem, space)
    forecaster = Forecaster.of(problem, space)
    outcomes = Outcomes.of(problem, space, lambda: _forecast_at_zero(forecaster))
    baseline = linear.baseline()
    scenarios = None if problem.draws is None else Scenarios(problem.model, problem.draws)
    goal, tails = Goal.of(problem), Tails(outcomes)
    evaluation = Evaluation(forecaster, scenarios, goal, outcomes, tails)
    if scenarios is not None:
        with torch.no_grad():
            drawn = evaluation.by_draw(forecaster.known(_inside(linear.set)))
        tails.widen(problem.measured_risk, *drawn)
    _check_reached(evaluation, baseline)
    rows = outcomes.rows(lambda: evaluation.smooth(baseline)[1])
    smooth = SmoothProblem(
        evaluation.smooth, linear.set, rows, _probes(problem, space), baseline, problem.concave
    )
    if outcomes.names:
        if families is None:
            families = families_of(smooth, outcomes.candidates())
        smooth = replace(smooth, rows=replace(rows, families=families))
    return Compiled(problem, space, linear, goal, outcomes, tails, forecaster, evaluation, smooth)


def _forecast_at_zero(forecaster: Forecaster) -> dict[str, IndexTensor]:
    with torch.no_grad():
        return forecaster.forecast(torch.zeros(forecaster.space.size, dtype=torch.float64))


def _inside(linear: LinearSet) -> Tensor:
    """A point where draws differ: at the lower bounds, where nothing is spent, they may not."""
    reach = linear.reach()
    room = torch.where(torch.isfinite(reach), reach - linear.lower, torch.ones_like(reach))
    return linear.lower + 0.25 * room


def _check_reached(evaluation: Evaluation, x: Tensor) -> None:
    """A function may return what no lever moves, or what torch cannot differentiate."""
    objective = evaluation.goal.objective
    if not callable(objective.quantity):
        return
    leaf = x.detach().clone().requires_grad_(True)
    if not evaluation.smooth(leaf)[0].requires_grad:
        raise DecisionError(
            f"no lever reaches the objective {objective.name!r}: it does not "
            "depend on them through torch operations. Compute it from the forecast's tensors."
        )


def _probes(problem: DecisionProblem, space: Space) -> Tensor:
    """Masks of cells of one lever that differ only along time and along what outcomes keep.

    Where outcomes are by region, say, and the lever has types of spend beside it, types act on one
    another, so each is probed on its own; regions hardly do. A wrong guess costs iterations and
    nothing else.
    """
    kept = _kept_dims(problem)
    masks = []
    for name, template in space.templates.items():
        quantity = problem.quantity(name)
        apart = [dim.name for dim in quantity.dims if dim.kind == "label" and dim.name not in kept]
        numbers, labels = group_numbers(template, tuple(apart), name)
        for k in range(len(labels)):
            mask = torch.zeros(space.size, dtype=torch.bool)
            mask[space.slices[name]] = (numbers == k).reshape(-1)
            masks.append(mask)
    return torch.stack(masks)


def _kept_dims(problem: DecisionProblem) -> frozenset[str]:
    """Label dims that objective and limits have in common; those of any, where none is common."""
    outputs = {item.name: item for item in problem.contract.outputs}
    # A function may use any output.
    named = {*(problem.objective.weights or outputs)}
    named |= {item.quantity for item in problem.constraints if isinstance(item, OutcomeLimit)}
    dims = [
        {dim.name for dim in outputs[name].dims if dim.kind == "label"}
        for name in named
        if name in outputs
    ]
    # What is one number for all says nothing of who acts on whom.
    dims = [item for item in dims if item]
    return frozenset(set.intersection(*dims) or set.union(*dims)) if dims else frozenset()
