"""Parameters with labels: they align to data by name, and labels unseen in training are pooled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
import torch

from dagcast_core.contract import Dim
from dagcast_core.model._errors import ModelError
from dagcast_core.model._transform import Transform, TransformName, transform_of
from dagcast_core.tensor import IndexTensor, align

if TYPE_CHECKING:
    from collections.abc import Callable

_REMEMBERED = 16
_SIDE_BY_SIDE: ContextVar[bool] = ContextVar("_SIDE_BY_SIDE", default=False)


@contextmanager
def labels_compared(side_by_side: bool) -> Iterator[None]:
    """Run models for an experiment that compares labels side by side, or for one that does not."""
    token = _SIDE_BY_SIDE.set(side_by_side)
    try:
        yield
    finally:
        _SIDE_BY_SIDE.reset(token)


@final
class LabelledParameter(torch.nn.Module):
    """A learned value per label of named dims.

    Arithmetic with an `IndexTensor` aligns the parameter to the other operand: labels are matched,
    never positions, and a label unseen in training gets the pooled value, the mean over the
    trained labels in unconstrained space. Make parameters with `Model.parameter`.

    Args:
        dims: the named dimensions, in order; none for a single number.
        labels: labels by dim.
        start: starting value in the parameter's own unit: a number, or an array over ``dims``.
        transform: keeps the value in its range; see `transform_of`.
        pool: whether unseen labels get the pooled value; otherwise they are an error.
        side_by_side: the value in the effects of experiments that compare labels side by side; None
            where it is the same there.

    Raises:
        ModelError: labels are missing or repeat, or the start is outside the transform's range.
    """

    raw: torch.nn.Parameter

    def __init__(
        self,
        dims: Sequence[Dim | str],
        labels: Mapping[str, Iterable[Any]],
        start: Any = 0.0,
        transform: TransformName | Transform | None = None,
        pool: bool = True,
        side_by_side: float | None = None,
    ) -> None:
        super().__init__()
        self.side_by_side = side_by_side
        self.dims = tuple(str(dim) for dim in dims)
        self.indexes = {dim: _index(dim, labels, self.dims) for dim in self.dims}
        self.transform = transform_of(transform)
        self.pool = pool
        self.label = "parameter"
        # Where unseen labels find their value: None is the mean, else the place, from 0 to 1, of
        # the one trained label that stands for them.
        self.stand_in: float | None = None
        self.raw = torch.nn.Parameter(self._start(start))
        # Positions of labels met before, by the identity of their index, which is kept alive here.
        self._positions: dict[tuple[str, int], tuple[pd.Index, torch.Tensor | None]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of labels along each dim."""
        return tuple(len(self.indexes[dim]) for dim in self.dims)

    def value(self) -> IndexTensor:
        """The constrained value on the parameter's own labels."""
        return IndexTensor(self._constrained(self.raw), self.indexes, self.label)

    def forward(self) -> IndexTensor:
        """The constrained value on the parameter's own labels."""
        return self.value()

    def at(self, like: IndexTensor) -> IndexTensor:
        """The value on the labels of ``like``, along the dims that both have.

        Args:
            like: gives the labels, e.g. regions of a forecast.

        Returns:
            dims as the parameter's; dims that ``like`` lacks keep the parameter's own labels.

        Raises:
            ModelError: a label is unseen and the parameter is declared with ``pool=False``.
        """
        raw: torch.Tensor = self.raw
        indexes: dict[str, pd.Index] = {}
        for axis, dim in enumerate(self.dims):
            indexes[dim] = self.indexes[dim]
            if dim not in like.dims:
                continue
            indexes[dim] = like.index(dim)
            positions = self._place(dim, like.index(dim))
            if positions is not None:
                with_pool = torch.cat([raw, self._pooled(raw, axis)], axis)
                raw = with_pool.index_select(axis, positions)
        return IndexTensor(self._constrained(raw), indexes, self.label)

    def sel(self, **selectors: Any) -> IndexTensor:
        """Select along the parameter's dims, as `IndexTensor.sel` does.

        Where a selector is an `IndexTensor` of labels, such as the hour of week of every region
        and hour, the other dims are first aligned to it, so unseen regions are pooled.

        Example:
            ``self.profile.sel(hour_of_week=hour_of_week)`` with a profile of dims
            (region, hour_of_week) has the dims (region, hour).
        """
        base = self.value()
        for selector in selectors.values():
            if isinstance(selector, IndexTensor):
                base = self.at(selector)
                break
        return base.sel(**selectors)

    @torch.no_grad()
    def assign(self, value: Any) -> None:
        """Set the constrained value, e.g. to a closed-form start; gradients are not recorded.

        Args:
            value: a number, an array over the parameter's dims, or an `IndexTensor` that has the
                parameter's labels (in any order).

        Raises:
            ModelError: labels are missing or the value is outside the transform's range.
        """
        if isinstance(value, IndexTensor):
            if set(value.dims) != set(self.dims):
                raise ModelError(
                    f"cannot assign {value.name} with dims {value.dims} to parameter "
                    f"{self.label!r} with dims {self.dims}."
                )
            value = value.reindex(self.indexes).values(*self.dims)
        self.raw.copy_(self._start(value))

    def extra_repr(self) -> str:
        """Dims, sizes and range, for torch's ``repr`` of a module."""
        sizes = ", ".join(f"{dim}: {len(self.indexes[dim])}" for dim in self.dims) or "scalar"
        return f"{sizes}, transform={self.transform.name}"

    def _constrained(self, raw: torch.Tensor) -> torch.Tensor:
        if self.side_by_side is not None and _SIDE_BY_SIDE.get():
            return torch.full_like(raw, self.side_by_side)
        return self.transform.forward(raw)

    def _start(self, start: Any) -> torch.Tensor:
        # A copy: torch warns about arrays that it may not write to.
        given = (
            start.to(torch.float64)
            if isinstance(start, torch.Tensor)
            else torch.from_numpy(np.array(start, dtype=np.float64))
        )
        try:
            value = given.detach().broadcast_to(self.shape).clone()
        except RuntimeError:
            raise ModelError(
                f"the start of parameter {self.label!r} has shape {tuple(given.shape)}; expected a "
                f"number or {dict(zip(self.dims, self.shape, strict=True))}."
            ) from None
        if not torch.isfinite(value).all():
            strange = value[~torch.isfinite(value)].flatten()[0].item()
            raise ModelError(f"a parameter starts at {strange:g}; expected finite numbers.")
        raw = self.transform.inverse(value)
        if not torch.isfinite(raw).all():
            raise ModelError(
                f"parameter {self.label!r} cannot take the value "
                f"{value[~torch.isfinite(raw)].flatten()[0].item():g}: {self.transform.name} keeps "
                f"it strictly between {self.transform.lower:g} and {self.transform.upper:g}."
            )
        return raw

    def _pooled(self, raw: torch.Tensor, axis: int) -> torch.Tensor:
        """What an unseen label gets along one axis, kept with length 1."""
        if self.stand_in is None:
            return raw.mean(dim=axis, keepdim=True)
        return raw.narrow(axis, int(self.stand_in * raw.shape[axis]), 1)

    def _place(self, dim: str, index: pd.Index) -> torch.Tensor | None:
        """Position of each label, one past the last for the pool; None where nothing moves."""
        own = self.indexes[dim]
        if index is own:
            return None
        known = self._positions.get((dim, id(index)))
        if known is not None and known[0] is index:
            return known[1]
        positions: torch.Tensor | None = None
        if not index.equals(own):
            found = own.get_indexer(index)
            unseen = found < 0
            if unseen.any() and not self.pool:
                shown = ", ".join(repr(label) for label in index[unseen][:3])
                raise ModelError(
                    f"parameter {self.label!r} has no value for {int(unseen.sum())} labels along "
                    f"{dim!r}: {shown}. It is declared with pool=False; add the labels, or let it "
                    "pool."
                )
            positions = torch.as_tensor(np.where(unseen, len(own), found))
        if len(self._positions) >= _REMEMBERED:
            self._positions.clear()
        self._positions[dim, id(index)] = (index, positions)
        return positions

    def __getstate__(self) -> dict[str, Any]:
        # Identities do not survive a copy or another process.
        return {**self.__dict__, "_positions": {}}

    def _with(
        self,
        other: Any,
        combine: Callable[[IndexTensor, Any], IndexTensor],
    ) -> IndexTensor:
        if isinstance(other, LabelledParameter):
            # Two parameters meet on their own labels; neither may pool for the other.
            with align("exact"):
                return combine(self.value(), other.value())
        mine = self.at(other) if isinstance(other, IndexTensor) else self.value()
        return combine(mine, other)

    def __add__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: b / a)

    def __pow__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: a**b)

    def __rpow__(self, other: Any) -> IndexTensor:
        return self._with(other, lambda a, b: b**a)

    def __neg__(self) -> IndexTensor:
        return -self.value()


def _index(dim: str, labels: Mapping[str, Iterable[Any]], dims: Sequence[str]) -> pd.Index:
    if dim not in labels:
        raise ModelError(
            f"no labels are given along {dim!r} for a parameter with dims {tuple(dims)}; "
            f"write labels={{{dim!r}: ...}}."
        )
    given = labels[dim]
    if isinstance(given, str):
        raise ModelError(f"labels along {dim!r} are the text {given!r}; expected a list of labels.")
    index = given if isinstance(given, pd.Index) else pd.Index(list(given), name=dim)
    if not len(index):
        raise ModelError(f"a parameter needs at least one label along {dim!r}; found none.")
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ModelError(f"labels of a parameter repeat along {dim!r}: {twice!r} occurs twice.")
    # The algebra interns indexes: taking its object makes later identity checks succeed.
    return IndexTensor(torch.zeros(len(index)), {dim: index}, dim).indexes[dim]
