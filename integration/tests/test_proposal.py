"""A proposal is refused with what to correct, or read to the last bit."""

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagcast.errors import UsageError
from dagcast.plans import LeverShape, read_proposal

HOURS = pd.date_range("2026-03-02", periods=3, freq="h", tz="UTC", unit="us")
LABELS = {"incentive": ("bonus", "streak"), "region": ("NA", "SFO"), "hour": HOURS}
LEVERS = {"spend": LeverShape("USD/h", LABELS, "hour")}
FARE = LeverShape("USD/ride", {"region": ("NA", "SFO"), "hour": HOURS}, "hour")


def rows(**changes):
    frame = pd.DataFrame(
        {
            "incentive": ["bonus", "streak"],
            "region": ["NA", "SFO"],
            "hour": HOURS[:2],
            "usd": [1.5, 0.0],
        }
    )
    return frame.assign(**changes)


@pytest.fixture(params=["csv", "parquet"])
def written(request, tmp_path):
    def _written(frame):
        path = tmp_path / f"proposal.{request.param}"
        frame.to_csv(path, index=False) if request.param == "csv" else frame.to_parquet(path)
        return path

    return _written


def test_cells_are_read_as_written_and_a_region_called_na_stays(written):
    frame = read_proposal(written(rows()), LEVERS)
    assert list(frame["region"]) == ["NA", "SFO"]
    assert list(frame["value"]) == [1.5, 0.0]
    assert set(frame["lever"]) == {"spend"}
    assert list(frame["hour"]) == list(HOURS[:2])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (rows().rename(columns={"usd": "dollars"}), "without value"),
        (rows(region=["SFo", "SFO"]), "'SFo'. Did you mean 'SFO'"),
        (rows(usd=[-1.0, 2.0]), "at least 0.*-1.0 in row 1"),
        (rows(usd=[1.0, np.nan]), "row 2"),
        (rows(usd=[True, False]), "at least 0.*True in row 1"),
        (rows(usd=[np.inf, 1.0]), "at least 0.*inf in row 1"),
        (rows(region=[None, "SFO"]), "labels of region out of NA, SFO.*found a row without one"),
        (rows(incentive=["bonus", None]), "labels of incentive.*found a row without one"),
        (rows(lever=["spend", None]), "a lever out of spend.*found"),
        (rows(hour=HOURS[:2] + pd.Timedelta(days=9)), "1 more outside"),
        (rows(hour=HOURS[:2].tz_localize(None)), "with their zone"),
        (rows(hour="noon"), "hours such as 2026-03-02T08:00:00Z"),
        (rows(incentive="bonus", region="SFO", hour=HOURS[0]), "at least twice"),
    ],
)
def test_bad_cells_are_refused_with_the_place(written, frame, message):
    with pytest.raises(UsageError, match=message):
        read_proposal(written(frame), LEVERS)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "proposal.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(UsageError, match=r"a CSV or Parquet file at .*proposal\.parquet"):
        read_proposal(path, LEVERS)
    with pytest.raises(UsageError, match="no such file"):
        read_proposal(tmp_path / "none.csv", LEVERS)
    with pytest.raises(UsageError, match="a folder"):
        read_proposal(tmp_path, LEVERS)


@pytest.mark.parametrize("column", ["value", "usd", "spend"])
def test_the_value_may_be_called_by_the_lever_or_its_currency(written, column):
    frame = read_proposal(written(rows().rename(columns={"usd": column})), LEVERS)
    assert list(frame["value"]) == [1.5, 0.0]


def test_rows_of_several_levers_say_which(written):
    levers = {**LEVERS, "fare": FARE}
    cells = rows(lever=["spend", "fare"]).rename(columns={"usd": "value"})
    frame = read_proposal(written(cells), levers).set_index("lever")
    assert frame.loc["fare", "region"] == "SFO"
    assert pd.isna(frame.loc["fare", "incentive"])
    with pytest.raises(UsageError, match="a column lever .* out of spend, fare"):
        read_proposal(written(rows()), levers)
    with pytest.raises(UsageError, match="Did you mean 'fare'"):
        read_proposal(written(cells.assign(lever=["spend", "fares"])), levers)


def test_labels_are_text_and_hours_with_several_offsets_are_instants(tmp_path):
    """02139 is no number, 01 is not 1, and clocks change within a week."""
    hours = pd.date_range("2026-03-08T06:00Z", periods=3, freq="h", unit="us")
    shape = LeverShape("USD/h", {"region": ("02139", "01", "1"), "hour": hours}, "hour")
    path = tmp_path / "proposal.csv"
    path.write_text(
        "region,hour,usd\n02139,2026-03-08T01:00:00-05:00,5\n01,2026-03-08T03:00:00-04:00,6\n"
        "1,2026-03-08T08:00:00Z,7\n"
    )
    frame = read_proposal(path, {"spend": shape})
    assert list(frame["region"]) == ["02139", "01", "1"]
    assert list(frame["hour"]) == list(hours)


def test_rows_beyond_the_cells_are_refused_before_they_are_read(tmp_path):
    """A Parquet file of some kilobytes can hold a billion rows."""
    table = pa.table({"region": pa.DictionaryArray.from_arrays([0] * 10_000, ["SFO"])})
    for name, write in (
        ("a.parquet", lambda path: pq.write_table(table, path)),
        ("a.csv", lambda path: path.write_text("region\n" + "SFO\n" * 10_000)),
    ):
        write(tmp_path / name)
        with pytest.raises(UsageError, match=r"at most .* rows in .*one for each cell"):
            read_proposal(tmp_path / name, LEVERS)


def test_a_label_of_megabytes_is_answered_at_once(written):
    start = time.process_time()
    with pytest.raises(UsageError) as caught:
        read_proposal(written(rows(region="x" * 5_000_000)), LEVERS)
    assert len(str(caught.value)) < 1000
    assert time.process_time() - start < 5
