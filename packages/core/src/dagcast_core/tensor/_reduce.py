"""Reductions over named dims."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self, TypeVar

import torch

from dagcast_core.tensor._align import Operand, align
from dagcast_core.tensor._base import Labelled, call_name, new, wrap
from dagcast_core.tensor._convert import labels_at
from dagcast_core.tensor._errors import LabelError
from dagcast_core.tensor._index import DimLike, dim_name, intern_axis
from dagcast_core.tensor._layout import Layout, intern_layout, remember

Dims = DimLike | Sequence[DimLike]
T = TypeVar("T", bound=Labelled)
Reduction = Callable[[torch.Tensor, tuple[int, ...]], torch.Tensor]


class Reduce(Labelled):
    """How an `IndexTensor` is summed up. Without dims, a reduction is over all of them."""

    __slots__ = ()

    def sum(self, *dims: Dims, skipna: bool = False) -> Self:
        """Sum over dims.

        Args:
            dims: dims to sum over; all by default.
            skipna: count NaN as 0; otherwise a NaN makes the sum NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0], [3.0, 4.0]], {"region": ["a", "b"], "hour": [0, 1]})
            >>> a.sum("region").tolist(), a.sum().item()
            ([4.0, 6.0], 10.0)
        """
        if not skipna:
            try:
                _, layout, where = self._layout.folds[dims]
            except (KeyError, TypeError):  # not reduced before, or a list of dims
                pass
            else:
                out = new(self.__class__)
                out._tensor = self._tensor.sum(where)
                out._layout = layout
                out._name = self._name
                return out
        tensor = masked(self._tensor, 0.0) if skipna else self._tensor
        positions, layout = reduced(self._layout, dims)
        # Over no dims torch would sum over all.
        total = tensor.sum(positions) if positions else tensor
        return wrap(self, total, layout, self._name)

    def mean(self, *dims: Dims, skipna: bool = False) -> Self:
        """Mean over dims.

        Args:
            dims: dims to average over; all by default.
            skipna: leave NaN out of sum and count; otherwise a NaN makes the mean NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([[1.0, 2.0], [3.0, 4.0]], {"region": ["a", "b"], "hour": [0, 1]})
            >>> a.mean("hour").tolist()
            [1.5, 3.5]
        """
        if not skipna:
            try:
                _, layout, where = self._layout.folds[dims]
                mean = self._tensor.mean(where)
            except (KeyError, TypeError, RuntimeError):  # RuntimeError: whole numbers
                pass
            else:
                out = new(self.__class__)
                out._tensor = mean
                out._layout = layout
                out._name = self._name
                return out
        tensor = self._tensor
        positions, layout = reduced(self._layout, dims)
        if not tensor.is_floating_point() and not tensor.is_complex():
            tensor = tensor.double()
        if not positions:
            return wrap(self, tensor, layout, self._name)
        if skipna:
            total = masked(tensor, 0.0).sum(positions)
            return wrap(self, total / counted(tensor, positions), layout, self._name)
        return wrap(self, tensor.mean(positions), layout, self._name)

    def weighted_mean(self, weights: Operand, *dims: Dims, skipna: bool = False) -> Self:
        """Mean over dims, each value counting by its weight.

        Args:
            weights: labelled; dims that it lacks weigh equally. Where weights sum to 0 the mean
                is NaN.
            dims: dims to average over; all by default.
            skipna: leave NaN out of both sums.

        Raises:
            AlignmentError: labels do not meet.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> eta = IndexTensor([4.0, 8.0], {"region": ["SFO", "LAX"]}, "eta")
            >>> rides = IndexTensor([3.0, 1.0], {"region": ["SFO", "LAX"]}, "rides")
            >>> eta.weighted_mean(rides, "region").item()
            5.0
        """
        if not isinstance(weights, Labelled):
            raise TypeError(
                f"cannot weight by a {type(weights).__name__}: weights are an IndexTensor."
            )
        values: Any
        aligned: Any
        values, aligned = align(self, weights)
        unknown = [dim for dim in aligned.dims if dim not in values._layout.where]
        if unknown:
            raise LabelError(
                f"cannot average {call_name(self)} with weights of further dims {unknown}: "
                "sum the weights over them first."
            )
        tensor = values._tensor
        shown = torch.ones_like(tensor)
        if skipna:
            tensor, shown = masked(tensor, 0.0), (~torch.isnan(tensor)).to(tensor.dtype)
        top: Any = wrap(values, tensor, values._layout, None) * aligned
        bottom: Any = wrap(values, shown, values._layout, None) * aligned
        return (top.sum(*dims) / bottom.sum(*dims)).named(self._name)  # type: ignore[no-any-return]

    def prod(self, *dims: Dims) -> Self:
        """Product over dims.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 3.0], {"n": [1, 2]}).prod("n").item()
            6.0
        """
        return reduce(self, dims, _last_first(lambda t, i: t.prod(i)))

    def min(self, *dims: Dims, skipna: bool = False) -> Self:
        """Smallest value over dims; ties share the gradient.

        Args:
            dims: dims to reduce; all by default.
            skipna: ignore NaN; where nothing else is left the result is NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 3.0], {"n": [1, 2]}).min("n").item()
            2.0
        """
        return _extreme(self, dims, skipna, torch.amin, float("inf"), "min")

    def max(self, *dims: Dims, skipna: bool = False) -> Self:
        """Largest value over dims; ties share the gradient.

        Args:
            dims: dims to reduce; all by default.
            skipna: ignore NaN; where nothing else is left the result is NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 3.0], {"n": [1, 2]}).max("n").item()
            3.0
        """
        return _extreme(self, dims, skipna, torch.amax, float("-inf"), "max")

    def idxmax(self, dim: DimLike) -> Any:
        """Label at which the values are largest, for each of the other dims' labels.

        Args:
            dim: dim whose labels are asked for.

        Returns:
            The label, or a pandas Series of labels where other dims remain.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([2.0, 3.0], {"region": ["SFO", "LAX"]}).idxmax("region")
            'LAX'
        """
        position = self._layout.position(dim)
        return labels_at(self, position, self._tensor.argmax(position))

    def std(self, *dims: Dims, correction: int = 1, skipna: bool = False) -> Self:
        """Standard deviation over dims.

        Args:
            dims: dims to reduce; all by default.
            correction: 1 divides by n - 1 (sample), 0 by n (population).
            skipna: leave NaN out.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 3.0], {"n": [1, 2]}).std("n", correction=0).item()
            1.0
        """
        return self.var(*dims, correction=correction, skipna=skipna).sqrt()  # type: ignore[attr-defined, no-any-return]

    def var(self, *dims: Dims, correction: int = 1, skipna: bool = False) -> Self:
        """Variance over dims.

        Args:
            dims: dims to reduce; all by default.
            correction: 1 divides by n - 1 (sample), 0 by n (population).
            skipna: leave NaN out.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 3.0], {"n": [1, 2]}).var("n").item()
            2.0
        """
        positions, layout = reduced(self._layout, dims)
        tensor = self._tensor
        if not positions:
            return wrap(self, torch.zeros_like(tensor), layout, self._name)
        present = ~torch.isnan(tensor) if skipna else torch.ones_like(tensor, dtype=torch.bool)
        clean = masked(tensor, 0.0) if skipna else tensor
        count = present.sum(positions, keepdim=True)
        centre = clean.sum(positions, keepdim=True) / count
        deviation = torch.where(present, clean - centre, 0.0)
        spread = deviation.square().sum(positions) / (count.sum(positions) - correction)
        return wrap(self, spread, layout, self._name)

    def quantile(self, q: float | Sequence[float], *dims: Dims, skipna: bool = False) -> Self:
        """Quantiles over dims, interpolated linearly.

        Args:
            q: one level between 0 and 1, or several, which become a first dim ``quantile``.
            dims: dims to reduce; all by default.
            skipna: leave NaN out; otherwise a NaN makes the quantile NaN.

        Raises:
            ValueError: a level is outside 0 to 1.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.quantile(0.5, "n").item(), a.quantile([0.0, 1.0]).tolist()
            (2.0, [1.0, 4.0])
        """
        levels = [q] if isinstance(q, (int, float)) else [float(level) for level in q]
        if any(not 0 <= level <= 1 for level in levels):
            raise ValueError(f"cannot take the quantile {q}: levels lie between 0 and 1.")
        positions, layout = reduced(self._layout, dims)
        ranked, count = _ranked(self._tensor, positions, skipna)
        results = [_at_level(ranked, count, level) for level in levels]
        if isinstance(q, (int, float)):
            return wrap(self, results[0], layout, self._name)
        axis = intern_axis("quantile", levels)
        layout = intern_layout((axis, *layout.axes))
        return wrap(self, torch.stack(results), layout, self._name)

    def median(self, *dims: Dims, skipna: bool = False) -> Self:
        """Median over dims; of an even count, the mean of the middle two.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([1.0, 2.0, 4.0, 9.0], {"n": [1, 2, 3, 4]}).median("n").item()
            3.0
        """
        return self.quantile(0.5, *dims, skipna=skipna)

    def logsumexp(self, *dims: Dims, skipna: bool = False) -> Self:
        """``log(sum(exp(x)))`` over dims, without overflow.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> round(IndexTensor([800.0, 800.0], {"n": [1, 2]}).logsumexp("n").item(), 4)
            800.6931
        """
        positions, layout = reduced(self._layout, dims)
        tensor = masked(self._tensor, float("-inf")) if skipna else self._tensor
        result = tensor.logsumexp(positions) if positions else tensor
        return wrap(self, result, layout, self._name)

    def any(self, *dims: Dims) -> Self:
        """Whether any value is true (not 0).

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([True, False], {"n": [1, 2]}).any("n").item()
            True
        """
        return reduce(self, dims, _last_first(lambda t, i: t.any(i)))

    def all(self, *dims: Dims) -> Self:
        """Whether all values are true (not 0).

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([True, False], {"n": [1, 2]}).all("n").item()
            False
        """
        return reduce(self, dims, _last_first(lambda t, i: t.all(i)))

    def count(self, *dims: Dims) -> Self:
        """How many values are not NaN.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> IndexTensor([float("nan"), 1.0], {"n": [1, 2]}).count("n").item()
            1
        """
        positions, layout = reduced(self._layout, dims)
        present = ~torch.isnan(self._tensor)
        total = present.sum(positions) if positions else present.long()
        return wrap(self, total, layout, self._name)


def reduced(layout: Layout, dims: tuple[Any, ...]) -> tuple[tuple[int, ...], Layout]:
    """Positions of the dims to reduce, and the layout that remains; remembered.

    Raises:
        LabelError: there is no such dim, or it is named twice.

    Example:
        >>> from dagcast_core.tensor._layout import layout_of
        >>> positions, rest = reduced(layout_of({"a": [1], "b": [2]}), ("b",))
        >>> positions, rest.dims
        ((1,), ('a',))
    """
    try:
        found = layout.folds.get(dims)
    except TypeError:  # a list of dims
        found = None
    if found is not None:
        return found[:2]
    names: list[str] = []
    for dim in dims:
        if isinstance(dim, str) or hasattr(dim, "name"):
            names.append(dim_name(dim))
        else:
            names.extend(dim_name(part) for part in dim)
    if len(set(names)) < len(names):
        raise LabelError(f"cannot reduce over {names}: a dim is named twice.")
    positions = tuple(layout.position(name, f"cannot reduce over {name!r}") for name in names)
    if not dims:
        positions = tuple(range(len(layout.dims)))
    rest = layout.without(positions)
    if positions and all(isinstance(dim, Hashable) for dim in dims):
        where: Any = positions[0] if len(positions) == 1 else positions
        if len(positions) == len(layout.dims):
            where = None  # over everything, for which torch has a quicker way
        remember(layout.folds, dims, (positions, rest, where))
    return positions, rest


def reduce(value: T, dims: tuple[Any, ...], function: Reduction) -> T:
    """Apply a reduction of the raw tensor over named dims.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> reduce(IndexTensor([1.0, 2.0], {"n": [1, 2]}), ("n",), lambda t, i: t.sum(i)).item()
        3.0
    """
    positions, layout = reduced(value._layout, dims)
    result = function(value._tensor, positions) if positions else value._tensor
    return wrap(value, result, layout, value._name)


def masked(tensor: torch.Tensor, neutral: float) -> torch.Tensor:
    """Values with NaN replaced before anything is computed, so that its gradient is 0.

    Example:
        >>> masked(torch.tensor([1.0, float("nan")]), 0.0).tolist()
        [1.0, 0.0]
    """
    if not tensor.is_floating_point():
        return tensor
    return torch.where(torch.isnan(tensor), torch.full_like(tensor, neutral), tensor)


def counted(tensor: torch.Tensor, positions: tuple[int, ...]) -> torch.Tensor:
    """How many values are not NaN.

    Example:
        >>> counted(torch.tensor([1.0, float("nan")]), (0,)).item()
        1
    """
    return (~torch.isnan(tensor)).sum(positions)


def _last_first(one: Callable[[torch.Tensor, int], torch.Tensor]) -> Reduction:
    """A reduction over several dims from one over a single dim."""

    def over(tensor: torch.Tensor, positions: tuple[int, ...]) -> torch.Tensor:
        for position in sorted(positions, reverse=True):
            tensor = one(tensor, position)
        return tensor

    return over


def _extreme(
    value: T,
    dims: tuple[Any, ...],
    skipna: bool,
    function: Callable[..., torch.Tensor],
    neutral: float,
    name: str,
) -> T:
    positions, layout = reduced(value._layout, dims)
    tensor = value._tensor
    if not positions:
        return wrap(value, tensor, layout, value._name)
    if any(tensor.shape[position] == 0 for position in positions):
        raise ValueError(f"cannot take the {name} of {call_name(value)} over a dim without labels.")
    if skipna and tensor.is_floating_point():
        best = function(masked(tensor, neutral), positions)
        nothing = torch.isnan(tensor).all(positions[0]) if len(positions) == 1 else None
        if nothing is None:
            nothing = counted(tensor, positions) == 0
        best = torch.where(nothing, torch.full_like(best, float("nan")), best)
    else:
        best = function(tensor, positions)
    return wrap(value, best, layout, value._name)


def _ranked(
    tensor: torch.Tensor, positions: tuple[int, ...], skipna: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values sorted along one last dim, NaN last, and how many count (-1: NaN spoils it)."""
    if not tensor.is_floating_point():
        tensor = tensor.double()
    kept = [i for i in range(tensor.dim()) if i not in positions]
    flat = tensor.permute(*kept, *positions).reshape(*(tensor.shape[i] for i in kept), -1)
    missing = torch.isnan(flat)
    count = (~missing).sum(-1)
    if not skipna:
        count = torch.where(missing.any(-1), torch.full_like(count, -1), count)
    return masked(flat, float("inf")).sort(-1).values, count


def _at_level(ranked: torch.Tensor, count: torch.Tensor, level: float) -> torch.Tensor:
    last = (count - 1).clamp(min=0)
    place = level * last.to(ranked.dtype)
    below = place.floor().long()
    above = below + (place > below).long()  # never interpolate towards an infinity unasked
    low = ranked.gather(-1, below.unsqueeze(-1)).squeeze(-1)
    high = ranked.gather(-1, above.unsqueeze(-1)).squeeze(-1)
    result = low + (high - low) * (place - below)
    return torch.where(count > 0, result, torch.full_like(result, float("nan")))
