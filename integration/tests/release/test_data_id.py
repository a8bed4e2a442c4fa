"""Figures are compared where their data are the same, which is told by what the files hold."""

import json

import pandas as pd
import pytest

from dagcast.workflow.common._data_id import data_id


@pytest.fixture
def events(tmp_path):
    frame = pd.DataFrame(
        {"region": ["SFO", "OAK"], "usd": [1.5, 2.0], "at": pd.Timestamp("2026-01-05")}
    )
    frame.to_parquet(tmp_path / "spend.parquet", index=False)
    (tmp_path / "regions.json").write_text(json.dumps([{"region": "SFO", "lat": 37.6}]))
    return tmp_path


def test_same_values_are_the_same_data_however_they_are_written(events):
    before = data_id(events)
    frame = pd.read_parquet(events / "spend.parquet")[["usd", "at", "region"]]
    # The last digits of a number belong to the machine.
    frame["usd"] += 1e-12
    frame.to_parquet(events / "spend.parquet", compression="gzip", index=False)
    (events / "regions.json").write_text('[{"lat":   37.6000000001, "region": "SFO"}]')
    assert data_id(events) == before


@pytest.mark.parametrize("change", ["value", "row", "label", "file", "json"])
def test_another_value_row_label_or_file_is_other_data(events, change):
    before = data_id(events)
    frame = pd.read_parquet(events / "spend.parquet")
    if change == "value":
        frame.loc[0, "usd"] = 1.51
    if change == "row":
        frame = pd.concat([frame, frame])
    if change == "label":
        frame.loc[0, "region"] = "LAX"
    frame.to_parquet(events / "spend.parquet", index=False)
    if change == "file":
        frame.to_parquet(events / "coupons.parquet", index=False)
    if change == "json":
        (events / "regions.json").write_text("[]")
    assert data_id(events) != before
