"""What a history says at once: since when a region is open, and starting values of its rate.

Teams whose rate has a level, a trend and a weekly profile start their fits from these.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.dims import HOUR
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.tensor import IndexTensor

_WEEK = 168
# Hours after an opening until most of the growth is over.
_SETTLING = 500.0
# Hours by which a region's own profile is drawn to the common one, in the start only.
_SHRINK = 2.0


@final
@dataclass(frozen=True)
class CalendarStart:
    """Starting values by label of one dim, such as a region; arrays are in the order of ``labels``.

    Attributes:
        dim: the rate's dim beside its hours.
        labels: labels with at least one observed hour.
        level: (label,) logs.
        trend: (label,) 1/week.
        profile: (label, hour_of_week) logs, mean 0 along the hours of the week.
    """

    dim: str
    labels: pd.Index
    level: NDArray[np.float64]
    trend: NDArray[np.float64]
    profile: NDArray[np.float64]

    def assign(
        self, level: LabelledParameter, trend: LabelledParameter, profile: LabelledParameter
    ) -> None:
        """Set the parameters; labels without history get the mean over the others."""
        for parameter, values in (
            (level, self.level),
            (trend, self.trend),
            (profile, self.profile),
        ):
            found = self.labels.get_indexer(parameter.indexes[self.dim])
            padded = np.concatenate([values, values.mean(axis=0, keepdims=True)])
            parameter.assign(padded[found])


def since_opening(rate: IndexTensor) -> IndexTensor:
    """Say how much cells belong to the market as it is now.

    A region that opens, or reopens after days of closure, does not grow by a trend: its history
    begins at the opening. The opening is the end of the last run of three days or more that stay
    below a quarter of the region's usual day, the median of its last seven, or were not observed.
    Growth after it is fast and slows down, so its first weeks count little: carried on as a trend,
    four weeks of it overstated a fifth week by a quarter (4 regions x 12 weeks, seeds 100 to 107).

    Args:
        rate: dims (region, hour), or another dim in place of the region; 0 or more, NaN where not
            observed.

    Returns:
        dims (region, hour); from 0 to 1, 0 before the opening.
    """
    dim, time = _dims(rate)
    values = rate.values(dim, time).detach().numpy()
    hours = pd.DatetimeIndex(rate.index(time))
    day = ((hours - hours.min()) // pd.Timedelta(days=1)).to_numpy()
    kept = np.ones_like(values)
    for row, region in zip(kept, values, strict=True):
        daily = pd.Series(region).groupby(day).mean()
        usual = daily.dropna().tail(_WEEK // 24).median()
        # Days without any observation after the first ones are a gap, not a closure.
        unseen = daily.isna() & ~daily.notna().cummax()
        low = (daily < 0.25 * usual).to_numpy() | unseen.to_numpy()
        closed = [i for i in range(2, len(low)) if low[i - 2 : i + 1].all()]
        if closed:
            age = np.maximum(np.arange(len(day)) - np.flatnonzero(day <= closed[-1])[-1], 0)
            row[:] = -np.expm1(-age / _SETTLING)
    return IndexTensor(kept, {dim: rate.index(dim), time: hours}, "since_opening")


def _dims(rate: IndexTensor) -> tuple[str, str]:
    """The label dim and the time dim of a rate."""
    (label,) = (dim for dim in rate.dims if dim != HOUR.name)
    return label, HOUR.name


def calendar_start(
    rate: IndexTensor, hour_of_week: IndexTensor, *, half_life: float
) -> CalendarStart:
    """Weighted means of an observed rate by region and hour of week, free of a common trend.

    Args:
        rate: dims (region, hour), or another dim in place of the region; 0 or more, NaN where not
            observed.
        hour_of_week: dims (region, hour); local hour of the week, on the hours of ``rate``.
        half_life: hours after which an hour counts half.

    Returns:
        Levels at the last hour, trends and profiles.
    """
    dim, time = _dims(rate)
    hours = pd.DatetimeIndex(rate.index(time))
    calendar = hour_of_week.sel({dim: list(rate.index(dim)), time: hours})
    y = rate.values(dim, time).detach().numpy()
    slot = calendar.values(dim, time).numpy().astype(np.int64)
    settled = since_opening(rate).numpy()
    seen = np.isfinite(y) & (settled > 0)
    kept = seen.any(axis=1)
    y, slot, settled = np.where(seen, y, 0.0)[kept], slot[kept], (seen * settled)[kept]
    weeks = ((hours - hours.max()) / pd.Timedelta(hours=_WEEK)).to_numpy(dtype=np.float64)
    weight = settled * 0.5 ** (-weeks * _WEEK / half_life)

    trend = np.zeros(len(y))
    mean, slots = _means(y, weight, slot)
    for _ in range(2):
        usual = np.maximum(np.take_along_axis(slots, slot, axis=1), 1e-3)
        trend += _slopes(y / np.exp(trend[:, None] * weeks) / usual, weight * usual, weeks)
        trend = np.clip(trend, -0.1, 0.1)
        mean, slots = _means(y / np.exp(trend[:, None] * weeks), weight, slot)
    logs = np.log(slots + 0.01 * mean[:, None] + 1e-3)
    level = logs.mean(axis=1)
    return CalendarStart(dim, rate.index(dim)[kept], level, trend, logs - level[:, None])


def _means(
    y: NDArray[np.float64], weight: NDArray[np.float64], slot: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean by region, and by region and slot, shrunk to what the regions share."""
    regions = len(y)
    flat = (np.arange(regions)[:, None] * _WEEK + slot).ravel()
    size = regions * _WEEK
    total = np.bincount(flat, (weight * y).ravel(), size).reshape(regions, _WEEK)
    count = np.bincount(flat, weight.ravel(), size).reshape(regions, _WEEK)
    mean = total.sum(axis=1) / np.maximum(count.sum(axis=1), 1e-9)
    shared = (total / np.maximum(mean, 1e-9)[:, None]).sum(axis=0) / np.maximum(
        count.sum(axis=0), 1e-9
    )
    own = (total + _SHRINK * shared * mean[:, None]) / (count + _SHRINK)
    return mean, own


def _slopes(
    ratio: NDArray[np.float64], weight: NDArray[np.float64], weeks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted least-squares slope of a ratio near 1 over weeks, held near 0 by a little."""
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    middle = (weight * weeks).sum(axis=1, keepdims=True) / total
    centred = weeks - middle
    mean = (weight * ratio).sum(axis=1, keepdims=True) / total
    top = (weight * centred * (ratio - mean)).sum(axis=1)
    return np.asarray(top / ((weight * centred**2).sum(axis=1) + total[:, 0]))
