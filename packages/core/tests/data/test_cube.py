"""Ready cubes: an empty cell is missing, and an absent row is what the declaration says."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import (
    CubeQuantity,
    CubeTable,
    DeclarationError,
    EventTable,
    Ingestion,
    MissingCellsError,
)

NAN = np.nan
WIDE = CubeTable(
    name="hourly",
    time="hour",
    dims={"region": "region"},
    quantities=(CubeQuantity("sessions", "session/h", lower=0),),
    absent="missing",
)
FIRST = "region,hour,sessions\nCITY,2016-12-07 04:00,4\nCITY,2016-12-07 05:00,\n"
CASE = FIRST + "CITY,2016-12-07 06:00,16\n"
HOURS = {"start": "2016-12-07T03:00Z", "end": "2016-12-07T07:00Z", "as_of": "2017-01-01"}


@pytest.fixture
def ingest(store, tmp_path):
    def run(table, content: str, name: str = "cube.csv", **options):
        (tmp_path / name).write_text(content)
        (report,) = store.ingest_all([Ingestion(table, tmp_path / name, **options)])
        assert report.read == report.accepted + report.duplicates + sum(report.quarantined.values())
        return report

    return run


def values(store, name: str = "sessions", **options) -> list:
    return store.read([name], **{**HOURS, **options})[name].tensor.tolist()


def test_an_empty_cell_is_missing_and_never_zero(ingest, store):
    assert ingest(WIDE, CASE).accepted == 3
    np.testing.assert_equal(values(store), [[NAN, 4, NAN, 16, NAN]])
    counts = store.counts(["sessions"], **HOURS)["sessions"].tensor.tolist()
    np.testing.assert_equal(counts, [[NAN, 1, 1, 1, NAN]])


@pytest.mark.parametrize(("absent", "five"), [("missing", NAN), ("zero", 0.0)])
@pytest.mark.parametrize(("cell", "six"), [("", NAN), ("0", 0.0), ("NULL", None)])
def test_what_is_absent_is_what_the_declaration_says(ingest, store, absent, five, cell, six):
    table = replace(WIDE, absent=absent)
    content = f"region,hour,sessions\nA,2016-12-07 04:00,4\nA,2016-12-07 06:00,{cell}\n"
    report = ingest(table, content + "A,2016-12-07 07:00,1\n")
    if six is None:
        # A word is no empty cell unless it is declared as one; the row is set aside, and absent.
        assert report.quarantined == {"sessions is not a number": 1}
        six = five
        assert values(store, start="2016-12-07T04:00Z")[0][0] == 4
    np.testing.assert_equal(values(store), [[NAN, 4, five, six, 1]])


def test_labels_that_are_declared_have_zeros_where_absence_means_zero(ingest, store):
    table = replace(WIDE, absent="zero", labels={"region": ("A", "B", "C")})
    ingest(table, "region,hour,sessions\nA,2016-12-07 04:00,4\nB,2016-12-07 05:00,\n")
    np.testing.assert_equal(
        values(store, end="2016-12-07T05:00Z"), [[NAN, 4, 0], [NAN, 0, NAN], [NAN, 0, 0]]
    )
    daily = {"start": "2016-12-07T04:00Z", "end": "2016-12-07T05:00Z", "as_of": "2017-01-01"}
    by = {"region": {"A": "x", "C": "x"}}
    rolled = store.rollup(["sessions"], **daily, by=by)["sessions"].tensor.tolist()
    assert rolled == [[4, 0]]


def test_hours_that_have_not_ended_are_not_zero(ingest, store):
    ingest(replace(WIDE, absent="zero"), CASE.replace("CITY,2016-12-07 05:00,\n", ""))
    assert values(store, as_of="2016-12-07T06:00Z")[0][2] == 0
    np.testing.assert_equal(values(store, as_of="2016-12-07T05:30Z")[0][2], NAN)


QUANTITIES = (
    CubeQuantity("sessions", "session/h", lower=0),
    CubeQuantity("temperature", "degC", column="Temp (C)", across="mean", upper=60),
)


def test_wide_and_long_cubes_are_the_same_cube(ingest, store, tmp_path):
    wide = replace(WIDE, quantities=QUANTITIES)
    long = replace(wide, name="long", names="what", value="value", quantities=(
        replace(QUANTITIES[0], name="sessions_long", column="sessions"),
        replace(QUANTITIES[1], name="temperature_long"),
    ))  # fmt: skip
    frame = pd.DataFrame(
        {
            "region": ["A", "A", "B"],
            "hour": ["2016-12-07 04:00", "2016-12-07 05:00", "2016-12-07 04:00"],
            "sessions": [4, None, 16],
            "Temp (C)": [3.5, -2.0, None],
        }
    )
    ingest(wide, frame.to_csv(index=False))
    melted = frame.melt(["region", "hour"], var_name="what")
    report = ingest(long, melted.to_csv(index=False), "long.csv")
    assert (report.read, report.accepted) == (6, 6)
    for name in ("sessions", "temperature"):
        np.testing.assert_equal(values(store, f"{name}_long"), values(store, name))
    np.testing.assert_equal(values(store)[0], [NAN, 4, NAN, NAN, NAN])
    assert store.labels() == {"region": ("A", "B")}
    panel = store.read(["temperature_long"], **HOURS)["temperature_long"]
    assert panel.dims == ("region", "hour")


def test_rows_of_a_long_cube_are_all_accounted_for(ingest, store):
    long = replace(WIDE, names="what", value="value", quantities=QUANTITIES)
    report = ingest(
        long,
        "region,hour,what,value\n"
        "A,2016-12-07 04:00,sessions,4\n"
        "A,2016-12-07 04:00,Temp (C),70\n"
        "A,2016-12-07 04:00,Sessions,4\n"
        "A,2016-12-07 05:00,sessions,-1\n"
        "A,2016-12-07 05:30,sessions,1\n"
        "A,2016-12-07 04:00,sessions,4\n"
        "A,2016-12-07 06:00,sessions,1\n"
        "A,2016-12-07 06:00,sessions,2\n",
    )
    assert report.duplicates == 1
    assert report.quarantined == {
        "hour is not on the hour": 1,
        "same key, other content": 2,
        "sessions below 0": 1,
        "temperature above 60": 1,
        "unknown quantity": 1,
    }


def test_cells_have_two_times(ingest, store):
    table = replace(WIDE, known_at="known")
    head = "region,hour,known,sessions\n"
    ingest(table, head + "A,2016-12-07 04:00,2016-12-07 05:00,4\n")
    revised = head + "A,2016-12-07 04:00,2016-12-09 00:00,5\n"
    assert ingest(table, revised, "revised.csv").conflicts == 0
    assert values(store, as_of="2016-12-08")[0][1] == 4
    assert values(store)[0][1] == 5
    ingest(table, head + "A,2016-12-07 04:00,2016-12-10 00:00,\n", "withdrawn.csv")
    np.testing.assert_equal(values(store)[0][1], NAN)


def test_a_cube_without_known_times_contradicts_what_it_said(ingest, store):
    table = replace(WIDE, known_lag_hours=2)
    ingest(table, CASE)
    np.testing.assert_equal(values(store, as_of="2016-12-07T06:00Z")[0][1], NAN)
    assert values(store, as_of="2016-12-07T07:00Z")[0][1] == 4
    report = ingest(table, CASE.replace(",16", ",17"), "second.csv")
    assert (report.duplicates, report.conflicts) == (2, 1)
    assert store.conflicts("hourly")["sessions"].tolist() == [16, 17]
    assert values(store)[0][3] == 16


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_cubes_of_a_local_clock(ingest, store, zone):
    report = ingest(replace(WIDE, zone=zone), CASE)
    assert report.accepted == (3 if zone == "America/New_York" else 0)
    if report.accepted:
        assert values(store, start="2016-12-07T09:00Z", end="2016-12-07T09:00Z") == [[4]]
    else:
        assert report.failure is not None
        assert "hour is not on the hour" in report.failure


def test_an_integer_cube_refuses_missing_cells(ingest, store):
    ingest(replace(WIDE, quantities=(CubeQuantity("sessions", "1", dtype="int64"),)), CASE)
    with pytest.raises(MissingCellsError):
        values(store)
    assert values(store, start="2016-12-07T06:00Z", end="2016-12-07T06:00Z") == [[16]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"quantities": ()}, "it has no quantity"),
        ({"absent": "nothing"}, "absent is 'nothing', not 'missing' or 'zero'"),
        ({"names": "what"}, "a long cube needs both names and value"),
        ({"zone": "Mars"}, "no such zone"),
        ({"foreseeable": True}, "a foreseeable table needs a known_at column"),
        ({"labels": {"city": "any"}}, "labels are declared for 'city'"),
        (
            {"names": "w", "value": "v", "dims": {"quantity": "region"}},
            "a long cube has no dim 'quantity' of its own",
        ),
    ],
)
def test_inconsistent_cubes_are_refused(change, problem):
    with pytest.raises(DeclarationError, match=problem):
        replace(WIDE, **change)


def test_a_cube_is_kept_as_a_table(ingest, store):
    long = replace(WIDE, names="what", value="value", quantities=QUANTITIES)
    for table in (WIDE.table(), long.table()):
        assert EventTable.from_json(table.to_json()) == table
    assert ingest(WIDE, CASE).accepted == 3
    assert ingest(WIDE, CASE).unchanged
