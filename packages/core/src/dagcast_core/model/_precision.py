"""How certain own data and priors leave the parameters of a unit.

The curvature of the data terms is their Fisher information ``J' W J``, from the derivatives ``J``
of every predicted cell and the information ``W`` that a cell carries about its prediction. Unlike
a differenced Hessian it is never negative, and directions that the data do not see come out flat
to rounding, so that priors decide there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._arrow import Arrow, factorised
from dagcast_core.model._division import Division, Slot, divided
from dagcast_core.model._loss import NegativeBinomial
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._regularisation import ParameterTerm, PartialPooling
from dagcast_core.model._sensitivity import Columns, Sensitivity, information, mismatch
from dagcast_core.model._unit import Unit

# Standard deviation, before transforms, of the vague prior that keeps flat directions finite.
VAGUE = 10.0


@final
@dataclass(frozen=True)
class Precision:
    """Inverse covariance of a unit's parameters, without experiments.

    Attributes:
        slots: where parameters sit.
        arrow: the factorised matrix.
        size: number of parameter values.
        forwards: forward passes spent.
        mismatch: relative error of a random derivative; large where labels of the blocks' dim
            influence one another, which this structure cannot hold.
    """

    slots: tuple[Slot, ...]
    arrow: Arrow
    size: int
    forwards: int
    mismatch: float

    def solve(self, vectors: torch.Tensor) -> torch.Tensor:
        """Covariance times vectors; (value, column)."""
        return self._joined(*self.arrow.solve(*self._split(vectors)))

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws around 0; (value, count)."""
        return self._joined(*self.arrow.sample(count, generator))

    def variances(self) -> torch.Tensor:
        """Variance of each parameter value."""
        local, shared = self.arrow.variances()
        return self._joined(local.unsqueeze(-1), shared.unsqueeze(-1)).squeeze(-1)

    def times(self, vector: torch.Tensor) -> torch.Tensor:
        """Precision times a vector, with the means of partial pooling marginalised; (value,)."""
        local, shared = self._split(vector.unsqueeze(-1))
        real = sum(slot.inner for slot in self.slots if not slot.local)
        border, corner = self.arrow.border, self.arrow.shared
        if corner.shape[0] > real:
            push = torch.einsum("rig,rik->gk", border[..., real:], local)
            push = push + corner[real:, :real] @ shared[:real]
            shared[real:] = -torch.linalg.solve(corner[real:, real:], push)
        return self._joined(*self.arrow.times(local, shared)).squeeze(-1)

    def _split(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        blocks, inner, shared = self.arrow.border.shape
        columns = vectors.shape[1]
        local = torch.zeros((blocks, inner, columns), dtype=vectors.dtype)
        common = torch.zeros((shared, columns), dtype=vectors.dtype)
        for slot in self.slots:
            if slot.local:
                local[:, slot.place] = vectors[slot.positions]
            else:
                common[slot.place] = vectors[slot.positions]
        return local, common

    def _joined(self, local: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
        vectors = torch.zeros((self.size, local.shape[-1]), dtype=local.dtype)
        for slot in self.slots:
            vectors[slot.positions] = local[:, slot.place] if slot.local else shared[slot.place]
        return vectors


def precision_of(unit: Unit) -> Precision:
    """Curvature of a unit's own loss at its present parameters, as an arrowhead matrix.

    Parameters with a common dim (usually region) form one block per label, all others are shared.
    Partial pooling over those labels couples all blocks; a mean per pooled value, added as a
    shared variable, represents that exactly.
    """
    division = divided(unit)
    matrix = _Matrix(division)
    at = unit.flat.read()
    forwards, error = 0, 0.0
    if any(part.data for part in unit.parts):
        sensitivity = Sensitivity(unit, division)
        columns = [sensitivity.columns(slot) for slot in division.slots]
        error = mismatch(sensitivity, columns)
        matrix.add_information(unit, sensitivity, columns)
        matrix.add_dispersion(unit)
        forwards = sensitivity.forwards
    for part in unit.parts:
        for term in part.priors:
            matrix.add_prior(unit, term)
    return Precision(division.slots, matrix.factorised(VAGUE**-2), at.numel(), forwards, error)


class _Matrix:
    """The parts of an arrowhead matrix while it is put together."""

    def __init__(self, division: Division) -> None:
        self.division = division
        blocks, inner, shared = division.blocks, division.inner, division.shared
        self.local = torch.zeros((blocks, inner, inner), dtype=torch.float64)
        self.border = torch.zeros((blocks, inner, shared), dtype=torch.float64)
        self.corner = torch.zeros((shared, shared), dtype=torch.float64)

    def add_information(
        self, unit: Unit, sensitivity: Sensitivity, columns: list[dict[str, Columns]]
    ) -> None:
        """Add ``J' W J`` of all fitness terms, one block at a time to bound the memory."""
        division = self.division
        inner, size = division.inner, division.inner + division.shared
        places = [
            slot.place if slot.local else slice(slot.place.start + inner, slot.place.stop + inner)
            for slot in division.slots
        ]
        for part in unit.parts:
            for term, target in part.data:
                predicted = sensitivity.predicted(term.name)
                weight = term.weight * term.information(predicted.tensor, target)
                weights = sensitivity.by_block(term.name, weight)
                own = [known[term.name] for known in columns]
                for block in range(division.blocks):
                    rows = weights[block]
                    if not bool((rows > 0).any()):
                        continue
                    product = information(own, places, size, rows, block)
                    self.local[block] += product[:inner, :inner]
                    self.border[block] += product[:inner, inner:]
                    self.corner += product[inner:, inner:]

    def add_dispersion(self, unit: Unit) -> None:
        """Add the curvature by learned parameters of the likelihoods themselves."""
        for part in unit.parts:
            for term, target in part.data:
                size = getattr(term, "concentration", None)
                if not isinstance(term, NegativeBinomial) or not isinstance(
                    size, LabelledParameter
                ):
                    continue
                for parameter, slot in zip(unit.flat.parameters, self.division.slots, strict=True):
                    if parameter is not size.raw:
                        continue
                    predicted = unit.outputs()[term.name]
                    with torch.enable_grad():
                        value = term.value(predicted, target)
                        (slope,) = torch.autograd.grad(value, parameter, create_graph=True)
                        (bend,) = torch.autograd.grad(slope.sum(), parameter)
                    block = (
                        self.local[:, slot.place, slot.place]
                        if slot.local
                        else (self.corner[slot.place, slot.place])
                    )
                    block += torch.diag_embed(bend.detach().reshape(-1).abs())

    def add_prior(self, unit: Unit, term: ParameterTerm) -> None:
        """Add the curvature of a term on one parameter."""
        for parameter, slot in zip(unit.flat.parameters, self.division.slots, strict=True):
            if parameter is not term.parameter.raw or not term.weight:
                continue
            if isinstance(term, PartialPooling) and slot.local and self._by_blocks(term):
                self._add_pooling(slot, term.weight / term.scale**2)
            else:
                self._add_curvature(parameter, slot, term)

    def _by_blocks(self, term: PartialPooling) -> bool:
        name = term.dim if isinstance(term.dim, str) else term.dim.name
        return self.division.dim == name

    def _add_curvature(
        self, parameter: torch.nn.Parameter, slot: Slot, term: ParameterTerm
    ) -> None:
        # Terms on one parameter are cheap: one exact product per value of a block.
        offset = int(slot.positions.min())
        with torch.enable_grad():
            value = term.value()
            (slope,) = torch.autograd.grad(value, parameter, create_graph=True)
            if not slope.requires_grad:
                return
            rows = []
            for i in range(slot.inner):
                chosen = slope.reshape(-1)[slot.positions[..., i] - offset].sum()
                (row,) = torch.autograd.grad(chosen, parameter, retain_graph=True)
                rows.append(row.reshape(-1)[slot.positions - offset])
        matrix = torch.stack(rows, dim=-1)  # (block, inner, inner) or (inner, inner)
        if slot.local:
            self.local[:, slot.place, slot.place] += matrix
        else:
            self.corner[slot.place, slot.place] += matrix

    def _add_pooling(self, slot: Slot, weight: float) -> None:
        """Couple a slot's blocks to their mean, one new shared variable per value of a block."""
        blocks, inner, shared = self.border.shape
        new = slot.inner
        border = torch.zeros((blocks, inner, shared + new), dtype=torch.float64)
        border[..., :shared] = self.border
        corner = torch.zeros((shared + new, shared + new), dtype=torch.float64)
        corner[:shared, :shared] = self.corner
        rows, means = torch.arange(new) + slot.offset, torch.arange(new) + shared
        self.local[:, rows, rows] += weight
        border[:, rows, means] = -weight
        corner[means, means] = blocks * weight
        self.border, self.corner = border, corner

    def factorised(self, vague: float) -> Arrow:
        """The matrix with a vague prior on every parameter."""
        inner, shared = self.local.shape[1], self.corner.shape[0]
        # Means of partial pooling are no parameters: they get just enough to be invertible.
        extra = torch.full((shared,), 1e-9, dtype=torch.float64)
        extra[: self.division.shared] = vague
        return factorised(
            self.local + vague * torch.eye(inner, dtype=torch.float64),
            self.border,
            self.corner + torch.diag(extra),
        )
