"""How far true effects scatter about what the models' form can say, learned from experiments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch

# Standard deviation of the logarithm of the dispersion before anything was measured: it may well
# be half or twice as large.
_PRIOR_SPREAD = 0.75
_GRID = torch.logspace(-2.0, 0.3, 24, dtype=torch.float64)


@final
@dataclass(frozen=True)
class Dispersion:
    """Relative standard deviation of true effects about modelled ones.

    Attributes:
        values: on which the belief is laid out,
        chances: and how likely each is.
    """

    values: torch.Tensor
    chances: torch.Tensor

    @classmethod
    def usual(cls, median: float) -> Dispersion:
        """The belief before any experiment: log-normal about ``median``; 0 means exactly none."""
        if not median:
            return cls(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
        deviates = (_GRID / median).log() / _PRIOR_SPREAD
        density = (-0.5 * deviates.square()).exp()
        return cls(_GRID, density / density.sum())

    @property
    def level(self) -> float:
        """Root of its mean square."""
        return math.sqrt(float((self.chances * self.values.square()).sum()))

    def learned(self, logs: torch.Tensor) -> Dispersion:
        """The belief after evidence whose log likelihood at each value is given."""
        weights = self.chances * (logs - logs.max()).exp()
        return Dispersion(self.values, weights / weights.sum())

    def draws(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Values drawn from the belief; (count,)."""
        chosen = torch.multinomial(self.chances, count, replacement=True, generator=generator)
        return self.values[chosen]
