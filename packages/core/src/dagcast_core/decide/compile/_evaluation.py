"""The model as a function of flat cells: one objective and one value per outcome row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._goal import Goal
from dagcast_core.decide.compile._outcomes import Outcomes
from dagcast_core.decide.compile._scenarios import Scenarios, run_model, run_with
from dagcast_core.decide.compile._tails import Tails
from dagcast_core.decide.declare import DecisionProblem, Space
from dagcast_core.model import Residual
from dagcast_core.tensor import IndexTensor

__all__ = ["Evaluation", "Forecaster"]


@final
@dataclass(frozen=True)
class Forecaster:
    """The fitted model over a problem's cells and context.

    Attributes:
        problem: gives model and residuals.
        space: the cells.
        context: every input but the levers.
    """

    problem: DecisionProblem
    space: Space
    context: Mapping[str, IndexTensor]

    @classmethod
    def of(cls, problem: DecisionProblem, space: Space) -> Forecaster:
        """The forecaster of a problem."""
        context = {name: t for name, t in problem.context.items() if name not in space.slices}
        return cls(problem, space, context)

    def known(self, x: Tensor) -> dict[str, IndexTensor]:
        """Context and levers at ``x``."""
        return {**self.context, **self.space.panel(x)}

    def run(self, known: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        """Every output from levers and context."""
        return dict(run_model(self.problem.model, known, self.problem.residuals))

    def forecast(self, x: Tensor) -> dict[str, IndexTensor]:
        """Every output at ``x``."""
        return self.run(self.known(x))


@final
@dataclass(frozen=True)
class Evaluation:
    """What the solver asks the model, and what is reported of a point.

    Attributes:
        forecaster: the fitted model.
        scenarios: the model under every draw of its parameters, or None without draws.
        goal: what is made largest.
        outcomes: rows of limits.
        tails: how draws are measured.
    """

    forecaster: Forecaster
    scenarios: Scenarios | None
    goal: Goal
    outcomes: Outcomes
    tails: Tails

    def smooth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows at ``x``; over draws, their smooth measures."""
        return self.values(self.forecaster.known(x))

    def exact(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows at ``x`` as they are reported: measures without smoothing."""
        found = self.by_draw(self.forecaster.known(x))
        return (found[0][0], found[1][0]) if self.scenarios is None else self.tails.exact(*found)

    def values(
        self,
        known: Mapping[str, IndexTensor],
        residuals: Mapping[str, Residual] | None = None,
        parameters: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Objective and outcome rows from levers and context.

        Args:
            known: levers and context.
            residuals: instead of the problem's.
            parameters: by name in the model, instead of the fitted ones; with draws (draws, ...).
        """
        found = self.by_draw(known, residuals, parameters)
        return (found[0][0], found[1][0]) if self.scenarios is None else self.tails.smooth(*found)

    def by_draw(
        self,
        known: Mapping[str, IndexTensor],
        residuals: Mapping[str, Residual] | None = None,
        parameters: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Objective (draws,) and outcome rows (draws, rows); one draw, the fit, without draws."""
        problem = self.forecaster.problem
        own = problem.residuals if residuals is None else residuals

        def from_outputs(outputs: Mapping[str, IndexTensor]) -> tuple[Tensor, Tensor]:
            everything = {**known, **outputs}
            rows = self.outcomes.values({**self.forecaster.context, **known, **outputs})
            return self.goal.maximised(everything), rows

        if self.scenarios is None:
            outputs = (
                run_model(problem.model, known, own)
                if parameters is None
                else run_with(problem.model, parameters, known, own)
            )
            objective, rows = from_outputs(outputs)
            return objective.unsqueeze(0), rows.unsqueeze(0)
        objective, rows = self.scenarios.over(lambda run: from_outputs(run(known, own)), parameters)
        return objective, rows

    def smoothing_cost(self, x: Tensor, row_prices: Tensor) -> float:
        """What the smooth measures add to the gap at ``x``."""
        if not self.tails.smoothed:
            return 0.0
        with torch.no_grad():
            found = self.by_draw(self.forecaster.known(x))
        return self.tails.cost(*found, row_prices)
