"""Decisions that people write in a file: read, checked, and laid over a plan."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import UsageError
from dagcast.figures import currency

if TYPE_CHECKING:
    import pandas as pd

LEVER = "lever"
"""Column of a proposal that says which lever a row is of, where there are several."""
VALUE = "value"
"""Column of a proposal with the value of a cell."""
UNIT = "unit"
"""Column of a proposal that may say in which unit its values are; it has to be the lever's."""
_NOTHING_DONE = "Nothing was changed."
# Characters of a label that messages show.
_LONGEST = 60
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")


@final
@dataclass(frozen=True)
class LeverShape:
    """The cells of a lever that are decided.

    Attributes:
        unit: of a cell.
        labels: by dim, in the lever's order; time holds UTC instants.
        time: name of the time dim.
    """

    unit: str
    labels: Mapping[str, Any]
    time: str


def read_proposal(path: Path, levers: Mapping[str, LeverShape]) -> "pd.DataFrame":
    """Read cells of levers from CSV or Parquet.

    Args:
        path: with the dims of the levers (hours with their zone) and their values, in a column
            ``value``, or called like the lever or like the currency of its unit (``usd``). A column
            ``lever`` says which lever a row is of; one lever needs none.
        levers: those that are decided, by name.

    Returns:
        A frame with the columns lever, the dims of all levers, and value; hours are UTC.

    Raises:
        UsageError: the file is neither CSV nor Parquet, a column is missing, a lever, label or hour
            is unknown, a cell occurs twice, or a value is no number.
    """
    import pandas as pd

    most = sum(math.prod(len(names) for names in s.labels.values()) for s in levers.values())
    frame = _frame(path, most)
    if LEVER not in frame.columns:
        if len(levers) > 1:
            raise UsageError(
                f"a column {LEVER} in {path}, out of {', '.join(levers)}",
                f"{', '.join(map(str, frame.columns))}",
                f"Say in every row which lever it is of. {_NOTHING_DONE}",
            )
        frame = frame.assign(**{LEVER: next(iter(levers))})
    frame[LEVER] = frame[LEVER].astype(str)
    _known(frame[LEVER].unique(), tuple(levers), LEVER, path)
    parts = [
        _of_lever(frame[frame[LEVER] == name], name, shape, path)
        for name, shape in levers.items()
        if (frame[LEVER] == name).any()
    ]
    dims = dict.fromkeys(dim for shape in levers.values() for dim in shape.labels)
    if not parts:
        return pd.DataFrame(columns=[LEVER, *dims, VALUE])
    return pd.concat(parts, ignore_index=True).reindex(columns=[LEVER, *dims, VALUE])


def _of_lever(frame: "pd.DataFrame", name: str, shape: LeverShape, path: Path) -> "pd.DataFrame":
    column = _value_column(frame, name, shape)
    needed = (*shape.labels, column or VALUE)
    missing = [item for item in needed if item not in frame.columns]
    if missing:
        raise UsageError(
            f"the columns {', '.join(needed)} in {path}",
            f"{', '.join(map(str, frame.columns))}, without {', '.join(missing)}",
            f"Rename or add them. {_NOTHING_DONE}",
        )
    frame = frame.loc[:, [LEVER, *needed]].rename(columns={column or VALUE: VALUE})
    frame[shape.time] = _hours(frame[shape.time], path)
    frame[VALUE] = _amounts(frame[VALUE], shape.unit, path)
    for dim, labels in shape.labels.items():
        if dim == shape.time:
            continue
        frame[dim] = frame[dim].astype(str)
        _known(frame[dim].unique(), [str(label) for label in labels], dim, path)
    hours = shape.labels[shape.time]
    inside = frame[shape.time].isin(hours)
    if not inside.all():
        first = frame.loc[~inside, shape.time].iloc[0]
        raise UsageError(
            f"hours from {hours[0]} to {hours[-1]} in {path}",
            f"{first} and {int((~inside).sum()) - 1:,} more outside them",
            f"Give hours with their zone, such as 2026-03-02T08:00:00Z. {_NOTHING_DONE}",
        )
    twice = frame.duplicated(list(shape.labels))
    if twice.any():
        cell = frame.loc[twice].iloc[0]
        raise UsageError(
            f"each cell once in {path}",
            f"{', '.join(str(cell[dim]) for dim in shape.labels)} at least twice",
            f"Remove the repeated rows. {_NOTHING_DONE}",
        )
    return frame


def _value_column(frame: "pd.DataFrame", name: str, shape: LeverShape) -> str | None:
    names = (VALUE, name, (currency(shape.unit) or VALUE).lower())
    return next((item for item in names if item in frame.columns), None)


def _frame(path: Path, most: int) -> "pd.DataFrame":
    """The rows of a file, of which there are not more than there are cells.

    A small Parquet file can expand to more rows than fit in memory.
    """
    import pandas as pd
    import pyarrow.parquet

    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise UsageError(
            f"a CSV or Parquet file at {path}", found, f"Name the file. {_NOTHING_DONE}"
        )
    try:
        if path.suffix == ".csv":
            # Labels are text: 01 is no 1, and "NA" can be a region; only an empty field is missing.
            frame = pd.read_csv(
                path, dtype=str, keep_default_na=False, na_values=[""], nrows=most + 1
            )
            found = f"more than {most:,}" if len(frame) > most else ""
        else:
            rows = pyarrow.parquet.read_metadata(path).num_rows
            found = f"{rows:,}" if rows > most else ""
            frame = pd.DataFrame() if found else pd.read_parquet(path)
    except Exception as error:  # each reader has errors of its own for a damaged file
        reason = (str(error).splitlines() or [""])[0]
        raise UsageError(
            f"a CSV or Parquet file at {path}",
            f"{type(error).__name__}: {reason}",
            f"Export it again. {_NOTHING_DONE}",
        ) from error
    if found:
        raise UsageError(
            f"at most {most:,} rows in {path}, one for each cell that is decided",
            found,
            f"Give each cell once. {_NOTHING_DONE}",
        )
    return frame


def _hours(column: "pd.Series[Any]", path: Path) -> "pd.Series[Any]":
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        known: pd.Series[Any] = column.dt.tz_convert("UTC").dt.as_unit("us")
        return known
    texts = column.astype(str)
    try:
        hours = pd.to_datetime(texts, utc=True, format="ISO8601")
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"hours such as 2026-03-02T08:00:00Z in {path}", reason, _NOTHING_DONE
        ) from error
    # Offsets may differ from row to row; what has none is a local hour, which can be two instants.
    naive = ~texts.str.contains(_OFFSET)
    if naive.any():
        raise UsageError(
            f"hours with their zone, such as 2026-03-02T08:00:00Z, in {path}",
            f"{texts[naive].iloc[0]!r}",
            f"A local hour can be two instants: add Z or an offset. {_NOTHING_DONE}",
        )
    exact: pd.Series[Any] = hours.dt.as_unit("us")
    return exact


def _amounts(column: "pd.Series[Any]", unit: str, path: Path) -> "pd.Series[Any]":
    import numpy as np
    import pandas as pd

    amounts = pd.to_numeric(column, errors="coerce").astype("float64")
    if pd.api.types.is_bool_dtype(column):
        # True is no amount of anything.
        amounts[:] = np.nan
    bad = ~np.isfinite(amounts) | (amounts < 0)
    if bad.any():
        raise UsageError(
            f"a {VALUE} of at least 0 in every row of {path}",
            f"{column[bad].iloc[0]} in row {int(np.flatnonzero(bad)[0]) + 1}",
            f"Correct it; it is in {unit}. {_NOTHING_DONE}",
        )
    return amounts


def _known(found: Iterable[str], allowed: Sequence[str], dim: str, path: Path) -> None:
    for label in found:
        if label not in allowed:
            # Of a label that is none, pandas makes what is no text.
            label = label if isinstance(label, str) else ""
            # A text of megabytes is like none, and nobody wants to read it.
            label = label if len(label) <= _LONGEST else f"{label[:_LONGEST]}..."
            near = difflib.get_close_matches(label, allowed, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(allowed[:8]) + (" ..." if len(allowed) > 8 else "")
            raise UsageError(
                f"{'a lever' if dim == LEVER else f'labels of {dim}'} out of {shown} in {path}",
                repr(label) if label else "a row without one",
                f"{advice} {_NOTHING_DONE}".strip(),
            )
