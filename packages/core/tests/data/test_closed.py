"""SQL of declarations reads the rows of their source and nothing else."""

from dataclasses import replace

import pandas as pd
import pytest

from dagcast_core.data import Check, ColumnMap, DeclarationError, MetricStore, Sum, Take
from dagcast_core.data._closed import require_closed
from dagcast_core.data._source import connect

ELSEWHERE = {
    "a file by a function": ("(SELECT COUNT(*) FROM read_csv('{0}')) > 9", "the function read_csv"),
    "its text": ("(SELECT content FROM read_text('{0}')) = 'a'", "the function read_text"),
    "a file as a table": ("EXISTS (SELECT 1 FROM '{0}')", "the table /"),
    "what lies in a folder": ("EXISTS (FROM glob('{0}'))", "the function glob"),
    "SQL that is a text": ("EXISTS (FROM query('FROM x'))", "the function query"),
    "the tables of the database": ("EXISTS (FROM information_schema.tables)", "the table info"),
    "a second statement": ("TRUE); COPY (SELECT 1) TO '{0}", "found "),
    "what a comment hides": ("1) FROM read_csv('{0}') --", "found "),
    "a SELECT that closes the first": ("1) FROM read_csv('{0}') WHERE (TRUE", "function read_csv"),
    "below a name of its own": ("EXISTS (WITH t AS (FROM glob('{0}')) FROM t)", "function glob"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ELSEWHERE)
@pytest.mark.parametrize("field", ["checks", "remarks", "sums"])
def test_expression_that_reads_elsewhere_is_refused(kind, field, rides_table, make_rides, tmp_path):
    victim = tmp_path / "secret.csv"
    victim.write_text("a\n1\n")
    sql, found = ELSEWHERE[kind]
    sql = sql.replace("{0}", str(victim))
    entry = Sum("fares", sql) if field == "sums" else Check("odd", sql)
    table = replace(rides_table, metrics=rides_table.metrics[:1], **{field: (entry,)})
    with pytest.raises(DeclarationError, match=found):
        MetricStore(tmp_path / "store").ingest(table, make_rides(("1", "SFO", 7, 20, 1.0, 1.0)))
    assert victim.read_text() == "a\n1\n"
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "select",
    ["SELECT * FROM source, read_csv('x.csv')", "SELECT * FROM 'x.parquet'", "FROM frame",
     "SELECT * FROM source; ATTACH 'x.db'", "DESCRIBE source", "SUMMARIZE source"],
)  # fmt: skip
def test_select_that_reads_elsewhere_is_refused(select, rides_table):
    frame = pd.DataFrame({"a": [1]})
    mapping = ColumnMap("rides", {"region": Take(column="r")}, select=select)
    with pytest.raises(DeclarationError), connect() as connection:
        require_closed(connection, rides_table, mapping)
    assert len(frame) == 1


@pytest.mark.parametrize(
    "select",
    ["SELECT * FROM source", "from SOURCE;", "SELECT unnest([1, 2]) AS n, * FROM source",
     "WITH a AS (SELECT 1 AS k), b AS (FROM a) SELECT * FROM source, b, range(3)",
     "FROM source PIVOT (sum(n) FOR region IN ('OAK'))",
     "SELECT * FROM (VALUES (1)) AS t(x) -- all"],
)  # fmt: skip
def test_select_over_the_source_is_taken(select, rides_table):
    with connect() as connection:
        require_closed(connection, rides_table, ColumnMap("rides", {}, select=select))


def test_variable_of_the_program_is_no_table():
    frame = pd.DataFrame({"a": [1]})
    with connect() as connection, pytest.raises(Exception, match="frame does not exist"):
        connection.execute("SELECT * FROM frame")
    assert len(frame) == 1
