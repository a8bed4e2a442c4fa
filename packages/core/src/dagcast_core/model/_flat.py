"""Several parameters as one vector: what optimisers and curvature need."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import final

import torch

Objective = Callable[[], torch.Tensor]


def pieces(joined: torch.Tensor, sizes: Sequence[int], dim: int = 0) -> list[torch.Tensor]:
    """Cut a tensor into consecutive parts of the given sizes; views."""
    starts = [0, *itertools.accumulate(sizes)]
    return [joined.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=False)]


@final
class FlatParameters:
    """Reads and writes parameters, and the gradient of an objective, as one float64 vector."""

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.sizes = tuple(parameter.numel() for parameter in self.parameters)
        self.size = sum(self.sizes)

    def read(self) -> torch.Tensor:
        """The values, copied."""
        if not self.parameters:
            return torch.zeros(0, dtype=torch.float64)
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    @torch.no_grad()
    def write(self, values: torch.Tensor) -> None:
        """Set the values in place."""
        for parameter, part in zip(self.parameters, pieces(values, self.sizes), strict=True):
            parameter.copy_(part.reshape(parameter.shape))

    def gradient(self, value: torch.Tensor) -> torch.Tensor:
        """Gradient of a 0-d value; 0 for parameters that it does not depend on."""
        return self._gradient(value, retain=False)

    def _gradient(self, value: torch.Tensor, retain: bool) -> torch.Tensor:
        if not value.requires_grad or not self.parameters:
            return torch.zeros(self.size, dtype=torch.float64)
        parts = torch.autograd.grad(value, self.parameters, allow_unused=True, retain_graph=retain)
        return torch.cat(
            [
                torch.zeros(size, dtype=torch.float64) if part is None else part.reshape(-1)
                for part, size in zip(parts, self.sizes, strict=True)
            ]
        )

    def gradient_kept(self, value: torch.Tensor) -> torch.Tensor:
        """The same, leaving the graph in place for further values computed along with this one."""
        return self._gradient(value, retain=True)

    def value_and_gradient(
        self, objective: Objective, at: torch.Tensor
    ) -> tuple[float, torch.Tensor]:
        """Value and gradient of the objective at a vector, which becomes the present one."""
        self.write(at)
        with torch.enable_grad():
            value = objective()
            gradient = self.gradient(value)
        return float(value.detach()), gradient

    def curvature_along(
        self, objective: Objective, at: torch.Tensor, direction: torch.Tensor, step: float = 1e-4
    ) -> torch.Tensor:
        """Hessian times a direction by central differences of the exact gradient.

        Differences rather than a second backward pass: custom implicit derivatives need not be
        differentiable twice, and the error, of order ``step^2``, is far below what any use of
        the curvature here can feel.
        """
        largest = float(direction.abs().max()) if direction.numel() else 0.0
        if not largest:
            return torch.zeros_like(direction)
        width = step / largest
        _, above = self.value_and_gradient(objective, at + width * direction)
        _, below = self.value_and_gradient(objective, at - width * direction)
        self.write(at)
        return (above - below) / (2 * width)
