"""`dagcast init --from` proposes a declaration, with what is unsure in comments."""

import importlib.metadata
import tomllib

import duckdb
import pandas as pd
import pytest

from dagcast import workflow
from dagcast.errors import UsageError
from dagcast.project import open_project
from dagcast.sources import SourceSettings, propose, source_name
from dagcast_core.contract import Dim, Quantity
from dagcast_core.data import Column, EventTable, MetricStore
from dagcast_core.dims import HOUR

PARCELS = Quantity("parcels", dims=(Dim("site"), HOUR), unit="parcel/h")
HOURS = pd.date_range("2025-01-06", periods=6, freq="h", unit="us")
SCANS = EventTable(
    name="scans",
    columns=(Column("scan_id", "integer"), Column("site", "text"), Column("at", "instant")),
    time="at",
    dims={"site": "site"},
    sums=(),
    metrics=(),
)


@pytest.fixture
def alone(monkeypatch):
    """Nothing is installed that registers anything."""
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: iter(()))


def proposed(path, tables=()):
    text = propose(str(path), {"parcels": PARCELS}, {table.name: table for table in tables})
    settings = SourceSettings.model_validate(tomllib.loads(text))
    return text, settings


def cube(tmp_path, **columns):
    path = tmp_path / "Hourly counts.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_a_cube_is_known_by_its_cells(tmp_path):
    path = cube(tmp_path, hour=[*HOURS, *HOURS], Site=["A"] * 6 + ["B"] * 6, parcels=range(12),
                loaded_at=[HOURS[5]] * 12, odd=range(12))  # fmt: skip
    text, settings = proposed(path)
    assert settings.rows == "cells"
    assert settings.time.column == "hour"
    assert settings.known.column == "loaded_at"
    assert settings.dims["site"].column == "Site"
    assert settings.quantities["parcels"].column == "parcels"
    # What no model knows is for people to name.
    assert '# odd = { column = "odd", unit = "..." }  # which quantity is it?' in text
    assert 'zone = "UTC"  # unsure' in text
    assert source_name(str(path)) == "hourly_counts"


def test_events_are_known_by_rows_that_share_an_hour(tmp_path):
    path = cube(tmp_path, trip_id=range(6), at=[HOURS[0]] * 6, site=["A", "B"] * 3,
                parcels=[1.5] * 6)  # fmt: skip
    text, settings = proposed(path)
    assert settings.rows == "events"
    assert settings.key == ("trip_id",)
    assert settings.quantities["parcels"].sum == "parcels"
    assert "# unsure: what is a row?" in text


def test_days_and_months_that_may_be_swapped_are_said(tmp_path):
    path = cube(tmp_path, when=["05/01/2026 10:00", "05/01/2026 11:00"], parcels=[1, 2])
    text, settings = proposed(path)
    assert settings.time.format == "%d/%m/%Y %H:%M"
    assert "unsure: days and months may be the other way round" in text
    sure = cube(tmp_path, when=["25/01/2026 10:00", "05/01/2026 11:00"], parcels=[1, 2])
    assert "other way round" not in proposed(sure)[0]


def test_columns_may_be_labels(tmp_path):
    path = cube(tmp_path, hour=HOURS, **{str(zone): range(6) for zone in (4, 12, 13, 24)})
    _, settings = proposed(path)
    assert settings.dims["site"].columns == "*"


def test_a_table_of_a_package_is_known_by_its_columns(tmp_path):
    path = cube(tmp_path, scan_id=range(6), site=["A"] * 6, at_time=HOURS)
    text, settings = proposed(path, [SCANS])
    assert settings.into == "scans"
    assert '# at = "at_time"  # unsure: no column is called so' in text


def test_a_duckdb_table_is_looked_at_too(tmp_path):
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as connection:
        rows = pd.DataFrame({"hour": HOURS, "parcels": range(6)})
        connection.register("rows", rows)
        connection.execute("CREATE TABLE counts AS SELECT * FROM rows")
    _, settings = proposed(f"{tmp_path}/lake.duckdb:counts")
    assert (settings.relation, settings.files) == ("counts", ())


def test_what_is_no_source_is_refused(tmp_path):
    for given in (tmp_path / "none.csv", "postgresql://host/db"):
        with pytest.raises(UsageError, match="a Parquet or CSV file, FILE.duckdb:TABLE or"):
            proposed(given)


def test_init_and_ingest_take_two_commands(alone, tmp_path):
    path = cube(tmp_path, hour=HOURS, site=["A"] * 6, parcels=range(6))
    made = workflow.init(tmp_path / "p", source=str(path))
    assert made.proposed == "sources/hourly_counts.toml"
    assert any("zone" in line for line in made.unsure)
    assert "Decide in sources/hourly_counts.toml" in str(made)
    project = open_project(tmp_path / "p", environment={})
    found = workflow.ingest(project)
    assert [(item.table, item.accepted) for item in found.counts] == [("hourly_counts", 6)]
    assert "parcels" in MetricStore(project.store).metrics()
    assert workflow.ingest(project).unchanged == 1


def test_a_source_that_cannot_be_read_makes_no_project(alone, tmp_path):
    with pytest.raises(UsageError):
        workflow.init(tmp_path / "p", source=str(tmp_path / "none.csv"))
    assert not (tmp_path / "p").exists()
