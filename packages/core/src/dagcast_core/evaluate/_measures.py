"""Error measures that do not depend on the unit of the quantity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch

from dagcast_core.evaluate._grid import check_season, on_grid
from dagcast_core.tensor import AlignmentError, IndexTensor

TIME = "hour"
# A scale below this share of the series' own level is rounding, by precision of the numbers.
_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-5}


@final
@dataclass(frozen=True)
class ScaledError:
    """Mean absolute scaled error of many series, in the two usual summaries.

    Attributes:
        ratio: sum of absolute errors over sum of scales; the headline, since it does not blow up
            where one small series has a small scale.
        mean: mean over series of each series' own ratio.
        series: number of series in ``mean``.
        excluded: series left out of both because their scale is zero or nothing was observed.
    """

    ratio: float
    mean: float
    series: int
    excluded: int


def seasonal_scale(train: IndexTensor, *, season: int, time: str = TIME) -> IndexTensor:
    """Mean absolute error of the seasonal naive forecast inside the training part.

    Args:
        train: dims (..., time); NaN marks a missing cell, and so does a label that is absent.
        season: steps per cycle, e.g. 168 for hours in a week.
        time: name of the time dim.

    Returns:
        dims of ``train`` without the time dim, in the unit of ``train``; NaN where no pair of
        cells a season apart is observed, 0 where they differ by no more than rounding.

    Raises:
        ValueError: the training part is not longer than a season, a season is shorter than a step,
            or labels are not a multiple of one step apart.
    """
    check_season(season)
    others = [dim for dim in train.dims if dim != time]
    values, _, _ = on_grid(train, time)
    if values.shape[-1] <= season:
        raise ValueError(
            f"cannot scale errors by the seasonal naive forecast: the training part of "
            f"{train.name!r} has {values.shape[-1]} steps, a season has {season}. "
            "Give a longer history or a shorter season."
        )
    change = (values[..., season:] - values[..., :-season]).abs()
    scale = torch.nanmean(change, dim=-1)
    level = torch.nanmean(values.abs(), dim=-1)
    scale = torch.where(scale <= _ROUNDING.get(values.dtype, 0.0) * level, 0.0 * scale, scale)
    return IndexTensor(scale, {dim: train.index(dim) for dim in others}, train.name)


def mase(
    forecast: IndexTensor,
    actual: IndexTensor,
    *,
    train: IndexTensor,
    season: int,
    time: str = TIME,
) -> IndexTensor:
    """Mean absolute scaled error, one value per series.

    Args:
        forecast: dims (..., time); unit of the quantity.
        actual: same labels and unit as ``forecast``; NaN marks a missing cell.
        train: same series; history ending before ``forecast``.
        season: steps per cycle, e.g. 168 for hours in a week.
        time: name of the time dim.

    Returns:
        dims of ``forecast`` without the time dim, dimensionless; below 1 beats the seasonal naive
        forecast of the training part. Infinite or NaN where the scale is zero.

    Raises:
        AlignmentError: labels differ. Nothing is dropped here, because a shorter window would
            flatter the model.

    Source: Hyndman & Koehler (2006), doi:10.1016/j.ijforecast.2006.03.001
    """
    others = [dim for dim in forecast.dims if dim != time]
    error = absolute_errors(forecast, actual, time=time)
    scale = seasonal_scale(train, season=season, time=time)
    _require_equal(forecast, train, others)
    per_series = torch.nanmean(error.values(*others, time), dim=-1) / scale.values(*others)
    return IndexTensor(per_series, {dim: forecast.index(dim) for dim in others}, forecast.name)


def absolute_errors(forecast: IndexTensor, actual: IndexTensor, *, time: str = TIME) -> IndexTensor:
    """Absolute errors, NaN where the actual value is missing.

    Raises:
        AlignmentError: labels differ.
        ValueError: the forecast is not finite somewhere.
    """
    dims = [*(dim for dim in forecast.dims if dim != time), time]
    _require_equal(forecast, actual, dims)
    predicted = forecast.values(*dims).detach()
    if not bool(torch.isfinite(predicted).all()):
        raise ValueError(f"the forecast of {forecast.name!r} has values that are not finite.")
    indexes = {dim: forecast.index(dim) for dim in dims}
    observed = actual.values(*dims).to(predicted.dtype)
    return IndexTensor((predicted - observed).abs(), indexes, forecast.name)


def summarise(errors: torch.Tensor, scales: torch.Tensor) -> ScaledError:
    """Summarise scaled errors over series.

    Args:
        errors: absolute errors, shape (series, cells); NaN marks a missing cell.
        scales: shape (series,), same unit.

    Returns:
        Ratio of sums and mean over series, without the series whose scale is zero or missing.
    """
    observed = torch.isfinite(errors)
    counts = observed.sum(-1)
    usable = torch.isfinite(scales) & (scales > 0) & (counts > 0)
    excluded = int((~usable).sum())
    if not bool(usable.any()):
        return ScaledError(math.nan, math.nan, 0, excluded)
    sums = torch.where(observed, errors, 0.0).sum(-1)[usable]
    scaled = scales[usable] * counts[usable]
    return ScaledError(
        ratio=float(sums.sum() / scaled.sum()),
        mean=float((sums / scaled).mean()),
        series=int(usable.sum()),
        excluded=excluded,
    )


def crps(samples: IndexTensor, actual: IndexTensor, *, draw: str = "draw") -> IndexTensor:
    """Continuous ranked probability score of an ensemble, one value per cell.

    The fair (unbiased) form ``mean |x - y| - sum_ij |x_i - x_j| / (2 m (m - 1))``.

    Args:
        samples: dims (draw, ...); at least two draws.
        actual: dims of ``samples`` without ``draw``.
        draw: name of the draw dim.

    Returns:
        dims of ``actual``, in its unit; the absolute error of a certain forecast.

    Raises:
        AlignmentError: labels differ.
        ValueError: fewer than two draws.

    Source: Ferro (2014), doi:10.1002/qj.2270
    """
    dims = [dim for dim in samples.dims if dim != draw]
    _require_equal(samples, actual, dims)
    ensemble = samples.values(draw, *dims)
    count = ensemble.shape[0]
    if count < 2:
        raise ValueError(f"a CRPS needs at least two draws; {samples.name!r} has {count}.")
    distance = (ensemble - actual.values(*dims)).abs().mean(0)
    ordered = ensemble.sort(0).values
    # sum_ij |x_i - x_j| = 2 sum_k (2k - m - 1) x_(k), for x in ascending order.
    weights = 2 * torch.arange(1, count + 1, dtype=ensemble.dtype) - count - 1
    spread = (weights.reshape(-1, *[1] * len(dims)) * ordered).sum(0) / (count * (count - 1))
    return IndexTensor(distance - spread, {dim: samples.index(dim) for dim in dims}, samples.name)


def coverage(lower: IndexTensor, upper: IndexTensor, actual: IndexTensor) -> float:
    """Share of observed cells that lie inside an interval, ends included.

    Raises:
        AlignmentError: labels differ.
    """
    dims = list(lower.dims)
    _require_equal(lower, upper, dims)
    _require_equal(lower, actual, dims)
    low, high, value = (tensor.values(*dims) for tensor in (lower, upper, actual))
    observed = torch.isfinite(value)
    inside = (value >= low) & (value <= high) & observed
    return float(inside.sum() / observed.sum()) if bool(observed.any()) else math.nan


def _require_equal(one: IndexTensor, other: IndexTensor, dims: list[str]) -> None:
    for dim in dims:
        if dim not in other.dims:
            raise AlignmentError(
                f"cannot compare {one.name!r} ({', '.join(one.dims)}) with {other.name!r} "
                f"({', '.join(other.dims)}): the second has no dim {dim!r}."
            )
        mine, theirs = one.index(dim), other.index(dim)
        if not mine.equals(theirs):
            raise AlignmentError(
                f"cannot compare {one.name!r} with {other.name!r}: labels differ along {dim!r}.\n"
                f"  first   {_some(mine)}\n  second  {_some(theirs)}\n"
                "Select the same labels on both sides first; dropping some would flatter one."
            )


def _some(index: pd.Index) -> str:
    return (
        f"{len(index)} labels: {', '.join(map(str, index[:3]))}{', ...' if len(index) > 3 else ''}"
    )
