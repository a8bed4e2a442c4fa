"""Measures over draws: there smooth, for the solver; back exact, with what smoothing cost."""

from __future__ import annotations

from typing import Literal, final

import torch
from torch import Tensor

from dagcast_core.decide.compile._outcomes import Outcomes
from dagcast_core.decide.compile._tail import Tail
from dagcast_core.decide.declare import Risk

__all__ = ["Tails"]


@final
class Tails:
    """How draws of the objective and of every outcome row are measured.

    Widths of the smoothing only ever narrow, by `sharpen`.

    Args:
        outcomes: the rows.

    Attributes:
        objective: measure of the objective.
        rows: measure of every limit's rows.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self.objective = Tail("mean", 1.0, torch.ones((), dtype=torch.float64))
        self.rows = [
            Tail("mean", 1.0, torch.ones(len(block.names), dtype=torch.float64))
            for block in outcomes.blocks
        ]

    def widen(self, risk: Risk, objective: Tensor, rows: Tensor) -> None:
        """Take up what is asked for, with a tenth of the spread over draws as first widths.

        Args:
            risk: measure of the objective.
            objective: (draws,) somewhere inside the bounds.
            rows: (draws, rows) there.
        """
        self.objective = Tail(risk.measure, risk.tail, _tenth(objective))
        for k, (block, part) in enumerate(self._outcomes.parts()):
            chance = block.limit.chance
            if chance is not None:
                measure: Literal["cvar", "quantile"] = (
                    "cvar" if block.limit.cautious else "quantile"
                )
                self.rows[k] = Tail(measure, 1.0 - chance, _tenth(rows[:, part]))

    @property
    def smoothed(self) -> bool:
        """Whether the solver sees smooth measures that differ from the reported ones."""
        return any(tail.measure != "mean" for tail in (self.objective, *self.rows))

    @property
    def convex(self) -> bool:
        """Whether concave outcomes stay concave once they are measured over draws."""
        return all(tail.measure != "quantile" for tail in (self.objective, *self.rows))

    def sharpen(self, allowed: float, row_prices: Tensor) -> None:
        """Smooth by so little that it costs about ``allowed``.

        Args:
            allowed: objective unit.
            row_prices: (rows,) objective per unit of limit.
        """
        if allowed <= 0:
            return
        self.objective = self.objective.narrowed(torch.tensor(allowed, dtype=torch.float64))
        active = max(int((row_prices != 0).sum()), 1)
        for k, (_, part) in enumerate(self._outcomes.parts()):
            worth = allowed / (active * row_prices[part].abs().clamp(min=1e-300))
            self.rows[k] = self.rows[k].narrowed(worth)

    def smooth(self, objective: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Differentiable measures of (draws,) and (draws, rows)."""
        return self.objective.smooth(objective), self._of_rows(rows, "smooth")

    def exact(self, objective: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The measures that are reported."""
        return self.objective.exact(objective), self._of_rows(rows, "exact")

    def cost(self, objective: Tensor, rows: Tensor, row_prices: Tensor) -> float:
        """What the smooth measures add to the gap; see `_tail`."""
        own = float(self.objective.weighted(objective) - self.objective.exact(objective))
        apart = self._of_rows(rows, "smooth") - self._of_rows(rows, "weighted")
        return own + float((row_prices.abs() * apart.abs()).sum())

    def few_draws(self, count: int) -> list[str]:
        """A remark where what is guarded against rests on fewer than three draws."""
        tails = [tail.tail for tail in (self.objective, *self.rows) if tail.measure != "mean"]
        if not tails or min(tails) * count >= 3:
            return []
        return [
            f"the worst {min(tails):.0%} of {count} draws are {min(tails) * count:.2g} draws: what "
            "the plan guards against rests on very few. Make more draws"
        ]

    def _of_rows(self, rows: Tensor, how: Literal["smooth", "exact", "weighted"]) -> Tensor:
        parts = []
        for tail, (block, part) in zip(self.rows, self._outcomes.parts(), strict=True):
            # The worst of a value that is capped are its largest draws.
            side = -1.0 if block.limit.sense == "<=" else 1.0
            parts.append(side * getattr(tail, how)(side * rows[:, part]))
        return torch.cat(parts) if parts else rows.mean(0)


def _tenth(values: Tensor) -> Tensor:
    """A tenth of the spread over draws, and well above rounding."""
    spread = values.std(0) if values.shape[0] > 1 else torch.zeros_like(values[0])
    return torch.maximum(0.1 * spread, 1e-9 * values.abs().mean(0)).clamp(min=1e-300)
