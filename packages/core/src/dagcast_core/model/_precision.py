"""How certain own data and priors leave the parameters of a unit: a structured Hessian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch

from dagcast_core.model._arrow import Arrow, factorised
from dagcast_core.model._errors import ModelError
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._regularisation import PartialPooling, axis_of
from dagcast_core.model._unit import Unit

# Standard deviation, before transforms, of the vague prior that keeps flat directions finite.
VAGUE = 10.0
# Parameters with more values per block than this are probed in bands.
_WIDE = 48
_BANDS = 12
# Relative error of a random product up to which a banded Hessian is believed.
_BELIEVED = 0.1


@final
@dataclass(frozen=True)
class Slot:
    """Where the values of one parameter sit in the arrow.

    Attributes:
        positions: index into the flat vector of each value; (block, inner) for local parameters,
            (inner,) for shared ones.
        local: whether the values belong to blocks.
        offset: first place within a block, or within the shared variables.
    """

    positions: torch.Tensor
    local: bool
    offset: int

    @property
    def inner(self) -> int:
        """Number of values per block, or of shared values."""
        return int(self.positions.shape[-1])

    @property
    def place(self) -> slice:
        """Where the values sit within a block, or within the shared variables."""
        return slice(self.offset, self.offset + self.inner)

    def step(self, banded: bool) -> int:
        """Distance between values that are probed together; ``inner`` means one at a time."""
        return _BANDS if banded and self.local and self.inner > _WIDE else self.inner


@final
@dataclass(frozen=True)
class Precision:
    """Inverse covariance of a unit's parameters, without experiments.

    Attributes:
        slots: where parameters sit.
        arrow: the factorised matrix.
        size: number of parameter values.
        probes: Hessian-vector products spent.
        mismatch: relative error of a random Hessian-vector product, a check of the structure.
    """

    slots: tuple[Slot, ...]
    arrow: Arrow
    size: int
    probes: int
    mismatch: float

    def solve(self, vectors: torch.Tensor) -> torch.Tensor:
        """Covariance times vectors; (value, column)."""
        return self._joined(*self.arrow.solve(*self._split(vectors)))

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

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws around 0; (value, count)."""
        return self._joined(*self.arrow.sample(count, generator))

    def variances(self) -> torch.Tensor:
        """Variance of each parameter value."""
        local, shared = self.arrow.variances()
        return self._joined(local.unsqueeze(-1), shared.unsqueeze(-1)).squeeze(-1)

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
    """Hessian of a unit's own loss at its present parameters, as an arrowhead matrix.

    Parameters with a common dim (usually region) form one block per label, all others are shared.
    Blocks are read off products with one direction per parameter of a block, for all labels at
    once. Parameters with many values per label (an hour-of-week profile) are probed in bands. A
    random product checks the structure; where it does not hold, a finer one is tried. Partial
    pooling over the labels couples all blocks; a mean per pooled value, added as a shared
    variable, represents that exactly.
    """
    at = unit.flat.read()
    best: tuple[float, _Hessian, list[tuple[PartialPooling, Slot]]] | None = None
    probes = 0
    for shape in _shapes(unit):
        pooled = _pooled(unit, shape.slots)
        product = _product_without(unit, [term for term, _ in pooled], at)
        hessian = _Hessian.probed(shape, at.numel(), product)
        mismatch = hessian.mismatch(product)
        probes += shape.cost + 1
        if best is None or mismatch < best[0]:
            best = (mismatch, hessian, pooled)
        if mismatch <= _BELIEVED:
            break
    if best is None:
        raise ModelError(f"{unit.name} has no parameters to be certain of.")
    mismatch, hessian, pooled = best
    for term, slot in pooled:
        hessian.add_pooling(slot, term.weight / term.scale**2)
    arrow = hessian.factorised(1 / VAGUE**2)
    return Precision(hessian.shape.slots, arrow, at.numel(), probes, mismatch)


@dataclass(frozen=True)
class _Shape:
    """One way of dividing the parameters into blocks and shared variables."""

    slots: tuple[Slot, ...]
    blocks: int
    inner: int
    shared: int
    banded: bool

    @property
    def cost(self) -> int:
        """Products that it takes."""
        return sum(slot.step(self.banded) for slot in self.slots)


@dataclass
class _Hessian:
    """The parts of an arrowhead matrix while it is put together."""

    shape: _Shape
    size: int
    local: torch.Tensor
    border: torch.Tensor
    corner: torch.Tensor

    @classmethod
    def probed(
        cls, shape: _Shape, size: int, product: Callable[[torch.Tensor], torch.Tensor]
    ) -> _Hessian:
        blocks, inner, shared = shape.blocks, shape.inner, shape.shared
        hessian = cls(
            shape,
            size,
            torch.zeros((blocks, inner, inner), dtype=torch.float64),
            torch.zeros((blocks, inner, shared), dtype=torch.float64),
            torch.zeros((shared, shared), dtype=torch.float64),
        )
        for slot in shape.slots:
            step = slot.step(shape.banded)
            for color in range(step):
                columns = torch.arange(color, slot.inner, step)
                direction = torch.zeros(size, dtype=torch.float64)
                direction[slot.positions[..., columns]] = 1.0
                result = product(direction)
                if step < slot.inner:
                    hessian._record_band(slot, columns, step, result)
                else:
                    hessian._record_column(slot, color, result)
        return hessian

    def _record_column(self, slot: Slot, color: int, result: torch.Tensor) -> None:
        column = slot.offset + color
        for other in self.shape.slots:
            values = result[other.positions]
            if slot.local and other.local:
                self.local[:, other.place, column] = values
                # The band of a wide parameter does not reach narrow ones; this does.
                self.local[:, column, other.place] = values
            elif not slot.local and other.local:
                self.border[:, other.place, column] = values
            elif not slot.local:
                self.corner[other.place, column] = values

    def _record_band(
        self, slot: Slot, columns: torch.Tensor, step: int, result: torch.Tensor
    ) -> None:
        for other in self.shape.slots:
            if not other.local or other.inner != slot.inner:
                continue
            rows = torch.arange(other.inner)
            nearest = torch.round((rows - columns[0]) / step).long().clamp(0, len(columns) - 1)
            values = result[other.positions]
            self.local[:, other.offset + rows, slot.offset + columns[nearest]] = values

    def mismatch(self, product: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Relative error of a product with a random direction."""
        generator = torch.Generator().manual_seed(1)
        direction = torch.randn(self.size, generator=generator, dtype=torch.float64)
        exact = product(direction)
        if not float(exact.norm()):
            return 0.0
        local = torch.zeros((self.shape.blocks, self.shape.inner), dtype=torch.float64)
        common = torch.zeros(self.shape.shared, dtype=torch.float64)
        for slot in self.shape.slots:
            (local[:, slot.place] if slot.local else common[slot.place]).copy_(
                direction[slot.positions]
            )
        inside = torch.einsum("rij,rj->ri", self.local, local) + self.border @ common
        outside = torch.einsum("rig,ri->g", self.border, local) + self.corner @ common
        found = torch.zeros_like(direction)
        for slot in self.shape.slots:
            found[slot.positions] = inside[:, slot.place] if slot.local else outside[slot.place]
        return float((found - exact).norm() / exact.norm())

    def add_pooling(self, slot: Slot, weight: float) -> None:
        """Couple a slot's blocks to their mean, one new shared variable per value of a block."""
        blocks, inner, shared = self.border.shape
        new = slot.inner
        border = torch.zeros((blocks, inner, shared + new), dtype=torch.float64)
        border[..., :shared] = self.border
        corner = torch.zeros((shared + new, shared + new), dtype=torch.float64)
        corner[:shared, :shared] = self.corner
        rows = torch.arange(slot.offset, slot.offset + new)
        self.local[:, rows, rows] += weight
        border[:, rows, shared + torch.arange(new)] = -weight
        corner[shared + torch.arange(new), shared + torch.arange(new)] = blocks * weight
        self.border, self.corner = border, corner

    def factorised(self, vague: float) -> Arrow:
        """The matrix with a vague prior on every parameter."""
        inner, shared = self.local.shape[1], self.corner.shape[0]
        # Means of partial pooling are no parameters: they get just enough to be invertible.
        extra = torch.full((shared,), 1e-9, dtype=torch.float64)
        extra[: self.shape.shared] = vague
        return factorised(
            self.local + vague * torch.eye(inner, dtype=torch.float64),
            self.border,
            self.corner + torch.diag(extra),
        )


def _product_without(
    unit: Unit, left_out: Sequence[PartialPooling], at: torch.Tensor
) -> Callable[[torch.Tensor], torch.Tensor]:
    def rest() -> torch.Tensor:
        priors = [
            term.value()
            for part in unit.parts
            for term in part.priors
            if not any(term is other for other in left_out)
        ]
        return unit.fitness() + sum(priors, torch.zeros((), dtype=torch.float64))

    return lambda direction: unit.flat.curvature_along(rest, at, direction)


def _shapes(unit: Unit) -> list[_Shape]:
    """Ways of dividing the parameters, cheapest first; the last one is not banded."""
    labelled = {
        id(module.raw): module
        for part in unit.parts
        for module in part.model.modules()
        if isinstance(module, LabelledParameter)
    }
    modules = [labelled.get(id(parameter)) for parameter in unit.flat.parameters]
    sides = {
        side
        for module in modules
        if module is not None
        for side in zip(module.dims, module.shape, strict=True)
    }
    shapes = [
        _shape(unit, modules, side, banded)
        for side in sides or {("", 1)}
        for banded in (True, False)
    ]
    distinct = {(shape.cost, shape.blocks, shape.inner): shape for shape in reversed(shapes)}
    return [distinct[key] for key in sorted(distinct)][:3]


def _shape(
    unit: Unit, modules: Sequence[LabelledParameter | None], side: tuple[str, int], banded: bool
) -> _Shape:
    slots: list[Slot] = []
    start, inner, shared = 0, 0, 0
    for parameter, module in zip(unit.flat.parameters, modules, strict=True):
        positions = torch.arange(start, start + parameter.numel()).reshape(parameter.shape)
        start += parameter.numel()
        sides = [] if module is None else list(zip(module.dims, module.shape, strict=True))
        if side in sides:
            by_block = positions.movedim(sides.index(side), 0).reshape(side[1], -1)
            slots.append(Slot(by_block, True, inner))
            inner += by_block.shape[1]
        else:
            slots.append(Slot(positions.reshape(-1), False, shared))
            shared += parameter.numel()
    return _Shape(tuple(slots), side[1] if inner else 0, inner, shared, banded)


def _pooled(unit: Unit, slots: Sequence[Slot]) -> list[tuple[PartialPooling, Slot]]:
    """Partial pooling over the very labels that make the blocks, with the slots concerned."""
    found: list[tuple[PartialPooling, Slot]] = []
    for part in unit.parts:
        for term in part.priors:
            if not isinstance(term, PartialPooling) or not term.weight:
                continue
            axis = axis_of(term.parameter, term.dim)
            for parameter, slot in zip(unit.flat.parameters, slots, strict=True):
                if parameter is not term.parameter.raw or not slot.local:
                    continue
                order = torch.arange(parameter.numel()).reshape(parameter.shape).movedim(axis, 0)
                own = slot.positions - slot.positions.min()
                if torch.equal(order.reshape(order.shape[0], -1), own):
                    found.append((term, slot))
    return found
