"""Student's t as a mixture: normal errors whose variance few clusters tell only roughly.

An estimate with standard error ``s`` and ``f`` degrees of freedom errs as a normal variable of
variance ``s^2 / u`` with ``u`` chi-squared with ``f`` degrees of freedom over ``f``. Mixed over
``u`` that is Student's t; what else is uncertain adds to the variance and is not scaled by ``u``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

_POINTS = 60
# The normal deviate that two sides of a distribution leave 5 % beyond.
UNLIKELY = 1.959963984540054


@final
@dataclass(frozen=True)
class Scale:
    """A belief about ``u``, laid out on points.

    Attributes:
        values: of ``u``; (point,),
        chances: and how likely each is; (..., point), as many beliefs as are asked for together.
    """

    values: torch.Tensor
    chances: torch.Tensor

    @classmethod
    def of(cls, freedom: float) -> Scale:
        """The belief before any residual was seen; infinite degrees of freedom leave no doubt."""
        if not math.isfinite(freedom):
            one = torch.ones(1, dtype=torch.float64)
            return cls(one, one)
        half = 0.5 * freedom
        values = torch.logspace(-5.0, 1.3, _POINTS, dtype=torch.float64)
        # Density by the logarithm of u, in which the points are evenly spaced.
        logs = half * values.log() - half * values
        chances = (logs - logs.max()).exp()
        return cls(values, chances / chances.sum())

    def at(self, shape: Sequence[int]) -> Scale:
        """The same belief as often as ``shape`` says."""
        return Scale(self.values, self.chances.expand(*shape, -1))

    def seen(self, logs: torch.Tensor) -> Scale:
        """The belief after evidence whose log likelihood at each value is given; (..., point)."""
        weights = self.chances * (logs - logs.amax(dim=-1, keepdim=True)).exp()
        return Scale(self.values, weights / weights.sum(dim=-1, keepdim=True))

    @property
    def mean(self) -> torch.Tensor:
        """Expectation of ``u``, the factor on an estimate's precision; (...)."""
        return (self.chances * self.values).sum(dim=-1)

    def draws(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Values drawn from the belief; (count,)."""
        chosen = torch.multinomial(self.chances, count, replacement=True, generator=generator)
        return self.values[chosen]


@final
@dataclass(frozen=True)
class Deviation:
    """How a difference may come out by chance.

    Attributes:
        error: variance that is as uncertain as its degrees of freedom say.
        known: variance that is not.
        freedom: of ``error``; infinite where clusters are many.
    """

    error: float
    known: float
    freedom: float

    def chance(self, apart: float) -> float:
        """How likely a difference at least as large is, to either side."""
        scale = Scale.of(self.freedom)
        spread = (self.known + self.error / scale.values).sqrt()
        beyond = torch.erfc(abs(apart) / spread / math.sqrt(2.0))
        return float((scale.chances * beyond).sum())

    def z(self, apart: float) -> float:
        """The normal deviate that is as unlikely as a difference."""
        tail = min(max(0.5 * self.chance(apart), 1e-300), 0.5)
        normal = torch.special.ndtri(torch.tensor(tail, dtype=torch.float64))
        return math.copysign(float(-normal), apart)

    @property
    def reach(self) -> float:
        """The smallest difference that counts as unlikely."""
        low, high = 0.0, math.sqrt(self.known + self.error)
        while abs(self.z(high)) < UNLIKELY:
            low, high = high, 2.0 * high
        for _ in range(40):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if abs(self.z(middle)) < UNLIKELY else (low, middle)
        return high
