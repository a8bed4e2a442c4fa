"""Arrowhead matrices: many independent blocks, coupled only through a few shared variables.

The Hessian of a model whose regions meet only in shared parameters has this shape, so solving,
sampling and standard errors cost time linear in the number of regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch


@final
@dataclass(frozen=True)
class Arrow:
    """A positive definite arrowhead matrix, factorised.

    The matrix is ``[[A_1, .., B_1], [.., A_r, B_r], [B', C]]`` with blocks ``A_r``.

    Attributes:
        blocks: lower Cholesky factors of the blocks; (block, inner, inner).
        border: ``B``; (block, inner, shared).
        corner: lower Cholesky factor of the Schur complement ``C - sum B' A^-1 B``;
            (shared, shared).
        shared: ``C``, such that the factors are exact for it; (shared, shared).
    """

    blocks: torch.Tensor
    border: torch.Tensor
    corner: torch.Tensor
    shared: torch.Tensor

    def times(self, local: torch.Tensor, shared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrix times vectors given in parts, as in `Arrow.solve`."""
        inside = self.blocks @ (self.blocks.mT @ local)
        inside = inside + torch.einsum("rig,gk->rik", self.border, shared)
        outside = torch.einsum("rig,rik->gk", self.border, local) + self.shared @ shared
        return inside, outside

    def solve(self, local: torch.Tensor, shared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Solve for right-hand sides given in parts.

        Args:
            local: (block, inner, column).
            shared: (shared, column).

        Returns:
            The solution in the same parts.
        """
        first = torch.cholesky_solve(local, self.blocks)
        if not shared.shape[0]:
            return first, shared
        rest = shared - torch.einsum("rig,rik->gk", self.border, first)
        shared = torch.cholesky_solve(rest, self.corner)
        pull = torch.einsum("rig,gk->rik", self.border, shared)
        return torch.cholesky_solve(local - pull, self.blocks), shared

    def sample(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw from the normal distribution that has this matrix as its precision.

        Returns:
            Parts of shape (block, inner, count) and (shared, count).
        """
        blocks, inner, size = self.border.shape
        noise = torch.randn((blocks, inner, count), generator=generator, dtype=self.blocks.dtype)
        local = torch.linalg.solve_triangular(self.blocks.mT, noise, upper=True)
        shared = torch.randn((size, count), generator=generator, dtype=self.blocks.dtype)
        if not size:
            return local, shared
        shared = torch.linalg.solve_triangular(self.corner.mT, shared, upper=True)
        pull = torch.einsum("rig,gk->rik", self.border, shared)
        return local - torch.cholesky_solve(pull, self.blocks), shared

    def variances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Diagonal of the inverse, as (block, inner) and (shared,)."""
        inner = self.blocks.shape[1]
        unit = torch.eye(inner, dtype=self.blocks.dtype)
        inverse = torch.linalg.solve_triangular(self.blocks, unit, upper=False)
        local = (inverse * inverse).sum(dim=1)
        size = self.border.shape[2]
        if not size:
            return local, torch.zeros(0, dtype=self.blocks.dtype)
        half = torch.linalg.solve_triangular(
            self.corner, torch.eye(size, dtype=self.corner.dtype), upper=False
        )
        shared = (half * half).sum(dim=0)
        pull = torch.cholesky_solve(self.border, self.blocks) @ half.mT
        return local + (pull * pull).sum(dim=2), shared


def factorised(blocks: torch.Tensor, border: torch.Tensor, corner: torch.Tensor) -> Arrow:
    """Factorise an arrowhead matrix, lifting directions of no or negative curvature.

    Args:
        blocks: ``A``; (block, inner, inner), symmetric.
        border: ``B``; (block, inner, shared).
        corner: ``C``; (shared, shared), symmetric.

    Raises:
        FloatingPointError: a value is not finite.
    """
    lower = _cholesky(blocks)
    if not corner.shape[0]:
        return Arrow(lower, border, corner, corner)
    inner = torch.cholesky_solve(border, lower)
    pull = torch.einsum("rig,rih->gh", border, inner)
    factor = _cholesky((corner - pull).unsqueeze(0))[0]
    # Lifting may have changed the corner; the factors decide what the matrix is.
    return Arrow(lower, border, factor, factor @ factor.mT + pull)


def _cholesky(matrices: torch.Tensor) -> torch.Tensor:
    """Lower factors; matrices that are not positive definite have their eigenvalues lifted."""
    if not matrices.numel():
        return matrices
    symmetric = 0.5 * (matrices + matrices.mT)
    if not torch.isfinite(symmetric).all():
        raise FloatingPointError("the curvature is not finite")
    factors: torch.Tensor
    factors, failed = torch.linalg.cholesky_ex(symmetric)
    for index in failed.nonzero().flatten().tolist():
        values, vectors = torch.linalg.eigh(symmetric[index])
        floor = max(1e-8 * float(values.abs().max()), 1e-10)
        lifted = (vectors * values.clamp(min=floor)) @ vectors.mT
        factors[index] = torch.linalg.cholesky(0.5 * (lifted + lifted.mT))
    return factors
