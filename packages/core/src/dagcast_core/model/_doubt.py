"""Experiments that did not measure what they say: a sign lost, arms exchanged, a unit mistaken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch

# How far such an estimate lies from the effect, in sizes of effects: twice is the other sign.
APART = 2.0


@final
@dataclass(frozen=True)
class Doubt:
    """A belief about which of some experiments measured something else.

    Normal with a small chance of being far off: contaminated, as in Box & Tiao (1968),
    doi:10.1093/biomet/55.1.119. Without it one such estimate makes all others look scattered.

    Attributes:
        which: what may be the case, none, one, or all of them; (case, experiment), 0 or 1.
        chances: of each case; (..., case), as many beliefs as are asked for together.
    """

    which: torch.Tensor
    chances: torch.Tensor

    @classmethod
    def usual(cls, possible: torch.Tensor, chance: float) -> Doubt:
        """The belief before anything is compared.

        Args:
            possible: 1 where an experiment can be mistaken; (experiment,).
            chance: of each case in which any is.
        """
        cases = [torch.zeros_like(possible)]
        if chance:
            cases += [row for row in torch.diag(possible) if float(row.sum())]
            if float(possible.sum()) > 1:
                cases.append(possible)
        chances = torch.full((len(cases),), chance, dtype=torch.float64)
        chances[0] = 1.0
        return cls(torch.stack(cases), chances / chances.sum())

    @property
    def shares(self) -> torch.Tensor:
        """How likely each experiment is mistaken; (..., experiment)."""
        return self.chances @ self.which

    def at(self, shape: Sequence[int]) -> Doubt:
        """The same belief as often as ``shape`` says."""
        return Doubt(self.which, self.chances.expand(*shape, -1))

    def seen(self, logs: torch.Tensor) -> Doubt:
        """The belief after evidence whose log likelihood in each case is given; (..., case)."""
        weights = self.chances * (logs - logs.amax(dim=-1, keepdim=True)).exp()
        return Doubt(self.which, weights / weights.sum(dim=-1, keepdim=True))

    def draws(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Cases drawn from the belief; (count, experiment)."""
        chosen = torch.multinomial(self.chances, count, replacement=True, generator=generator)
        return self.which[chosen]
