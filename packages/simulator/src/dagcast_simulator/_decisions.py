"""What a world is asked, checked before anything runs."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._levers import INCENTIVES

Array = NDArray[np.float64]

LEVER = "incentive_spend"
FORMAT = 2  # of a world's manifest and states


class WorldError(ValueError):
    """A world cannot be made, read, or asked what it was asked."""


def check_size(regions: int, weeks: int, seed: int) -> None:
    """Refuse sizes that no world can have."""
    bounds = (("regions", regions, 1, 1000), ("weeks", weeks, 1, 260), ("seed", seed, 0, 2**32 - 1))
    for name, value, low, high in bounds:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise WorldError(f"{name} must be a whole number from {low} to {high}; got {value!r}")


def decided(decisions: pd.DataFrame, regions: tuple[str, ...], ahead: pd.DatetimeIndex) -> Array:
    """Decisions as an array (incentive, region, hour), USD/h; cells left out are 0.

    Args:
        decisions: columns incentive, region, hour, usd; or those of a plan of any levers: lever,
            incentive, region, hour, value, of which the rows of other levers are left alone.
        regions: labels of the world.
        ahead: hours that the world can play.

    Raises:
        WorldError: a column, label, hour or value does not fit.
    """
    result = np.zeros((len(INCENTIVES), len(regions), len(ahead)))
    if "lever" in decisions:
        decisions = decisions[decisions["lever"] == LEVER].rename(columns={"value": "usd"})
    missing = [c for c in ("incentive", "region", "hour", "usd") if c not in decisions]
    if missing:
        raise WorldError(
            f"decisions lack the column {missing[0]!r}; "
            f"expected incentive, region, hour, usd; found {', '.join(map(str, decisions))}."
        )
    if decisions.empty:
        return result
    hour = pd.DatetimeIndex(decisions["hour"])
    if hour.tz is None:
        raise WorldError("decisions have hours without a time zone; localise them to UTC.")
    at = [
        _positions(decisions["incentive"], INCENTIVES, "incentive"),
        _positions(decisions["region"], regions, "region"),
        ahead.get_indexer(hour.tz_convert("UTC")),
    ]
    if (at[2] < 0).any():
        wrong = hour[int(np.argmax(at[2] < 0))]
        raise WorldError(
            f"decisions hold the hour {wrong}, outside what this world can play: "
            f"{ahead[0]} to {ahead[-1]}."
        )
    usd = decisions["usd"].to_numpy(dtype=np.float64)
    sound = np.isfinite(usd) & (usd >= 0)
    if not sound.all():
        row = int(np.argmax(~sound))
        raise WorldError(
            f"decisions hold {float(usd[row])} USD/h in row {row}; expected finite numbers of at "
            "least 0."
        )
    flat = np.ravel_multi_index(tuple(at), result.shape)
    if len(np.unique(flat)) < len(flat):
        raise WorldError("decisions name a cell (incentive, region, hour) more than once.")
    result.ravel()[flat] = usd
    return result


def _positions(values: "pd.Series[Any]", labels: tuple[str, ...], dim: str) -> NDArray[np.intp]:
    positions = pd.Index(labels).get_indexer(pd.Index(values.astype(str)))
    if (positions < 0).any():
        wrong = values.iloc[int(np.argmax(positions < 0))]
        raise WorldError(
            f"decisions name the {dim} {wrong!r}; this world has "
            f"{', '.join(labels[:6])}{', ...' if len(labels) > 6 else ''}."
        )
    return positions
