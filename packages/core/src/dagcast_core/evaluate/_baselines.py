"""Forecasts that any model has to beat."""

from __future__ import annotations

import pandas as pd
import torch

from dagcast_core.evaluate._grid import check_season, on_grid
from dagcast_core.evaluate._measures import TIME
from dagcast_core.tensor import IndexTensor


def seasonal_naive(
    history: IndexTensor, hours: pd.DatetimeIndex, *, season: int = 168, time: str = TIME
) -> IndexTensor:
    """Repeat the last observed season.

    Args:
        history: dims (..., time), a label that is absent counts as missing.
        hours: the horizon; its first hour follows the last of ``history``.
        season: steps per cycle.
        time: name of the time dim.

    Returns:
        dims (..., time) over ``hours``, unit of ``history``. A missing cell is taken from the
        season before it, as far back as needed; NaN where that series was never observed.

    Raises:
        ValueError: the history is shorter than a season, a season is shorter than a step, or the
            horizon does not follow the history.
    """
    return hour_of_week_mean(history, hours, seasons=1, season=season, time=time)


def hour_of_week_mean(
    history: IndexTensor,
    hours: pd.DatetimeIndex,
    *,
    seasons: int = 4,
    season: int = 168,
    time: str = TIME,
) -> IndexTensor:
    """Average the last ``seasons`` observed seasons, step by step of the cycle.

    Args:
        history: dims (..., time), a label that is absent counts as missing.
        hours: the horizon; its first hour follows the last of ``history``.
        seasons: how many to average.
        season: steps per cycle.
        time: name of the time dim.

    Returns:
        dims (..., time) over ``hours``, unit of ``history``; missing cells do not count. Where all
        of them are missing, earlier seasons serve.

    Raises:
        ValueError: the history is shorter than the seasons asked for, one of the two numbers is
            below 1, or the horizon does not follow the history.
    """
    check_season(season)
    check_season(seasons, what="a number of seasons")
    others = [dim for dim in history.dims if dim != time]
    whole_values, known, step = on_grid(history, time)
    values = whole_values.detach().to(torch.float64)
    length = values.shape[-1]
    if length < seasons * season:
        raise ValueError(
            f"cannot average {seasons} seasons of {season} steps: the history of "
            f"{history.name!r} has {length} steps."
        )
    if hours[0] != known[-1] + step:
        raise ValueError(
            f"the horizon starts at {hours[0]}; the history of {history.name!r} ends at "
            f"{known[-1]}, so it should start at {known[-1] + step}."
        )
    whole = length // season
    cycles = values[..., length - whole * season :].reshape(*values.shape[:-1], whole, season)
    level = torch.nanmean(cycles[..., -seasons:, :], dim=-2)
    for back in range(whole - seasons - 1, -1, -1):
        if not bool(torch.isnan(level).any()):
            break
        level = torch.where(torch.isnan(level), cycles[..., back, :], level)
    position = torch.arange(len(hours)) % season
    indexes = {dim: history.index(dim) for dim in others}
    return IndexTensor(level[..., position], {**indexes, time: hours}, history.name)
