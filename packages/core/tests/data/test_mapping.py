"""Sources whose columns are called otherwise: names, expressions, lookups, labels as columns."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import (
    Check,
    ColumnMap,
    CubeQuantity,
    CubeTable,
    DeclarationError,
    Ingestion,
    Lookup,
    MetricStore,
    Repeat,
    SourceError,
    Take,
    Unpivot,
    peek,
)

DAY = {"start": "2025-03-03T00:00Z", "end": "2025-03-03T02:00Z", "as_of": "2025-04-01"}
CUBE = CubeTable(
    name="counts",
    time="hour",
    dims={"region": "region"},
    quantities=(CubeQuantity("rides", "ride/h", lower=0),),
    absent="missing",
)
PLAIN = {"region": Take(column="city"), "hour": Take(column="at"), "rides": Take(column="trips")}
NAN = float("nan")


def ingest(store, source, mapping, spec=CUBE, **options):
    return store.ingest_all([Ingestion(spec, source, mapping=mapping, **options)])[0]


def rides(store, name="rides"):
    panel = store.read([name], **DAY)
    return dict(zip(store.labels()["region"], panel[name].tensor.tolist(), strict=True))


def written(tmp_path, text, name="counts.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def both(tmp_path, frame):
    """The same rows as Parquet, as CSV, and as a frame."""
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return (tmp_path / "rows.parquet", tmp_path / "rows.csv", frame)


HOURS = ["2025-03-03 00:00", "2025-03-03 01:00", "2025-03-03 02:00"]


def test_names_expressions_and_constants_give_the_same_from_every_kind_of_source(tmp_path):
    frame = pd.DataFrame({"at": HOURS, "cents": [100.0, 250.0, 50.0], "kind": ["a", "b", "a"]})
    columns = {
        "region": Take(value="city"),
        "hour": Take(column="at"),
        "rides": Take(sql="CASE WHEN kind = 'a' THEN cents / 100 ELSE 0 END"),
    }
    for number, source in enumerate(both(tmp_path, frame)):
        store = MetricStore(tmp_path / f"store-{number}")
        report = ingest(store, source, ColumnMap("counts", columns))
        assert (report.read, report.accepted) == (3, 3)
        assert rides(store) == {"city": [1.0, 0.0, 0.5]}
        assert ingest(store, source, ColumnMap("counts", columns)).unchanged


def test_a_text_in_an_expression_is_a_number_or_its_row_is_set_aside(store, tmp_path):
    path = written(tmp_path, f"at,city,cents\n{HOURS[0]},SFO,100\n{HOURS[1]},SFO,many\n"
                             f"{HOURS[2]},SFO,\n")  # fmt: skip
    columns = {**PLAIN, "rides": Take(sql="cents / 100")}
    report = ingest(store, path, ColumnMap("counts", columns))
    assert report.quarantined == {"cents is not a number": 1}
    np.testing.assert_equal(rides(store), {"SFO": [1.0, NAN, NAN]})
    kept = store.quarantine("counts")
    # The row as the file has it, with its line.
    assert kept["_line"].tolist() == [3]
    assert kept["_text"].tolist() == [f"{HOURS[1]},SFO,many"]


def test_every_line_is_accounted_for_under_a_mapping(store, tmp_path):
    path = written(
        tmp_path,
        "counts of March\nat,city,trips,note\n"
        f"{HOURS[0]},SFO,3,ok\n{HOURS[0]},SFO,3,again\n{HOURS[1]},SFO,4\n{HOURS[2]},SFO,x,bad\n"
        "at,city,trips,note\n2025-03-03 03:00,SFO,5,ok\n",
    )
    report = ingest(store, path, ColumnMap("counts", PLAIN))
    assert (report.read, report.accepted, report.duplicates) == (6, 2, 1)
    assert sum(report.quarantined.values()) == 3
    assert store.quarantine("counts")["_line"].tolist() != []


def test_labels_are_looked_up_and_strangers_are_set_aside(store, tmp_path):
    zones = written(tmp_path, "id;borough;zone\n4;Manhattan;ABC\n7; Queens ;Astoria\n9;;none\n",
                    "zones.csv")  # fmt: skip
    frame = pd.DataFrame({"at": HOURS, "zone": [4, 7, 9], "trips": [1.0, 2.0, 3.0]})
    lookup = Lookup(zones, "id", "borough")
    columns = {**PLAIN, "region": Take(column="zone", lookup=lookup)}
    for source in both(tmp_path, frame):
        store = MetricStore(tmp_path / f"store-{type(source).__name__}-{str(source)[-3:]}")
        report = ingest(store, source, ColumnMap("counts", columns))
        assert report.quarantined == {"zone is not in zones.csv": 1}
        np.testing.assert_equal(rides(store), {"Manhattan": [1, NAN, NAN], "Queens": [NAN, 2, NAN]})
    # Another meaning is another source: its rows are judged anew.
    zones.write_text("id,borough\n4,Bronx\n7,Queens\n9,Queens\n")
    report = ingest(store, source, ColumnMap("counts", columns))
    assert not report.unchanged
    assert store.labels()["region"] == ("Bronx", "Queens")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("id,zone\n4,A\n", "no column 'borough'"),
        ("id,borough\n4,A\n4,B\n", "'4' as 'A' and as 'B'"),
        ("id,borough\n4,A\n5\n", "row 3 with fewer columns than its header"),
        (None, "No such file"),
    ],
)
def test_a_lookup_that_is_none_is_refused_before_anything_is_stored(
    store, tmp_path, content, found
):
    zones = tmp_path / "zones.csv"
    if content is not None:
        zones.write_text(content)
    columns = {**PLAIN, "region": Take(column="city", lookup=Lookup(zones, "id", "borough"))}
    frame = pd.DataFrame({"at": HOURS[:1], "city": ["4"], "trips": [1.0]})
    with pytest.raises(SourceError, match=found):
        ingest(store, frame, ColumnMap("counts", columns))
    assert not store.folder.exists()


def test_columns_may_be_labels(tmp_path):
    frame = pd.DataFrame({"at": HOURS, "12": [1.0, NAN, 0.0], "4": [4.0, 5.0, 6.0]})
    columns = {
        "hour": Take(column="at"), "region": Take(column="zone"), "rides": Take(column="n"),
    }  # fmt: skip
    mapping = ColumnMap("counts", columns, unpivot=Unpivot("zone", "n"))
    for number, source in enumerate(both(tmp_path, frame)):
        store = MetricStore(tmp_path / f"store-{number}")
        report = ingest(store, source, mapping)
        assert (report.read, report.accepted) == (6, 6)
        np.testing.assert_equal(rides(store), {"12": [1, NAN, 0], "4": [4, 5, 6]})


def test_rows_may_tell_of_several_labels(store, tmp_path):
    path = written(tmp_path, f"at,trips\n{HOURS[0]},1\n{HOURS[1]},x\n")
    columns = {
        "hour": Take(column="at"), "region": Take(column="every"), "rides": Take(column="trips"),
    }  # fmt: skip
    mapping = ColumnMap("counts", columns, repeat=Repeat("every", ("A", "it's")))
    report = ingest(store, path, mapping)
    assert (report.read, report.accepted) == (4, 2)
    assert store.quarantine("counts")["_line"].tolist() == [3, 3]
    np.testing.assert_equal(rides(store), {"A": [1, NAN, NAN], "it's": [1, NAN, NAN]})


def test_a_select_over_the_source_may_make_the_rows(tmp_path):
    frame = pd.DataFrame({"at": HOURS * 2, "trips": [1, 2, 3, 4, 5, 6], "city": ["A"] * 6})
    select = 'SELECT "at", city, SUM(CAST(trips AS INTEGER)) AS trips FROM source GROUP BY ALL'
    mapping = ColumnMap("counts", {**PLAIN, "rides": Take(sql="trips * 2")}, select=select)
    for number, source in enumerate(both(tmp_path, frame)):
        store = MetricStore(tmp_path / f"store-{number}")
        assert ingest(store, source, mapping).read == 3
        assert rides(store) == {"A": [10.0, 14.0, 18.0]}


def test_numbers_written_for_people_are_read_where_that_is_declared(store, tmp_path):
    path = written(tmp_path, f'at,city,trips\n{HOURS[0]},A,"1.234,5"\n{HOURS[1]},A,-\n'
                             f'{HOURS[2]},A,"1,2,3"\n')  # fmt: skip
    spec = replace(CUBE, null_text=("", "-"))
    mapping = ColumnMap("counts", PLAIN, thousands=".", decimal=",")
    report = ingest(store, path, mapping, spec)
    assert report.quarantined == {"rides is not a number": 1}
    np.testing.assert_equal(rides(store), {"A": [1234.5, NAN, NAN]})


@pytest.mark.parametrize(
    ("marks", "given", "kept"),
    [
        # To DuckDB this is a thousand.
        ({}, "1_000", NAN),
        ({"thousands": ","}, "1_000", NAN),
        ({"thousands": ","}, "1,000", 1000.0),
        ({"thousands": ","}, "12,345,678.5", 12_345_678.5),
        ({"thousands": ","}, "1,000e2", 100_000.0),
        ({"thousands": ","}, "1000", 1000.0),
        # Half a unit too little or ten times too much, whoever was meant.
        ({"thousands": ","}, "1,5", NAN),
        ({"thousands": ","}, "1,00", NAN),
        ({"thousands": ","}, "1,0000", NAN),
        ({"decimal": ","}, "1,5", 1.5),
        ({"decimal": ","}, ",5", 0.5),
        ({"decimal": ","}, "1.234", NAN),
        ({"decimal": ","}, "1e3", 1000.0),
        ({"decimal": ",", "thousands": "."}, "1.5", NAN),
        ({"decimal": ",", "thousands": " "}, "1 234,5", 1234.5),
    ],
)
@pytest.mark.parametrize("sql", [False, True])
def test_number_written_otherwise_than_declared_is_none(store, tmp_path, marks, given, kept, sql):
    path = written(tmp_path, f'at,city,trips\n{HOURS[0]},A,1\n{HOURS[1]},A,"{given}"\n')
    columns = {**PLAIN, "rides": Take(sql="trips * 1")} if sql else PLAIN
    report = ingest(store, path, ColumnMap("counts", columns, **marks), CUBE)
    why = "trips is not a number" if sql else "rides is not a number"
    assert report.quarantined == ({why: 1} if np.isnan(kept) else {})
    assert report.read == 2
    np.testing.assert_equal(rides(store)["A"][1], kept)


def test_two_sources_of_one_file_and_one_table_add_up(store, tmp_path):
    frame = pd.DataFrame({"at": HOURS[:1], "boost": [3.0], "quest": [4.0]})
    path = both(tmp_path, frame)[0]
    spend = replace(CUBE, name="spend", dims={"region": "region"})
    for label in ("boost", "quest"):
        columns = {
            "region": Take(value=label), "hour": Take(column="at"), "rides": Take(column=label),
        }  # fmt: skip
        ingest(store, path, ColumnMap(label, columns), spend, labels={"region": ("boost", "quest")})
    np.testing.assert_equal(rides(store), {"boost": [3, NAN, NAN], "quest": [4, NAN, NAN]})


def test_a_table_is_filled_with_a_lag_where_the_source_knows_no_arrival(
    store, rides_table, tmp_path
):
    frame = pd.DataFrame({"n": [1, 2], "at": ["2025-01-06 00:40", "2025-01-06 01:10"],
                          "usd": [5.0, 6.0]})  # fmt: skip
    columns = {
        "id": Take(column="n"), "region": Take(value="SFO"), "at": Take(column="at"),
        "fare": Take(column="usd"),
    }  # fmt: skip
    table = replace(rides_table, zone="America/Los_Angeles")
    report = ingest(
        store, frame, ColumnMap("trips", columns, known_lag_hours=2.0), table
    )  # fmt: skip
    assert report.accepted == 2
    window = {"start": "2025-01-06T08:00Z", "end": "2025-01-06T09:00Z"}
    values = [
        store.read(["revenue"], **window, as_of=f"2025-01-06T{hour}:00Z")["revenue"].tensor.tolist()
        for hour in (10, 11, 12)
    ]
    np.testing.assert_equal(values, [[[NAN, NAN]], [[5.0, NAN]], [[5.0, 6.0]]])


def test_what_cannot_be_mapped_is_said_in_a_sentence(store):
    frame = pd.DataFrame({"at": HOURS, "city": ["A"] * 3, "trips": [1.0] * 3})
    cases = [
        ({"region": Take(column="city"), "hour": Take(column="at"), "ride": Take(column="trips")},
         DeclarationError, "expected columns out of region, hour, rides; found 'ride'"),
        ({"region": Take(column="city"), "rides": Take(column="trips")},
         DeclarationError, "found nothing for 'hour'"),
        ({**PLAIN, "rides": Take(column="trip")}, SourceError, "without 'trip'"),
        ({**PLAIN, "rides": Take(sql="trips +")}, DeclarationError, "cannot read the expression"),
        ({**PLAIN, "rides": Take(sql="nonsense(trips)")}, DeclarationError, "expressions that"),
        ({**PLAIN, "hour": Take(column="trips")}, SourceError, "Convert those columns in the"),
    ]  # fmt: skip
    for columns, error, words in cases:
        with pytest.raises(error, match=words):
            ingest(store, frame, ColumnMap("counts", columns))
    with pytest.raises(DeclarationError, match="one of a column, an expression"):
        Take(column="a", sql="b")
    with pytest.raises(DeclarationError, match="either a select, an unpivot or a repeat"):
        ColumnMap("counts", PLAIN, select="SELECT 1", unpivot=Unpivot("a", "b"))
    mapping = ColumnMap(
        "counts", {**PLAIN, "rides": Take(column="n")}, unpivot=Unpivot("city", "n")
    )
    with pytest.raises(DeclarationError, match="named nowhere else"):
        ingest(store, frame.drop(columns=["city", "trips"]), mapping)
    assert not store.folder.exists()


def test_checks_name_the_columns_of_the_table(store):
    frame = pd.DataFrame({"at": HOURS, "city": ["A"] * 3, "trips": [1.0, 2.0, 30.0]})
    spec = replace(CUBE, checks=(Check("more than there are cars", "rides > 20"),))
    report = ingest(store, frame, ColumnMap("counts", PLAIN), spec)
    assert report.quarantined == {"more than there are cars": 1}


def test_how_a_source_is_read_is_its_own_affair(store, rides_table, tmp_path):
    """Zone, forms of times and words for nothing belong to the source; the table stays one."""
    columns = {name: Take(column=name) for name in ("id", "region", "at", "known_at", "fare")}
    first = written(tmp_path, "id,region,at,known_at,fare\n1,A,2025-01-06 01:10,"
                              "2025-01-06 01:30,3\n", "first.csv")  # fmt: skip
    rows = "2,A,06/01/2025 01:10,06/01/2025 01:30,4\n3,A,06/01/2025 01:10,none,4\n"
    second = written(tmp_path, f"id,region,at,known_at,fare\n{rows}", "second.csv")
    form = "%d/%m/%Y %H:%M"
    reports = store.ingest_all(
        [
            Ingestion(rides_table, first, mapping=ColumnMap("first", columns)),
            Ingestion(
                rides_table, second,
                mapping=ColumnMap(
                    "second", columns, zone="Asia/Tokyo", null_text=("", "none"),
                    formats={"at": form, "known_at": form},
                ),
            ),
        ]
    )  # fmt: skip
    assert reports[1].quarantined == {"known_at is missing": 1}
    window = {"start": "2025-01-05T16:00Z", "end": "2025-01-06T01:00Z", "as_of": "2025-02-01"}
    found = store.read(["rides"], **window)["rides"].tensor.tolist()[0]
    assert (found[0], found[9]) == (1.0, 1.0)
    assert store.tables()["rides"].zone == rides_table.zone


def test_a_declaration_is_corrected_where_all_its_sources_are_there(store, tmp_path):
    frame = pd.DataFrame({"at": HOURS, "city": ["A"] * 3, "trips": [1.0, 2.0, 3.0]})
    more = frame.assign(city="B")
    former = store.ingest_all(
        [Ingestion(CUBE, item, mapping=ColumnMap("counts", PLAIN)) for item in (frame, more)]
    )
    assert [report.accepted for report in former] == [3, 3]
    wider = replace(CUBE, quantities=(*CUBE.quantities, CubeQuantity("doubled", "ride/h")))
    columns = {**PLAIN, "doubled": Take(sql="trips * 2")}
    with pytest.raises(DeclarationError, match="all 2 sources .* 1 of them gone or changed"):
        ingest(store, frame, ColumnMap("counts", columns), wider)
    assert "doubled" not in store.metrics()
    again = store.ingest_all(
        [Ingestion(wider, item, mapping=ColumnMap("counts", columns)) for item in (frame, more)]
    )
    assert [report.accepted for report in again] == [3, 3]
    assert rides(store, "doubled") == {"A": [2.0, 4.0, 6.0], "B": [2.0, 4.0, 6.0]}
    store.verify()


def test_a_source_is_looked_at_before_anything_is_declared(tmp_path):
    frame = pd.DataFrame({"at": HOURS, "city": ["A"] * 3, "trips": [1.0, 2.0, 3.0]})
    parquet, text, _ = both(tmp_path, frame)
    text.write_text("counts of March\n\n" + text.read_text())
    found = peek(text)
    assert list(found.columns) == ["at", "city", "trips"]
    assert found.rows["trips"].tolist() == ["1.0", "2.0", "3.0"]
    assert "header in line 3" in found.dialect
    assert peek(parquet).columns == {"at": "VARCHAR", "city": "VARCHAR", "trips": "DOUBLE"}
    assert len(peek(parquet, rows=2).rows) == 2
    with pytest.raises(SourceError, match="no such file"):
        peek(tmp_path / "none.csv")


def test_the_hour_that_clocks_skip_may_be_set_aside(store):
    hours = ["2025-03-09 01:00", "2025-03-09 02:00", "2025-03-09 03:00"]
    frame = pd.DataFrame({"at": hours, "city": ["A"] * 3, "trips": [1.0, 2.0, 3.0]})
    spring = {"start": "2025-03-09T06:00Z", "end": "2025-03-09T07:00Z", "as_of": "2025-04-01"}
    mapping = ColumnMap("counts", PLAIN, zone="America/New_York", nonexistent="set aside")
    report = ingest(store, frame, mapping)
    assert report.quarantined == {"hour is a local time that does not exist": 1}
    assert store.read(["rides"], **spring)["rides"].tensor.tolist() == [[1.0, 3.0]]
    # Both rows of the hour after it contradict each other, where the skipped one counts for it.
    shifted = ingest(store, frame, replace(mapping, nonexistent="shift"))
    assert (shifted.conflicts, shifted.nonexistent) == (2, 0)
