"""Calendar features from instants, by each label's own clock, such as a region's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor._errors import AlignmentError
from dagcast_core.tensor._index import DimLike, dim_name, intern_axis
from dagcast_core.tensor._layout import as_index_mapping, intern_layout
from dagcast_core.tensor._tensor import IndexTensor


def local_time(
    hours: Any,
    zones: Mapping[Any, str],
    feature: Callable[[pd.DatetimeIndex], Any],
    *,
    dims: tuple[DimLike, DimLike],
    name: str | None = None,
) -> IndexTensor:
    """A feature of the local time at every label and instant.

    A day on which clocks change has 23 or 25 local hours; no instant is lost or doubled.

    Args:
        hours: instants with a zone.
        zones: IANA zone by label of the first dim.
        feature: takes the local times of one label, returns one number per time.
        dims: what the zones are labels of, and time.
        name: name of the result.

    Returns:
        both dims.

    Raises:
        AlignmentError: the times are naive.

    Example:
        >>> hours = pd.date_range("2024-03-10T09:00Z", periods=3, freq="h")
        >>> zones = {"LAX": "America/Los_Angeles", "NYC": "America/New_York"}
        >>> dims = ("region", "hour")
        >>> local_time(hours, zones, lambda local: local.hour, dims=dims).tolist()
        [[1, 3, 4], [5, 6, 7]]
    """
    place, hour = (dim_name(dim) for dim in dims)
    axis = intern_axis(hour, hours)
    if axis.kind != "aware time" or not isinstance(axis.index, pd.DatetimeIndex):
        raise AlignmentError(
            f"cannot tell local time along {hour!r}: its labels are {axis.kind}, and only an "
            "instant has a local time. Use times with zone UTC.",
            dim=hour,
            left=axis.index,
        )
    rows: dict[str, Any] = {}
    for zone in dict.fromkeys(zones.values()):
        rows[zone] = np.asarray(feature(axis.index.tz_convert(zone)))
    values = np.stack([rows[zone] for zone in zones.values()])
    layout = intern_layout((intern_axis(place, list(zones)), axis))
    return IndexTensor(torch.from_numpy(_plain(values)), as_index_mapping(layout), name)


def hour_of_week(
    hours: Any,
    zones: Mapping[Any, str],
    *,
    dims: tuple[DimLike, DimLike],
) -> IndexTensor:
    """Local hour of the week, 0 (Monday 00:00) to 167, at every label and instant.

    Args:
        hours: instants with a zone.
        zones: IANA zone by label of the first dim.
        dims: what the zones are labels of, and time.

    Returns:
        both dims, int64.

    Raises:
        AlignmentError: the times are naive.

    Example:
        >>> hours = pd.date_range("2024-03-10T09:00Z", periods=3, freq="h")
        >>> zones = {"LAX": "America/Los_Angeles"}
        >>> hour_of_week(hours, zones, dims=("region", "hour")).tolist()
        [[145, 147, 148]]
    """
    return local_time(
        hours,
        zones,
        lambda local: local.day_of_week * 24 + local.hour,
        name="hour_of_week",
        dims=dims,
    )


def _plain(values: Any) -> Any:
    """Integers as int64, everything else as float64 or bool."""
    if values.dtype == bool:
        return values
    return values.astype(np.int64 if values.dtype.kind in "iu" else np.float64)
