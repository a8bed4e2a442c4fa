"""Decisions that people write in a file: read, checked, and laid over a plan."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

VALUE = "usd"
COLUMNS = ("incentive", "region", "hour", VALUE)
_NOTHING_DONE = "Nothing was changed."


def read_proposal(path: Path, labels: dict[str, Sequence[Any]]) -> "pd.DataFrame":
    """Read cells of a lever from CSV or Parquet.

    Args:
        path: with the columns incentive, region, hour (with zone) and usd (USD/h).
        labels: allowed labels by dim; ``hour`` holds UTC instants.

    Returns:
        A frame with those columns; hours are UTC.

    Raises:
        UsageError: the file is neither CSV nor Parquet, a column is missing, a label or an hour
            is unknown, a cell occurs twice, or a value is negative or no number.
    """
    frame = _frame(path)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UsageError(
            f"the columns {', '.join(COLUMNS)} in {path}",
            f"{', '.join(map(str, frame.columns))}, without {', '.join(missing)}",
            f"Rename or add them. {_NOTHING_DONE}",
        )
    frame = frame.loc[:, list(COLUMNS)].copy()
    frame["hour"] = _hours(frame["hour"], path)
    frame[VALUE] = _amounts(frame[VALUE], path)
    for dim in ("incentive", "region"):
        frame[dim] = frame[dim].astype(str)
        _known(frame[dim].unique(), [str(label) for label in labels[dim]], dim, path)
    inside = frame["hour"].isin(labels["hour"])
    if not inside.all():
        first = frame.loc[~inside, "hour"].iloc[0]
        raise UsageError(
            f"hours from {labels['hour'][0]} to {labels['hour'][-1]} in {path}",
            f"{first} and {int((~inside).sum()) - 1:,} more outside them",
            f"Give hours with their zone, such as 2026-03-02T08:00:00Z. {_NOTHING_DONE}",
        )
    twice = frame.duplicated(["incentive", "region", "hour"])
    if twice.any():
        cell = frame.loc[twice].iloc[0]
        raise UsageError(
            f"each cell once in {path}",
            f"{cell['incentive']}, {cell['region']}, {cell['hour']} at least twice",
            f"Remove the repeated rows. {_NOTHING_DONE}",
        )
    return frame


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UsageError(
            f"a CSV or Parquet file at {path}", found, f"Name the file. {_NOTHING_DONE}"
        )
    try:
        if path.suffix == ".csv":
            # "NA" can be a region; only an empty field is missing.
            return pd.read_csv(path, keep_default_na=False, na_values=[""])
        return pd.read_parquet(path)
    except Exception as error:  # each reader has errors of its own for a damaged file
        reason = (str(error).splitlines() or [""])[0]
        raise UsageError(
            f"a CSV or Parquet file at {path}",
            f"{type(error).__name__}: {reason}",
            f"Export it again. {_NOTHING_DONE}",
        ) from error


def _hours(column: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    import pandas as pd

    try:
        hours = pd.to_datetime(column, utc=False, format="ISO8601")
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"hours such as 2026-03-02T08:00:00Z in {path}", f"{error}", _NOTHING_DONE
        ) from error
    if not isinstance(hours.dtype, pd.DatetimeTZDtype):
        raise UsageError(
            f"hours with their zone, such as 2026-03-02T08:00:00Z, in {path}",
            f"{column.iloc[0]!r}" if len(column) else "no rows",
            f"A local hour can be two instants: add Z or an offset. {_NOTHING_DONE}",
        )
    return hours.dt.tz_convert("UTC").dt.as_unit("us")


def _amounts(column: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    amounts = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = ~np.isfinite(amounts) | (amounts < 0)
    if bad.any():
        raise UsageError(
            f"{VALUE} of at least 0 in every row of {path}",
            f"{column[bad].iloc[0]} in row {int(np.flatnonzero(bad)[0]) + 1}",
            f"Correct it; it is in USD per hour. {_NOTHING_DONE}",
        )
    return amounts


def _known(found: Iterable[str], allowed: Sequence[str], dim: str, path: Path) -> None:
    for label in found:
        if label not in allowed:
            near = difflib.get_close_matches(label, allowed, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(allowed[:8]) + (" ..." if len(allowed) > 8 else "")
            raise UsageError(
                f"labels of {dim} out of {shown} in {path}",
                repr(label),
                f"{advice} {_NOTHING_DONE}".strip(),
            )
