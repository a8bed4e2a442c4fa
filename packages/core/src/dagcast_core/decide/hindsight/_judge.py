"""Decisions judged by what happened."""

from __future__ import annotations

import torch
from torch import Tensor

from dagcast_core.decide.compile import Compiled
from dagcast_core.decide.plans import Plan
from dagcast_core.tensor import IndexTensor

__all__ = ["Judge"]


class Judge:
    """Ex-post objective of decisions.

    What breaks a limit ex post is priced by the ex-post multipliers.
    """

    def __init__(self, compiled: Compiled, ex_post: Plan) -> None:
        self.compiled = compiled
        self.sign = compiled.goal.sign
        rows = len(compiled.outcomes.names)
        prices = [p.price for p in ex_post.shadow_prices if p.kind == "outcome"]
        self.prices = (
            self.sign * torch.tensor(prices, dtype=torch.float64) if rows else torch.zeros(0)
        )

    def __call__(self, x: Tensor) -> float:
        """Objective less the price of violations, larger is better."""
        with torch.no_grad():
            objective, outcomes = self.compiled.smooth.evaluate(x)
        return float(objective) - self._priced(outcomes)

    def cells(self, x: Tensor) -> dict[str, IndexTensor]:
        """The objective's weighted parts by cell, larger is better.

        What each adds to the objective, before the price of violations; nothing where the objective
        is a function of its own.
        """
        with torch.no_grad():
            known = {
                **self.compiled.space.panel(x),
                **self.compiled.forecaster.forecast(x),
            }
        weights = self.compiled.problem.objective.weights
        return {
            name: known[name].with_tensor(self.sign * weight * known[name].tensor.double())
            for name, weight in weights.items()
            if name in known
        }

    def price(self, x: Tensor) -> float:
        """Price of the violations at ``x``."""
        with torch.no_grad():
            return self._priced(self.compiled.smooth.evaluate(x)[1])

    def violation(self, x: Tensor) -> float:
        """Largest relative violation at ``x``."""
        with torch.no_grad():
            return self.compiled.smooth.rows.worst(self.compiled.smooth.evaluate(x)[1])

    def _priced(self, outcomes: Tensor) -> float:
        rows = self.compiled.smooth.rows
        if not rows.limit.numel():
            return 0.0
        excess = (rows.sign * (outcomes - rows.limit)).clamp(min=0)
        return float((self.prices.abs() * excess).sum())
