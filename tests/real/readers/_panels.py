"""Readers of public series and experiments that are used as they stand, without a store."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.data import DataError, SourceError
from readers._files import numbers, read_csv

Values = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class M4Series:
    """One hourly series of the M4 competition.

    Attributes:
        name: e.g. "H1".
        train: the values published before the competition; series differ in length.
        test: the 48 values after them.
    """

    name: str
    train: Values
    test: Values


def read_m4_hourly(data_folder: Path | str) -> tuple[M4Series, ...]:
    """Reads the 414 hourly series of the M4 competition.

    Source: Makridakis, Spiliotis & Assimakopoulos (2020), doi:10.1016/j.ijforecast.2019.04.014

    Args:
        data_folder: holds m4_Hourly-train.csv and m4_Hourly-test.csv.

    Raises:
        SourceError: a file is absent or of another format.
        DataError: a series is in one file only, has a hole, or a cell is no number.
    """
    folder = Path(data_folder)
    train = _m4(folder / "m4_Hourly-train.csv")
    test = _m4(folder / "m4_Hourly-test.csv")
    odd = sorted(set(train) ^ set(test))
    if odd:
        raise DataError(
            f"cannot read the M4 series: expected the same names in both files; found "
            f"{', '.join(repr(name) for name in odd[:3])} in one of them only. "
            f"Take both files from one release."
        )
    return tuple(M4Series(name, train[name], test[name]) for name in train)


def read_ebay_paid_search(data_folder: Path | str) -> pd.DataFrame:
    """Reads eBay's geo experiment, in which paid search was switched off in some markets.

    Source: Blake, Nosko & Tadelis (2015), doi:10.3982/ECTA12423; revenue is transformed by the
    publisher, so that only ratios mean something.

    Returns:
        Columns date (naive days), market, treatment_period (from 22 May 2012 on), search_stays_on,
        revenue. One row per market and day.

    Raises:
        SourceError: ebay_paidsearch.csv is absent or lacks a column.
        DataError: a cell is no number.
    """
    columns = ("date", "dma", "treatment_period", "search stays on", "revenue")
    frame = read_csv(Path(data_folder) / "ebay_paidsearch.csv", columns)
    return pd.DataFrame(
        {
            "date": pd.to_datetime(frame["date"], format="%d-%b-%y"),
            "market": frame["dma"].str.strip(),
            "treatment_period": numbers(frame["treatment_period"]) > 0,
            "search_stays_on": numbers(frame["search stays on"]) > 0,
            "revenue": numbers(frame["revenue"]),
        }
    )


def read_congestion_panel(data_folder: Path | str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reads the daily panel around New York's congestion fee, and its author's results.

    Source: atharvajoshi01/nyc-tlc-congestion-pricing-causal-study.

    Returns:
        A frame with date (naive days), unit, treated, trips, avg_fare (USD), avg_cbd_fee (USD),
        and the published results by name.

    Raises:
        SourceError: a file is absent or of another format.
        DataError: a cell is no number.
    """
    folder = Path(data_folder)
    columns = ("trip_date", "unit", "treated", "trips", "avg_fare", "avg_cbd_fee")
    frame = read_csv(folder / "nyc_congestion_panel_dest_day.csv", columns)
    panel = pd.DataFrame(
        {
            "date": pd.to_datetime(frame["trip_date"], format="%Y-%m-%d"),
            "unit": frame["unit"],
            "treated": frame["treated"] == "True",
            "trips": numbers(frame["trips"]),
            "avg_fare": numbers(frame["avg_fare"]),
            "avg_cbd_fee": numbers(frame["avg_cbd_fee"]),
        }
    )
    path = folder / "nyc_congestion_did_results.json"
    try:
        published = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SourceError(
            path.name,
            "a JSON object of results",
            f"none ({type(error).__name__})",
            "Put the author's file beside the panel.",
        ) from error
    return panel, published


def _m4(path: Path) -> dict[str, Values]:
    """Series by name; the first column names them, and short ones end in blanks."""
    wanted = "a CSV table whose first column names series of numbers"
    try:
        frame = pd.read_csv(path, dtype={0: str}, index_col=0)
        cells = frame.to_numpy(dtype=np.float64)
    except (OSError, ValueError) as error:
        found = "no such file" if isinstance(error, OSError) else f"other content ({error})"
        raise SourceError(
            path.name, wanted, found, "Take the file from the competition's own release."
        ) from error
    series: dict[str, Values] = {}
    for name, row in zip(frame.index.astype(str), cells, strict=True):
        length = int(np.isfinite(row).sum())
        if not np.isfinite(row[:length]).all():
            raise DataError(
                f"cannot read series {name!r} of {path.name}: expected values up to its end; found "
                f"a hole. Take the file from the competition's own release."
            )
        series[name] = row[:length].copy()
    return series
