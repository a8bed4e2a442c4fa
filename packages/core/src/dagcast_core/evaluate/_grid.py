"""A series on the whole grid of its time labels, so that cells a season apart are so by label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from dagcast_core.tensor import IndexTensor


def check_season(season: int, *, what: str = "a season") -> None:
    """Refuse a length that is none.

    Args:
        season: steps.
        what: is so long.

    Raises:
        ValueError: it is not a whole number of at least 1.
    """
    if isinstance(season, bool) or not isinstance(season, int) or season < 1:
        raise ValueError(
            f"{what} is a whole number of at least 1 step, such as 168 for hours in a week; found "
            f"{season!r}."
        )


def on_grid(series: IndexTensor, time: str) -> tuple[torch.Tensor, pd.Index, Any]:
    """Values at every step from the first label to the last, NaN where a label is absent.

    Args:
        series: dims (..., time); its labels are a multiple of one step apart.
        time: name of the time dim.

    Returns:
        Values (..., step), the labels of all steps, and the step between them.

    Raises:
        ValueError: labels do not increase, are no multiple of one step apart, or there are fewer
            than two.
    """
    others = [dim for dim in series.dims if dim != time]
    values, index = series.values(*others, time), series.index(time)
    if len(index) < 2 or not (index.is_monotonic_increasing and index.is_unique):
        raise ValueError(
            f"the labels of {series.name!r} along {time!r} have to increase, and to be two or "
            f"more; found {len(index)}{'' if len(index) < 2 else ' in another order'}. Sort them "
            "with sort_labels()."
        )
    apart = np.diff(index.asi8 if isinstance(index, pd.DatetimeIndex) else np.asarray(index))
    least = apart.min()
    if (apart == least).all():
        return values, index, index[1] - index[0]
    shortest = int(apart.argmin())
    step = index[shortest + 1] - index[shortest]
    places = np.concatenate([[0], np.cumsum(apart)]) / least
    if (places != np.round(places)).any():
        raise ValueError(
            f"the labels of {series.name!r} along {time!r} are not a multiple of one step apart: "
            f"the least distance is {step}."
        )
    count = int(places[-1]) + 1
    dtype = values.dtype if values.is_floating_point() else torch.float64
    whole = torch.full((*values.shape[:-1], count), torch.nan, dtype=dtype, device=values.device)
    whole[..., torch.as_tensor(places.astype(np.int64), device=values.device)] = values.to(dtype)
    if isinstance(index, pd.DatetimeIndex):
        labels: pd.Index = pd.date_range(index[0], periods=count, freq=step)
    else:
        labels = pd.Index([index[0] + step * place for place in range(count)])
    return whole, labels, step
