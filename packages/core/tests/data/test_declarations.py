"""Declarations: what they refuse, and the SQL that comes of them."""

from dataclasses import replace

import pytest
import sqlglot

from dagcast_core.data import (
    Column,
    DeclarationError,
    EventTable,
    LinearMetric,
    MetricSpec,
    Sum,
    UnknownMetricError,
    ledger_sql,
)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"time": "when"}, "time='when' is not a declared column of kind 'instant'"),
        ({"time": "fare"}, "time='fare' is not a declared column of kind 'instant'"),
        ({"dims": {"region": "fare"}}, "reads 'fare', which is not a declared text column"),
        ({"key": ("ride",)}, "key column 'ride' is not declared"),
        ({"zone": "Mars/Olympus"}, "no such zone"),
        ({"revision": "latest"}, "values that replace one another have no gaps"),
        ({"same_key": "sum"}, "same_key is 'sum', not 'conflict' or 'add'"),
        ({"known_at": None, "foreseeable": True}, "a foreseeable table needs a known_at column"),
        ({"sums": (Sum("n", "1"),)}, "component name 'n' is reserved"),
        ({"metrics": (MetricSpec("x", "fares", "USD"),)}, "reads 'fares', which is no component"),
        (
            {"metrics": (MetricSpec("x", "fare", "USD", dims=("hour",)),)},
            "metric 'x' has dims ('hour',), but the table has ('region', 'hour')",
        ),
        ({"metrics": (MetricSpec("x", "fare", "USD", divisor=0),)}, "divisor 0, not above 0"),
        ({"name": "my rides"}, "is not letters, digits and underscores"),
        ({"empty": "missing", "like": "shifts"}, "like='shifts' says where absence means zero"),
    ],
)
def test_inconsistent_declarations_are_refused(rides_table, change, problem):
    with pytest.raises(DeclarationError) as caught:
        replace(rides_table, **change)
    assert problem in str(caught.value)
    assert str(caught.value).endswith("Correct the declaration.")


def test_all_problems_are_named_at_once(rides_table):
    with pytest.raises(DeclarationError) as caught:
        replace(rides_table, time="when", key=("ride",))
    assert "'when'" in str(caught.value)
    assert "'ride'" in str(caught.value)


def test_unknown_kinds_are_refused():
    with pytest.raises(DeclarationError, match="found 'float'"):
        Column("fare", "float")


def test_declarations_survive_json(rides_table, shifts_table, weather_table):
    for table in (rides_table, shifts_table, weather_table):
        assert EventTable.from_json(table.to_json()) == table


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery", "snowflake", "spark", "postgres"])
def test_ledgers_can_be_made_elsewhere(rides_table, weather_table, dialect):
    for table in (rides_table, weather_table):
        statement = ledger_sql(table, dialect)
        assert sqlglot.parse_one(statement, read=dialect).find(sqlglot.exp.Select)
        assert "known_at" in statement
    assert "GROUP BY" in ledger_sql(rides_table, dialect)


def test_bigquery_sums_what_it_calls_numeric(rides_table):
    assert "SUM(CAST(fare AS NUMERIC))" in ledger_sql(rides_table, "bigquery")


def test_interval_ledger_runs_as_published(store, shifts_table, tmp_path):
    import duckdb
    import pandas as pd

    times = pd.to_datetime(["2025-01-06 00:45", "2025-01-06 02:15", "2025-01-06 03:00"])
    row = {"region": "SFO", "on_at": times[0], "off_at": times[1], "known_at": times[2]}
    store.ingest(shifts_table, pd.DataFrame([row]))
    with duckdb.connect() as warehouse:
        warehouse.register("shifts", pd.DataFrame([row]))
        rows = warehouse.execute(store.sql("shifts")).fetchall()
    assert [float(found[-1]) / 3.6e9 for found in rows] == [0.25, 1.0, 0.25]


def test_an_unknown_dialect_or_table_is_refused(filled, rides_table):
    with pytest.raises(DeclarationError, match="Use for example 'bigquery'"):
        ledger_sql(rides_table, "cobol")
    with pytest.raises(UnknownMetricError, match="Did you mean 'rides'"):
        filled.sql("ride")


def test_derived_metrics_need_known_plain_terms(filled):
    with pytest.raises(UnknownMetricError, match="no metric 'spend'"):
        filled.define(LinearMetric("profit", "USD/h", {"revenue": 1.0, "spend": -1.0}))
    with pytest.raises(DeclarationError, match="found it in table 'rides' already"):
        filled.define(LinearMetric("wait", "min", {"revenue": 1.0}))
    filled.define(LinearMetric("double", "USD/h", {"revenue": 2.0}))
    with pytest.raises(DeclarationError, match="which is derived itself"):
        filled.define(LinearMetric("quadruple", "USD/h", {"double": 2.0}))
    wide = LinearMetric("wide", "USD/h", {"revenue": 1.0}, ("incentive", "region", "hour"))
    with pytest.raises(DeclarationError, match="Remove incentive"):
        filled.define(wide)
    assert list(filled.metrics()) == ["double", "revenue", "rides", "wait"]
