"""Hourly quantities of a run, under the same names and units as the marketplace's metrics."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._engine import SESSION_FIELDS, Run
from dagcast_simulator._levers import Levers

Array = NDArray[np.float64]

_COLUMN = {name: i for i, name in enumerate(SESSION_FIELDS)}
CURRENCY = ("revenue", "driver_pay", "incentive_spend", "coupon_spend", "profit")


def session_cells(run: Run, regions: int) -> NDArray[np.int64]:
    """Position of every session's region-hour in a flattened (region, hour) array of the run."""
    hour = (run.sessions[0] // 60).astype(np.int64) - run.first
    cell: NDArray[np.int64] = run.sessions[1].astype(np.int64) * run.hours + hour
    return cell


def hourly(run: Run, levers: Levers) -> dict[str, Array]:
    """Quantities by (region, hour) of a run.

    Units as in the market's contracts: counts and driver-hours per hour, minutes, USD/h. ``eta``,
    ``prime_time`` and ``conversion`` are NaN in an hour without sessions.
    """
    regions = run.driver_minutes.shape[0]
    shape = (regions, run.hours)
    cell = session_cells(run, regions)

    def total(name: str) -> Array:
        weights = run.sessions[_COLUMN[name]]
        counted = np.bincount(cell, weights, minlength=shape[0] * shape[1])
        return counted.astype(np.float64).reshape(shape)

    sessions = np.bincount(cell, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
    per = np.where(sessions > 0, sessions, np.nan)
    now = levers.slice(run.first, run.first + run.hours)
    spend, coupons = now.incentive_spend.sum(axis=0), now.coupon_spend
    revenue, pay, rides = total("fare"), total("driver_pay"), total("completed")
    idle, en_route, carry = np.moveaxis(run.driver_minutes / 60.0, 2, 0)
    return {
        "sessions": sessions,
        "requests": total("requested"),
        "rides": rides,
        "eta": total("eta_min") / per,
        "prime_time": total("prime_time") / per,
        "conversion": rides / per,
        "driver_hours": idle + en_route + carry,
        "idle_hours": idle,
        "en_route_hours": en_route,
        "carry_hours": carry,
        "revenue": revenue,
        "driver_pay": pay,
        "incentive_spend": spend,
        "coupon_spend": coupons,
        "profit": revenue - pay - spend - coupons,
    }


def hourly_frame(
    quantities: dict[str, Array], regions: tuple[str, ...], hours: pd.DatetimeIndex
) -> pd.DataFrame:
    """One row per region and hour, region-major."""
    index = pd.MultiIndex.from_product([list(regions), hours], names=["region", "hour"])
    columns = {name: values.ravel() for name, values in quantities.items()}
    return pd.DataFrame(columns, index=index).reset_index()


def mean_of(parts: list[dict[str, Array]]) -> dict[str, Array]:
    """Mean over replications by name and cell, of those in which the cell has a value."""
    return {name: _mean([part[name] for part in parts]) for name in parts[0]}


def _mean(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    stacked = np.stack(parts)
    seen = np.isfinite(stacked)
    return np.where(
        seen.any(axis=0),
        np.where(seen, stacked, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1),
        np.nan,
    )
