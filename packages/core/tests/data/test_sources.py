"""Sources that are not what they should be: one paragraph, and nothing changes on disk."""

from dataclasses import replace

import pandas as pd
import pytest

from dagcast_core.data import Check, DeclarationError, SourceError, _source


@pytest.fixture
def good(make_rides):
    return make_rides((1, "SFO", 5, 20, 10.0, 1.0))


WANTED = (
    "a Parquet or CSV file with columns id (integers), region (text), at (times), known_at "
    "(times), fare (numbers), wait (numbers)"
)


def refused(store, table, source) -> str:
    with pytest.raises(SourceError) as caught:
        store.ingest(table, source)
    assert not store.folder.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("rides.parquet", b"PK\x03\x04 a zip file", "content that is not Parquet"),
        ("rides.csv", b"PK\x03\x04\x00\x00 a zip file", "a binary file of another format"),
        ("rides.csv", b"", "an empty file"),
    ],
)
def test_other_formats_are_refused(store, rides_table, tmp_path, name, content, found):
    path = tmp_path / name
    path.write_bytes(content)
    assert refused(store, rides_table, path) == (
        f"cannot ingest {name} as 'rides': expected {WANTED}; found {found}. Nothing was changed "
        f"on disk. Write the file again, or give another one."
    )


def test_a_truncated_parquet_file_is_refused(store, rides_table, good, tmp_path):
    path = tmp_path / "rides.parquet"
    good.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "found a damaged Parquet file" in refused(store, rides_table, path)


def test_a_parquet_file_damaged_inside_is_refused(store, rides_table, make_rides, tmp_path):
    path = tmp_path / "rides.parquet"
    make_rides(*((i, "SFO", i % 600, 20, 10.0 + i, 1.0) for i in range(5000))).to_parquet(path)
    content = bytearray(path.read_bytes())
    content[200:4000] = b"\xff" * 3800
    path.write_bytes(content)
    assert "damaged" in refused(store, rides_table, path)


def test_an_absent_file_is_refused(store, rides_table, tmp_path):
    path = tmp_path / "rides.parquet"
    assert f"found no such file at {path}." in refused(store, rides_table, path)
    assert f"found a folder at {tmp_path}." in refused(store, rides_table, tmp_path)


def test_absent_columns_are_named(store, rides_table, good):
    assert refused(store, rides_table, good.drop(columns=["fare", "wait"])) == (
        "cannot ingest a data frame as 'rides': expected columns id (integers), region (text), at "
        "(times), known_at (times), fare (numbers), wait (numbers); found columns 'id', 'region', "
        "'at', 'known_at', without 'fare', 'wait'. Nothing was changed on disk. Rename or add the "
        "columns, or give the file they are in."
    )


def test_columns_of_another_type_are_named(store, rides_table, good):
    bad = good.assign(at=1.5, region=[True])
    assert (
        "found region of type BOOLEAN where text are needed; at of type DOUBLE where times are "
        "needed. Nothing was changed on disk. Convert those columns before writing the file."
    ) in refused(store, rides_table, bad)


def test_a_text_that_is_no_table_is_refused(store, rides_table, tmp_path):
    path = tmp_path / "rides.csv"
    path.write_text("Dear colleague,\nplease find attached the rides of last week.\n")
    assert "found text that is not a CSV table" in refused(store, rides_table, path)


def test_a_refused_source_leaves_a_filled_store_as_it_was(filled, rides_table, good, tmp_path):
    before = {p: p.read_bytes() for p in filled.folder.rglob("*") if p.is_file()}
    with pytest.raises(SourceError):
        filled.ingest(rides_table, good.drop(columns="fare"))
    assert {p: p.read_bytes() for p in filled.folder.rglob("*") if p.is_file()} == before


def test_sql_that_does_not_fit_the_columns_is_the_declaration_s_fault(store, rides_table, good):
    table = replace(rides_table, checks=(Check("cheap", "fair < 1"),))
    with pytest.raises(DeclarationError, match="SQL expressions over the declared columns"):
        store.ingest(table, good)
    assert not store.folder.exists()


def test_an_unknown_dim_of_labels_is_refused(store, rides_table, good):
    with pytest.raises(DeclarationError, match="expected dims out of region"):
        store.ingest(rides_table, good, labels={"zone": ["SFO"]})


def test_times_to_the_nanosecond_are_read(store, rides_table, make_rides, tmp_path):
    """As pandas writes them, where seconds were added as a fraction."""
    rides = make_rides((1, "SFO", 5, 20, 10.0, 1.0), (2, "SFO", 65, 20, 10.0, 1.0))
    exact = rides.assign(at=rides["at"].dt.as_unit("ns") + pd.Timedelta(nanoseconds=1500))
    exact.to_parquet(tmp_path / "rides.parquet")
    report = store.ingest(rides_table, tmp_path / "rides.parquet")
    assert (report.accepted, report.quarantined) == (2, {})
    start = rides["at"].min().floor("h")
    read = store.read(["rides"], start=start, end=start + pd.Timedelta(hours=1), as_of="2030-01-01")
    assert read["rides"].tensor.tolist() == [[1.0, 1.0]]


def test_extra_columns_are_ignored(store, rides_table, good):
    assert store.ingest(rides_table, good.assign(note="hello", at2=pd.NaT)).accepted == 1


def test_parquet_file_of_more_rows_than_a_machine_holds_is_refused(
    store, rides_table, tmp_path, good, monkeypatch
):
    """Some kilobytes can say that they are a thousand million rows; none of them is expanded."""
    path = tmp_path / "rides.parquet"
    pd.concat([good] * 3).to_parquet(path)
    monkeypatch.setattr(_source, "MOST_ROWS", 2)
    found = refused(store, rides_table, path)
    assert "expected at most 2 rows in one Parquet file; found 3. Nothing was changed" in found
