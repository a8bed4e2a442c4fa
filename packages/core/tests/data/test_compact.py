"""Many loads in few files: the same bits, whatever becomes of the copies."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from dagcast_core.data import Ingestion, MetricStore, StoreError
from dagcast_core.data._compact import FILES, LOADS, key_files, ledger_files
from dagcast_core.data._manifest import read_manifest

WINDOW = {"start": "2025-01-06T00:00Z", "end": "2025-01-16T23:00Z"}


@pytest.fixture
def loads(rides_table, make_rides):
    """Loads of an hour each, with corrections that are known later."""

    def make(count):
        return [
            make_rides(
                *(
                    (100 * n + i, ("SFO", "OAK")[i % 2], 60 * n + i, 20, 1.0 + i, i)
                    for i in range(6)
                )
            )
            for n in range(count)
        ]

    return make


def files(store, table="rides"):
    return ledger_files(store.folder, read_manifest(store.folder), table)


def bits(store, as_of="2100-01-01"):
    panel = store.read(["rides", "revenue", "wait"], **WINDOW, as_of=as_of, cache=False)
    return [panel[name].tensor.numpy().copy() for name in panel]


def same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_loads_read_as_one_does(store, tmp_path, rides_table, loads):
    rides = loads(LOADS + 3)
    for load in rides:
        store.ingest(rides_table, load)
    # One merged file, and the loads since.
    assert len(files(store)) == 1 + 3
    whole = MetricStore(tmp_path / "whole")
    whole.ingest(rides_table, pd.concat(rides, ignore_index=True))
    for as_of in ("2100-01-01", "2025-01-06T07:00Z"):
        same(bits(store, as_of), bits(whole, as_of))
    assert store.spans()["rides"].start == whole.spans()["rides"].start
    store.verify()


def test_merged_files_are_merged_again(store, rides_table, loads):
    rides = loads(LOADS * FILES)
    for place in range(0, len(rides), LOADS):
        store.ingest_all([Ingestion(rides_table, load) for load in rides[place : place + LOADS]])
    assert len(files(store)) == 1
    assert np.nansum(bits(store)[0]) == 6 * len(rides)


def test_the_copies_may_be_lost_or_damaged(store, rides_table, loads):
    for load in loads(LOADS):
        store.ingest(rides_table, load)
    expected = bits(store)
    (merged,) = files(store)
    content = bytearray(merged.read_bytes())
    content[len(content) // 2] ^= 1
    merged.write_bytes(content)
    # What is not as it was written is not read.
    assert len(files(store)) == LOADS
    same(bits(store), expected)
    with pytest.raises(StoreError, match="compacted/rides-1.parquet"):
        store.verify()
    (store.folder / "compacted" / "index.json").write_text("{")
    same(bits(store), expected)
    shutil.rmtree(store.folder / "compacted")
    same(bits(store), expected)
    store.verify()


def test_what_is_no_longer_in_the_store_is_not_read_from_a_copy(store, rides_table, loads):
    rides = loads(LOADS)
    for load in rides:
        store.ingest(rides_table, load)
    assert len(files(store)) == 1
    # The same source under other options takes the place of what it gave before.
    store.ingest(rides_table, rides[0], labels={"region": ["SFO"]})
    # The copy that held it is let go, and another one made of what counts.
    (merged,) = files(store)
    assert merged.name == "rides-2.parquet"
    assert np.nansum(bits(store)[0]) == 6 * LOADS - 3
    index = json.loads((store.folder / "compacted" / "index.json").read_text())
    assert [entry["file"] for entry in index["rides"]] == ["rides-2.parquet"]
    store.verify()


def test_a_load_is_compared_with_few_files_and_finds_all_repeats(store, rides_table, loads):
    rides = loads(LOADS + 3)
    for load in rides[:-1]:
        store.ingest(rides_table, load)
    kept = key_files(store.folder, read_manifest(store.folder), "rides")
    assert len(kept) == 1 + 2
    # An old row as it was, another with other content, in one file with the new rows.
    told = rides[2].iloc[[0, 1]].copy()
    told.loc[told.index[1], "fare"] += 1.0
    mixed = pd.concat([told, rides[-1]], ignore_index=True)
    report = store.ingest(rides_table, mixed)
    assert (report.accepted, report.duplicates, report.conflicts) == (6, 1, 1)
    store.verify()
    kept[0].write_bytes(kept[0].read_bytes()[:-9])
    # A damaged copy costs time alone.
    again = pd.concat([rides[3].iloc[[0]], rides[0].iloc[[1]]], ignore_index=True)
    assert store.ingest(rides_table, again).duplicates == 2


def test_no_copy_is_written_or_read_through_a_link(store, tmp_path, rides_table, loads):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rides = loads(LOADS + 1)
    for load in rides[:-1]:
        store.ingest(rides_table, load)
    before = bits(store)
    copies = store.folder / "compacted"
    # Merged copies, and an index that says so, brought in from outside.
    copies.rename(elsewhere / "compacted")
    copies.symlink_to(elsewhere / "compacted")
    same(bits(store), before)
    assert len(files(store)) == LOADS
    held = sorted(p.name for p in (elsewhere / "compacted").iterdir())
    store.ingest(rides_table, rides[-1])
    assert sorted(p.name for p in (elsewhere / "compacted").iterdir()) == held
