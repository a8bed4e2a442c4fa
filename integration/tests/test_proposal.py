"""A proposal is refused with what to correct, or read to the last bit."""

import numpy as np
import pandas as pd
import pytest

from dagcast.errors import UsageError
from dagcast.plans import read_proposal

HOURS = pd.date_range("2026-03-02", periods=3, freq="h", tz="UTC", unit="us")
LABELS = {"incentive": ("bonus", "streak"), "region": ("NA", "SFO"), "hour": HOURS}


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
    frame = read_proposal(written(rows()), LABELS)
    assert list(frame["region"]) == ["NA", "SFO"]
    assert list(frame["usd"]) == [1.5, 0.0]
    assert list(frame["hour"]) == list(HOURS[:2])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (rows().rename(columns={"usd": "dollars"}), "without usd"),
        (rows(region=["SFo", "SFO"]), "'SFo'. Did you mean 'SFO'"),
        (rows(usd=[-1.0, 2.0]), "at least 0.*-1.0 in row 1"),
        (rows(usd=[1.0, np.nan]), "row 2"),
        (rows(hour=HOURS[:2] + pd.Timedelta(days=9)), "1 more outside"),
        (rows(hour=HOURS[:2].tz_localize(None)), "with their zone"),
        (rows(hour="noon"), "hours such as 2026-03-02T08:00:00Z"),
        (rows(incentive="bonus", region="SFO", hour=HOURS[0]), "at least twice"),
    ],
)
def test_bad_cells_are_refused_with_the_place(written, frame, message):
    with pytest.raises(UsageError, match=message):
        read_proposal(written(frame), LABELS)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "proposal.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(UsageError, match=r"a CSV or Parquet file at .*proposal\.parquet"):
        read_proposal(path, LABELS)
    with pytest.raises(UsageError, match="no such file"):
        read_proposal(tmp_path / "none.csv", LABELS)
    with pytest.raises(UsageError, match="a folder"):
        read_proposal(tmp_path, LABELS)
