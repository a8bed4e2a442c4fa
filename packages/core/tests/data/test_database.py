"""Rows of databases as sources: a DuckDB file, PostgreSQL by ADBC, and any DB-API driver."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import (
    ColumnMap,
    CubeQuantity,
    CubeTable,
    DatabaseRows,
    DeclarationError,
    Ingestion,
    MetricStore,
    SourceError,
    Take,
)

HOURS = pd.date_range("2025-01-06", periods=3, freq="h", unit="us")
WINDOW = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-02-01"}
CUBE = CubeTable(
    name="counts",
    time="hour",
    dims={"region": "region"},
    quantities=(CubeQuantity("trips", "ride/h"),),
    absent="missing",
    known_lag_hours=1.0,
)
TO_CUBE = ColumnMap(
    "counts",
    {"hour": Take(column="at_hour"), "region": Take(column="city"), "trips": Take(sql="n * 2")},
)
TO_RIDES = ColumnMap(
    "trips",
    {
        "id": Take(column="id"), "region": Take(column="city"), "at": Take(column="started"),
        "fare": Take(sql="cents / 100"), "wait": Take(column="wait"),
    },
    known_lag_hours=0.0,
)  # fmt: skip


def cells():
    return pd.DataFrame(
        {"at_hour": [*HOURS, HOURS[0]], "city": ["A", "A", "A", "B"], "n": [1.0, 2.5, None, 4.0]}
    )


def events(rows=200):
    """Trips with some that cannot be right: a free one, and one that is there twice."""
    number = np.arange(rows)
    frame = pd.DataFrame(
        {
            "id": number,
            "city": np.where(number % 3 == 0, "A", "B"),
            "started": HOURS[0] + pd.to_timedelta(number * 37 % 180, unit="min"),
            "cents": (number * 13 % 900 + 100).astype(float),
            "wait": number % 11 * 1.0,
        }
    )
    frame.loc[5, "cents"] = 0.0
    return pd.concat([frame, frame.iloc[[7]]], ignore_index=True)


def both(store, rides_table, cube_rows, event_rows):
    """Ingests cells and events, and returns every count and every value."""
    plain = replace(rides_table, late_after_hours=24)
    reports = store.ingest_all(
        [
            Ingestion(CUBE, cube_rows, mapping=TO_CUBE),
            Ingestion(plain, event_rows, mapping=TO_RIDES),
        ]
    )
    panel = store.read(["trips", "rides", "revenue", "wait"], **WINDOW)
    counts = [(r.read, r.accepted, r.duplicates, dict(r.quarantined)) for r in reports]
    return counts, {name: panel[name].tensor.numpy() for name in panel}


def same(found, expected):
    assert found[0] == expected[0]
    for name, values in expected[1].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)


@pytest.fixture
def expected(tmp_path, rides_table):
    """What the same rows give as frames."""
    found = both(MetricStore(tmp_path / "frames"), rides_table, cells(), events())
    assert found[0][1] == (201, 199, 1, {"free ride": 1})
    return found


def test_a_duckdb_file_gives_what_its_rows_give(store, tmp_path, rides_table, expected):
    path = tmp_path / "lake.duckdb"
    frames = {"cells": cells(), "events": events()}
    with duckdb.connect(str(path)) as connection:
        for name, frame in frames.items():
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
    read = both(
        store, rides_table,
        DatabaseRows(relation="main.cells", path=path),
        DatabaseRows(query="SELECT * FROM events ORDER BY random();", path=path),
    )  # fmt: skip
    same(read, expected)
    # In whatever order the rows come, the source is known again.
    again = Ingestion(CUBE, DatabaseRows(relation="main.cells", path=path), mapping=TO_CUBE)
    assert store.ingest_all([again])[0].unchanged
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO cells VALUES ('2025-01-06 02:00', 'B', 9)")
    (report,) = store.ingest_all([again])
    assert (report.accepted, report.duplicates) == (1, 4)


def test_postgresql_gives_what_duckdb_gives(store, rides_table, expected, postgres):
    pytest.importorskip("adbc_driver_postgresql", reason="no ADBC driver of PostgreSQL here")
    import adbc_driver_postgresql.dbapi

    with adbc_driver_postgresql.dbapi.connect(postgres) as connection:
        with connection.cursor() as cursor:
            import pyarrow as pa

            cursor.adbc_ingest("cells", pa.Table.from_pandas(cells(), preserve_index=False))
            cursor.adbc_ingest("events", pa.Table.from_pandas(events(), preserve_index=False))
        connection.commit()
    reach = {
        "driver": "adbc_driver_postgresql.dbapi",
        "arguments": {"uri": postgres},
        "dialect": "postgres",
    }
    read = both(
        store, rides_table,
        DatabaseRows(relation="public.cells", **reach),
        DatabaseRows(query="SELECT * FROM events ORDER BY random()", **reach),
    )  # fmt: skip
    same(read, expected)
    with pytest.raises(SourceError, match="nowhere") as caught:
        store.ingest_all(
            [Ingestion(CUBE, DatabaseRows(relation="nowhere", **reach), mapping=TO_CUBE)]
        )
    assert postgres not in str(caught.value)


def test_a_driver_of_rows_will_do(store, tmp_path, rides_table, expected):
    path = tmp_path / "lite.db"
    with sqlite3.connect(path) as connection:
        cells().astype({"at_hour": str}).to_sql("cells", connection, index=False)
        events().astype({"started": str}).to_sql("events", connection, index=False)
    reach = {"driver": "closing_sqlite", "arguments": {"database": str(path)}}
    reach["dialect"] = "sqlite"
    read = both(
        store, rides_table,
        DatabaseRows(relation="cells", **reach), DatabaseRows(relation="events", **reach),
    )  # fmt: skip
    same(read, expected)


@pytest.fixture(autouse=True)
def closing_sqlite(monkeypatch):
    """A DB-API driver whose connections and cursors close as the standard says."""
    import sys
    from contextlib import closing
    from types import ModuleType

    class Connection:
        def __init__(self, connection):
            self._connection = connection

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self._connection.close()

        def cursor(self):
            return closing(self._connection.cursor())

    module = ModuleType("closing_sqlite")
    module.connect = lambda database: Connection(sqlite3.connect(database))
    monkeypatch.setitem(sys.modules, "closing_sqlite", module)


def test_what_cannot_be_reached_is_said_in_a_sentence(store, tmp_path):
    (tmp_path / "text.duckdb").write_text("no database")
    cases = [
        (DatabaseRows(relation="t", path=tmp_path / "none.duckdb"), "no such file at"),
        (DatabaseRows(relation="t", path=tmp_path / "text.duckdb"), "Correct the declaration"),
        (DatabaseRows(relation="t", driver="no_such_driver"), "no such module"),
    ]
    for source, words in cases:
        with pytest.raises(SourceError, match=words):
            store.ingest_all([Ingestion(CUBE, source, mapping=TO_CUBE)])
    with pytest.raises(DeclarationError, match="either a relation or a query"):
        DatabaseRows(path=tmp_path / "a.duckdb")
    with pytest.raises(DeclarationError, match="either the path of a DuckDB file or a driver"):
        DatabaseRows(relation="t")
    with pytest.raises(DeclarationError, match="a dialect that sqlglot knows"):
        DatabaseRows(relation="t", path=tmp_path / "a.duckdb", dialect="klingon").statement()
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("dialect", "statement"),
    [
        ("duckdb", 'SELECT "at", "n" FROM lake.public.cells'),
        ("postgres", 'SELECT "at", "n" FROM lake.public.cells'),
        ("bigquery", "SELECT `at`, `n` FROM lake.public.cells"),
        ("mysql", "SELECT `at`, `n` FROM lake.public.cells"),
    ],
)
def test_the_one_select_is_written_for_any_warehouse(dialect, statement):
    rows = DatabaseRows(relation="lake.public.cells", driver="any", dialect=dialect)
    assert rows.statement(["at", "n"]) == statement


@pytest.fixture(scope="module")
def postgres():
    """A PostgreSQL server of this test's own, on a socket in a folder that is removed."""
    programs = ("initdb", "pg_ctl")
    found = [shutil.which(name) for name in programs]
    if not all(found):
        pytest.skip("no PostgreSQL here: initdb and pg_ctl are not in the path")
    # The server refuses to run as root.
    user = {} if os.geteuid() else {"user": "nobody", "group": "nogroup"}
    with tempfile.TemporaryDirectory(prefix="dagcast-pg-", dir="/tmp") as folder:
        if user:
            shutil.chown(folder, **user)
        data = Path(folder) / "data"

        def run(*command):
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=120, check=False,
                env={**os.environ, "LC_ALL": "C"}, **user,
            )  # fmt: skip
            if done.returncode:
                pytest.skip(f"PostgreSQL does not start here: {done.stderr.strip()[-300:]}")

        run("initdb", "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-c listen_addresses= -k {folder} -F"
        log = str(Path(folder) / "log")
        run("pg_ctl", "-D", str(data), "-o", options, "-l", log, "-w", "start")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run(
                ("pg_ctl", "-D", str(data), "-m", "immediate", "stop"),
                cwd=folder, capture_output=True, timeout=60, check=False, **user,
            )  # fmt: skip


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM read_csv('{}')", "SELECT * FROM '{}'", "FROM counts, read_text('{}')",
     "FROM counts) TO '{}' (FORMAT csv); COPY (FROM counts",
     "FROM read_csv('{}') UNION FROM counts",
     "FROM counts); SET enable_external_access = true; COPY (FROM '{}'"],
)  # fmt: skip
def test_a_query_of_a_duckdb_file_reads_and_writes_no_other(store, tmp_path, query):
    path, victim = tmp_path / "city.duckdb", tmp_path / "secret.csv"
    content = "at_hour,city,n\n2025-01-06 00:00:00,A,1\n"
    victim.write_text(content)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE counts AS SELECT * FROM read_csv(?)", [str(victim)])
    rows = DatabaseRows(query=query.format(victim), path=path)
    with pytest.raises(SourceError):
        store.ingest_all([Ingestion(CUBE, rows, mapping=TO_CUBE)])
    assert victim.read_text() == content
    assert not store.folder.exists()
