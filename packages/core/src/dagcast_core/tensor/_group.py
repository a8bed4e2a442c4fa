"""Grouping labels along a dim: groupby, resample and rolling windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar, final

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor._align import conform
from dagcast_core.tensor._base import Labelled, call_name, wrap
from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._gather import label_positions
from dagcast_core.tensor._index import Axis, DimLike, comparable, dim_name, intern_axis
from dagcast_core.tensor._layout import intern_layout
from dagcast_core.tensor._reduce import masked
from dagcast_core.tensor._rolling import Rolling
from dagcast_core.tensor._select import named_items, pick

T = TypeVar("T", bound=Labelled)


class Group(Labelled):
    """How the labels of an `IndexTensor` are grouped."""

    __slots__ = ()

    def groupby(
        self, dim: DimLike, by: Any, *, into: DimLike | None = None, labels: Any = None
    ) -> Grouped[Self]:
        """Group the labels of a dim; the reductions of the result combine each group.

        Args:
            dim: dim whose labels are grouped.
            by: a function of one label; a mapping or Series from label to group; one group per
                label, in order; or an IndexTensor of whole numbers over ``dim`` and possibly
                other dims, such as the local hour of week of every region and hour.
            into: name of the dim of groups; the same name by default.
            labels: the groups, in the order wanted; by default in order of first appearance
                (ascending where ``by`` is an IndexTensor).

        Raises:
            AlignmentError: a label has no group.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"hour": [22, 23, 24]}, "rides")
            >>> a.groupby("hour", lambda hour: hour // 24, into="day").sum().tolist()
            [3.0, 4.0]
        """
        position = self._layout.position(dim, f"cannot group {call_name(self)} by {dim!r}")
        axis = self._layout.axes[position]
        name = axis.dim if into is None else dim_name(into)
        if isinstance(by, Labelled):
            return _group_by_values(self, position, by, name, labels)
        keys = _group_keys(axis, by, call_name(self))
        groups = intern_axis(name, _unique(keys) if labels is None else labels)
        lookup = groups.lookup()
        wanted = intern_axis(name, keys)
        values = comparable(wanted)
        items = values.tolist() if isinstance(values, np.ndarray) else values
        codes = np.fromiter(
            (lookup.get(item, -1) for item in items), dtype=np.int64, count=axis.size
        )
        if (codes < 0).any():
            raise AlignmentError(
                f"cannot group {call_name(self)} along {axis.dim!r}: "
                f"{int((codes < 0).sum())} labels fall into none of the {groups.size} groups, "
                f"such as {axis.index[codes < 0][0]!r}.",
                dim=axis.dim,
            )
        return Grouped(self, position, torch.from_numpy(codes), groups)

    def resample(
        self, by: Mapping[Any, str] | None = None, /, *, zone: str | None = None, **rule: str
    ) -> Grouped[Self]:
        """Group times into periods; each group is labelled by the instant at which it begins.

        Args:
            by: frequency by dim or `Dim`.
            zone: zone whose clock decides where days, and parts of a day such as ``12h``, begin
                and end; the labels' own by default. A local day has 23 or 25 hours when clocks
                change.
            rule: pandas frequency by name of dim, such as ``hour="D"``.

        Raises:
            AlignmentError: the labels are no times.

        Example:
            >>> import pandas as pd
            >>> from dagcast_core.tensor import IndexTensor
            >>> hours = pd.date_range("2024-03-10", periods=48, freq="h", tz="UTC")
            >>> a = IndexTensor([1.0] * 48, {"hour": hours})
            >>> a.resample(hour="D", zone="America/New_York").sum().tolist()
            [5.0, 23.0, 20.0]
        """
        items = named_items(by, rule)
        if len(items) != 1:
            raise TypeError(f"resample() takes one dim; found {[dim for dim, _ in items]}.")
        dim, frequency = items[0]
        position = self._layout.position(dim, f"cannot resample {dim!r}")
        axis = self._layout.axes[position]
        starts = _period_starts(axis, frequency, zone, call_name(self))
        return self.groupby(dim, starts)

    def rolling(
        self, by: Mapping[Any, int] | None = None, /, min_periods: int | None = None, **window: int
    ) -> Rolling[Self]:
        """Windows of positions that end at each label.

        Args:
            by: length of the window by dim or `Dim`.
            min_periods: fewest labels for a result; the whole window by default. Labels with
                fewer get NaN.
            window: length by name of dim.

        Raises:
            ValueError: the window is shorter than one label.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"hour": [0, 1, 2]})
            >>> a.rolling(hour=2).mean().tolist()
            [nan, 1.5, 3.0]
            >>> a.rolling(hour=2, min_periods=1).sum().tolist()
            [1.0, 3.0, 6.0]
        """
        items = named_items(by, window)
        if len(items) != 1:
            raise TypeError(f"rolling() takes one dim; found {[dim for dim, _ in items]}.")
        dim, length = items[0]
        position = self._layout.position(dim, f"cannot roll along {dim!r}")
        least = length if min_periods is None else min_periods
        if length < 1 or not 1 <= least <= length:
            raise ValueError(
                f"cannot roll along {dim!r} with a window of {length} and at least {least}: "
                "1 <= min_periods <= window."
            )
        return Rolling(self, position, length, least)


@final
class Grouped(Generic[T]):
    """Labels of one dim in groups; every method combines each group into one value."""

    __slots__ = ("_codes", "_groups", "_position", "_value")

    def __init__(self, value: T, position: int, codes: torch.Tensor, groups: Axis) -> None:
        self._value = value
        self._position = position
        # One code per label of the dim, or per cell where groups differ between other dims.
        self._codes = codes.to(value._tensor.device)
        self._groups = groups

    @property
    def groups(self) -> pd.Index:
        """Labels of the groups."""
        return self._groups.index

    def sum(self, skipna: bool = False) -> T:
        """Sum of each group; 0 for a group without labels.

        Args:
            skipna: count NaN as 0.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).sum().tolist()
            [5.0, 2.0]
        """
        tensor = self._value._tensor
        return self._wrapped(self._add(masked(tensor, 0.0) if skipna else tensor))

    def count(self) -> T:
        """Number of values that are not NaN in each group.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).count().tolist()
            [2, 1]
        """
        return self._wrapped(self._add((~torch.isnan(self._value._tensor)).long()))

    def mean(self, skipna: bool = False) -> T:
        """Mean of each group; NaN for a group without labels.

        Args:
            skipna: leave NaN out.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).mean().tolist()
            [2.5, 2.0]
        """
        tensor = self._value._tensor
        if not tensor.is_floating_point():
            tensor = tensor.double()
        return self._wrapped(self._add(masked(tensor, 0.0) if skipna else tensor) / self._n(skipna))

    def std(self, correction: int = 1, skipna: bool = False) -> T:
        """Standard deviation of each group.

        Args:
            correction: 1 divides by n - 1 (sample), 0 by n (population).
            skipna: leave NaN out.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 3.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).std(correction=0).tolist()
            [1.0, 0.0]
        """
        tensor = self._value._tensor.double()
        present = ~torch.isnan(tensor) if skipna else torch.ones_like(tensor, dtype=torch.bool)
        clean = masked(tensor, 0.0) if skipna else tensor
        count = self._n(skipna)
        centre = self._spread(self._add(clean) / count)
        deviation = torch.where(present, clean - centre, 0.0)
        return self._wrapped((self._add(deviation.square()) / (count - correction)).sqrt())

    def min(self) -> T:
        """Smallest value of each group; ties share the gradient.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).min().tolist()
            [1.0, 2.0]
        """
        return self._extreme("amin")

    def max(self) -> T:
        """Largest value of each group; ties share the gradient.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).max().tolist()
            [4.0, 2.0]
        """
        return self._extreme("amax")

    def first(self) -> T:
        """The first value of each group, in the order of the labels.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).first().tolist()
            [1.0, 2.0]
        """
        if self._codes.dim() != 1:
            raise AlignmentError("cannot take the first of groups that differ between other dims.")
        codes = self._codes.cpu().numpy()
        found, places = np.unique(codes, return_index=True)
        if found.size < self._groups.size:
            raise AlignmentError("cannot take the first value of a group without labels.")
        return pick(self._value, self._position, places.astype(np.int64), self._groups)

    def transform(self, function: Callable[[Grouped[T]], T]) -> T:
        """A reduction of each group spread back over its labels, such as a mean to subtract.

        Args:
            function: takes these groups and returns one value for each.

        Example:
            >>> from dagcast_core.tensor import IndexTensor
            >>> a = IndexTensor([1.0, 2.0, 4.0], {"n": [1, 2, 3]})
            >>> a.groupby("n", lambda n: n % 2).transform(lambda group: group.mean()).tolist()
            [2.5, 2.0, 2.5]
        """
        combined = function(self)
        tensor = self._spread(combined._tensor)
        return wrap(self._value, tensor, self._value._layout, self._value._name)

    def _cells(self) -> torch.Tensor:
        """Code of every cell."""
        codes = self._codes
        if codes.dim() == 1:
            shape = [1] * self._value._tensor.dim()
            shape[self._position] = -1
            codes = codes.reshape(shape)
        return codes.expand(self._value._tensor.shape)

    def _add(self, tensor: torch.Tensor) -> torch.Tensor:
        shape = list(tensor.shape)
        shape[self._position] = self._groups.size
        zeros = torch.zeros(shape, dtype=_summed_dtype(tensor), device=tensor.device)
        tensor = tensor.to(zeros.dtype)
        if self._codes.dim() == 1:
            return zeros.index_add(self._position, self._codes, tensor)
        return zeros.scatter_add(self._position, self._cells(), tensor)

    def _n(self, skipna: bool) -> torch.Tensor:
        tensor = self._value._tensor.detach()
        present = ~torch.isnan(tensor) if skipna else torch.ones_like(tensor, dtype=torch.bool)
        return self._add(present.long())

    def _spread(self, combined: torch.Tensor) -> torch.Tensor:
        if self._codes.dim() == 1:
            return combined.index_select(self._position, self._codes)
        return combined.gather(self._position, self._cells())

    def _extreme(self, how: str) -> T:
        tensor = self._value._tensor
        shape = list(tensor.shape)
        shape[self._position] = self._groups.size
        if int((self._n(False) == 0).sum()):
            raise AlignmentError(f"cannot take the {how[1:]} of a group without labels.")
        empty = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
        best = empty.scatter_reduce(
            self._position, self._cells(), tensor, reduce=how, include_self=False
        )
        return self._wrapped(best)

    def _wrapped(self, tensor: torch.Tensor) -> T:
        layout = self._value._layout
        axes = list(layout.axes)
        axes[self._position] = self._groups
        return wrap(self._value, tensor, intern_layout(tuple(axes)), self._value._name)


def _summed_dtype(tensor: torch.Tensor) -> torch.dtype:
    return torch.int64 if tensor.dtype == torch.bool else tensor.dtype


def _group_keys(axis: Axis, by: Any, who: str) -> Any:
    if isinstance(by, (Mapping, pd.Series)):
        table = dict(by.items())
        missing = [label for label in axis.index if label not in table]
        if missing:
            raise AlignmentError(
                f"cannot group {who} along {axis.dim!r}: {len(missing)} labels have no group, "
                f"such as {missing[0]!r}.",
                dim=axis.dim,
            )
        return [table[label] for label in axis.index]
    if callable(by):
        return [by(label) for label in axis.index]
    if isinstance(by, (str, bytes)) or not isinstance(by, (Sequence, np.ndarray, pd.Index)):
        raise TypeError(
            f"cannot group {who} along {axis.dim!r} by {by!r}: give a function of a label, "
            "a mapping, one group per label, or an IndexTensor."
        )
    if len(by) != axis.size:
        raise AlignmentError(
            f"cannot group {who} along {axis.dim!r}: {len(by)} groups for {axis.size} labels.",
            dim=axis.dim,
        )
    return by


def _unique(keys: Any) -> Any:
    if isinstance(keys, pd.Index):
        return keys.unique()
    return list(dict.fromkeys(keys.tolist() if isinstance(keys, np.ndarray) else keys))


def _group_by_values(value: T, position: int, by: Any, name: str, labels: Any) -> Grouped[T]:
    axis = value._layout.axes[position]
    attempt = f"cannot group {call_name(value)} along {axis.dim!r}"
    if axis.dim not in by._layout.where:
        raise AlignmentError(
            f"{attempt}: the groups have the dims {by.dims} and not {axis.dim!r}.", dim=axis.dim
        )
    extra = [dim for dim in by.dims if dim not in value._layout.where]
    if extra:
        raise AlignmentError(f"{attempt}: the groups have further dims {extra}. Expand first.")
    if by._tensor.is_floating_point():
        raise AlignmentError(f"{attempt}: groups are whole numbers; found {by.dtype}.")
    if labels is None:
        labels = torch.unique(by._tensor).cpu().numpy()
    groups = intern_axis(name, labels)
    own = intern_layout(tuple(a for a in value._layout.axes if a.dim in by._layout.where))
    keys = conform(by, own, f"group {call_name(value)}")
    codes = label_positions(groups, keys, attempt, call_name(value))
    if len(own.axes) > 1:
        shape = [a.size if a.dim in by._layout.where else 1 for a in value._layout.axes]
        codes = codes.reshape(shape)
    return Grouped(value, position, codes, groups)


def _period_starts(axis: Axis, frequency: str, zone: str | None, who: str) -> pd.Index:
    index = axis.index
    if not isinstance(index, pd.DatetimeIndex):
        raise AlignmentError(
            f"cannot resample {who}: labels along {axis.dim!r} are {axis.kind}, not times.",
            dim=axis.dim,
        )
    if zone is not None:
        if index.tz is None:
            raise AlignmentError(
                f"cannot resample {who} by the clock of {zone}: its times are naive.", dim=axis.dim
            )
        local = index.tz_convert(zone)
    else:
        local = index
    offset = pd.tseries.frequencies.to_offset(frequency)
    if isinstance(offset, (pd.offsets.Tick, pd.offsets.Day)):
        day, hour, none = pd.Timedelta("1D"), pd.Timedelta("1h"), pd.Timedelta(0)
        length = day * offset.n if isinstance(offset, pd.offsets.Day) else pd.Timedelta(offset)
        wall = local.tz_localize(None)
        if length % day != none and day % length != none:
            # Periods that fill no day cannot begin with one: they are absolute.
            starts = index.floor(frequency)
        elif length <= hour:
            # An hour that the clock shows twice is two hours.
            starts = index - (wall - wall.floor(frequency))
        else:
            # Days and their parts follow the clock: the wall time is floored and read back.
            starts = wall.floor(frequency)
            if local.tz is not None:
                starts = starts.tz_localize(
                    local.tz,
                    ambiguous=np.ones(len(starts), dtype=bool),
                    nonexistent="shift_forward",
                )
    else:
        wall = local.tz_localize(None)
        starts = wall.to_period(frequency).start_time
        if local.tz is not None:
            starts = starts.tz_localize(
                local.tz, ambiguous=np.ones(len(starts), dtype=bool), nonexistent="shift_forward"
            )
    starts = starts.as_unit(index.unit)
    return starts if index.tz is None or starts.tz is None else starts.tz_convert(index.tz)
