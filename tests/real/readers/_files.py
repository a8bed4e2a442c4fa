"""Reads files of public data, with errors that name what is wrong."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dagcast_core.data import DataError, SourceError


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Reads a CSV file as text: "NA" is a label here, and what a number is the caller decides.

    Raises:
        SourceError: no such file, not a table, or without the columns.
    """
    wanted = f"a CSV file with columns {', '.join(columns)}"
    _require(path, wanted)
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False)
    except (OSError, ValueError) as error:
        raise SourceError(
            path.name, wanted, f"other content ({_first_line(error)})", "Give another file."
        ) from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    return _checked(frame, path, columns, wanted)


def numbers(texts: pd.Series, none: Sequence[str] = ("", "-", "NULL", "NA")) -> pd.Series:
    """Reads numbers written for people: "1,234", " 75% " (0.75), "-" for none.

    Raises:
        DataError: a text is none of these.
    """
    plain = texts.str.strip().str.replace(",", "")
    share = plain.str.endswith("%")
    blank = plain.isin(none)
    values = pd.to_numeric(plain.str.rstrip("%").mask(blank), errors="coerce")
    bad = values.isna() & ~blank
    if bad.any():
        raise DataError(
            f"cannot read column {texts.name!r}: expected numbers, or "
            f"{', '.join(repr(word) for word in none)} for none; found "
            f"{', '.join(repr(word) for word in texts[bad].unique()[:3])} in {int(bad.sum())} "
            f"cells. Correct the file."
        )
    return values.astype("float64").where(~share, values / 100)


def _require(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise SourceError(path.name, wanted, f"no such file at {path}", "Correct the path.")


def _checked(frame: pd.DataFrame, path: Path, columns: Sequence[str], wanted: str) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise SourceError(
            path.name,
            wanted,
            f"columns {', '.join(map(str, frame.columns[:12]))}, without {', '.join(missing)}",
            "Give the file they are in.",
        )
    return frame


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
