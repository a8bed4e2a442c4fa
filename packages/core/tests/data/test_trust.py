"""Stores in odd places and stores that somebody changed: the right rows, or a refusal in words."""

import json
import os
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dagcast_core.data import MetricStore, StoreError

DAY = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}
PLACES = ("region=SFO", "known_at=2020-01-01", "a?b", "a*b", "x[1]y", "it's {here}", "é")


def revenue(store: MetricStore, **options) -> np.ndarray:
    return store.read(["revenue"], **{**DAY, **options})["revenue"].tensor.numpy()


@pytest.fixture
def good(make_rides):
    return make_rides((1, "SFO", 5, 20, 10.0, 1.0), (2, "OAK", 5, 20, 7.0, 1.0))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_names_of_folders_change_no_row(tmp_path, rides_table, good, name, suffix):
    folder, neighbour = tmp_path / name, tmp_path / "a1b"
    for place, factor in ((neighbour, 100), (folder, 1)):
        place.mkdir(exist_ok=True)
        rides = good.assign(fare=good["fare"] * factor)
        path = place / f"rides.{suffix}"
        rides.to_parquet(path) if suffix == "parquet" else rides.to_csv(path, index=False)
    store = MetricStore(folder / "store")
    store.ingest(rides_table, folder / f"rides.{suffix}")
    store.ingest(rides_table, good.assign(id=[3, 4]))
    assert store.labels()["region"] == ("OAK", "SFO")
    np.testing.assert_array_equal(revenue(store)[:, 0], [14.0, 20.0])
    assert store.spans()["rides"].rows == 4


@pytest.mark.parametrize("name", PLACES)
def test_a_store_moved_elsewhere_is_the_same_store(tmp_path, filled, name):
    before = revenue(filled)
    shutil.copytree(filled.folder, tmp_path / name / "store")
    moved = MetricStore(tmp_path / name / "store")
    moved.verify()
    np.testing.assert_array_equal(revenue(moved, cache=False), before)


def test_a_store_without_its_manifest_is_damaged_and_left_alone(filled, rides_table, good):
    manifest = filled.folder / "store.json"
    content = manifest.read_bytes()
    manifest.unlink()
    before = sorted(path for path in filled.folder.rglob("*") if path.is_file())
    for act in (
        lambda: filled.ingest(rides_table, good),
        lambda: revenue(filled),
        lambda: filled.define(),
        filled.verify,
        filled.metrics,
    ):
        with pytest.raises(StoreError, match=r"without it\. Nothing was removed\."):
            act()
    assert [p for p in before if not p.exists()] == []
    manifest.write_bytes(content)
    filled.verify()


def test_an_older_manifest_removes_nothing(filled, rides_table, good):
    manifest = filled.folder / "store.json"
    older = manifest.read_bytes()
    filled.ingest(rides_table, good.assign(id=[31, 32]))
    newer = manifest.read_bytes()
    ledgers = sorted((filled.folder / "ledgers").rglob("*.parquet"))
    manifest.write_bytes(older)
    with pytest.raises(StoreError, match="an older store.json was put in place of a newer one"):
        filled.verify()
    filled.ingest(rides_table, good.assign(id=[41, 42]))
    assert all(path.exists() for path in ledgers)
    manifest.write_bytes(newer)
    assert revenue(filled, cache=False)[1, 0] == 40.0


def test_a_lock_that_is_no_plain_file_is_refused(tmp_path, filled, rides_table, good):
    victim = tmp_path / "victim"
    victim.write_text("do not touch")
    lock = filled.folder / ".lock"

    def link() -> None:
        lock.symlink_to(victim)

    def dangling() -> None:
        lock.symlink_to(tmp_path / "nowhere")

    def pipe() -> None:
        os.mkfifo(lock)

    for plant in (link, dangling, pipe, lock.mkdir):
        lock.rmdir() if lock.is_dir() and not lock.is_symlink() else lock.unlink(missing_ok=True)
        plant()
        with pytest.raises(StoreError, match=r"expected a plain file \.lock"):
            filled.ingest(rides_table, good)
    assert victim.read_text() == "do not touch"
    assert not (tmp_path / "nowhere").exists()


def test_a_list_of_leftovers_reaches_nothing_but_leftovers(tmp_path, filled, rides_table, good):
    victim = tmp_path / "victim.parquet"
    victim.write_text("mine")
    ledger = next((filled.folder / "ledgers").rglob("*.parquet"))
    names = ["../victim.parquet", str(victim), "store.json", ledger.relative_to(filled.folder)]
    (filled.folder / ".pending").write_text("".join(f"{name}\n" for name in names))
    filled.ingest(rides_table, good.assign(id=[31, 32]))
    assert victim.exists()
    filled.verify()


def times(path: Path, factor: float) -> None:
    """Replaces a ledger by a valid one with other sums."""
    other = path.with_suffix(".new")
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (CAST(fare * {factor} AS DECIMAL(38, 9)) AS fare) "
            f"FROM '{path}') TO '{other}' (FORMAT parquet, COMPRESSION zstd)"
        )
    other.replace(path)


@pytest.mark.parametrize("factor", [3, 1.01, -1])
def test_a_ledger_replaced_by_a_valid_one_is_refused(filled, factor):
    ledger = next((filled.folder / "ledgers" / "rides").glob("*.parquet"))
    stamp = ledger.stat()
    times(ledger, factor)
    os.utime(ledger, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    for act in (lambda: revenue(filled), filled.spans, lambda: filled.verify(deep=False)):
        with pytest.raises(StoreError, match=f"expected ledgers/rides/{ledger.name}"):
            act()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_byte_of_a_large_file_is_seen_by_the_deep_check(store, rides_table, make_rides, place):
    rng = np.random.default_rng(100)
    rows = [(i, f"R{i % 400}", int(rng.integers(40_000)), 20, float(rng.random()), 1.0)
            for i in range(60_000)]  # fmt: skip
    store.ingest(rides_table, make_rides(*rows))
    ledger = next((store.folder / "ledgers" / "rides").glob("*.parquet"))
    content = bytearray(ledger.read_bytes())
    assert len(content) > 262_144
    content[int(len(content) * place)] ^= 1
    ledger.write_bytes(content)
    with pytest.raises(StoreError, match=f"expected ledgers/rides/{ledger.name}"):
        store.verify(deep=True)


@pytest.mark.parametrize("change", [lambda v: v * 10, lambda v: v + 1e-9, lambda v: v.flip(0)])
def test_a_cached_cube_that_was_changed_is_not_read(filled, change):
    fresh = revenue(filled)
    (path,) = (filled.folder / "cache").glob("*.safetensors")
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
    save_file({k: change(v).clone() for k, v in load_file(path).items()}, path, metadata)
    for deep in (False, True):
        with pytest.raises(StoreError, match="cached cubes as they were written"):
            filled.verify(deep=deep)
    np.testing.assert_array_equal(revenue(filled), fresh)
    filled.verify()


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "os.open", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("new", [True, False])
def test_a_disk_that_is_full_leaves_the_store_as_it_was(
    tmp_path, filled, rides_table, good, monkeypatch, call, new
):
    store = MetricStore(tmp_path / "new") if new else filled
    before = {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()}

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(call, full)
        with pytest.raises(StoreError, match="No space left on device") as caught:
            store.ingest(rides_table, good.assign(id=[31, 32]))
    assert "\n" not in str(caught.value)
    left = {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()}
    assert {p: c for p, c in left.items() if p.name != ".lock"} == {
        p: c for p, c in before.items() if p.name != ".lock"
    }
    assert store.ingest(rides_table, good.assign(id=[31, 32])).accepted == 2
    store.verify()


@pytest.mark.parametrize("place", ["store.json", "ledgers/rides/*", "cache/*"])
def test_a_pipe_in_place_of_a_file_does_not_hang(filled, place):
    """Whoever opens one waits for a writer that never comes."""
    fresh = revenue(filled)
    path = next(filled.folder.glob(place))
    path.unlink()
    os.mkfifo(path)
    if place.startswith("cache"):
        with pytest.raises(StoreError, match="cached cubes"):
            filled.verify()
        np.testing.assert_array_equal(revenue(filled), fresh)
        return
    for act in (lambda: revenue(filled, cache=False), filled.verify):
        with pytest.raises(StoreError, match=r"no plain file|found (no file|0 bytes)"):
            act()


@pytest.mark.parametrize("kind", ["ledgers", "ledgers/rides", "keys/rides", "quarantine"])
def test_nothing_is_written_through_a_link_in_the_store(tmp_path, store, rides_table, good, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = store.folder / kind
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)
    wrong = good.assign(region=["SFO", ""])
    with pytest.raises(StoreError, match=f"a folder of its own at {place}; found a link"):
        store.ingest(rides_table, wrong)
    assert not any(elsewhere.iterdir())
    place.unlink()
    assert store.ingest(rides_table, wrong).accepted == 1


@pytest.mark.parametrize("path", ["../victim.parquet", "/etc/passwd", "ledgers/rides/../../x"])
def test_a_manifest_that_names_files_elsewhere_is_refused(filled, path):
    manifest = filled.folder / "store.json"
    document = json.loads(manifest.read_text())
    document["batches"][0]["ledger"]["path"] = path
    manifest.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="is no file of a store"):
        revenue(filled)


def test_what_killed_writers_left_goes_with_the_next(tmp_path, filled, rides_table, good):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    places = [filled.folder, filled.folder / "cache", filled.folder / "compacted"]
    left = [place / name for place in places for name in (".tmp-1-store.json", ".tmp-link")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(victim) if path.name.endswith("link") else path.write_text("half")
    filled.ingest(rides_table, good.assign(id=[51, 52]))
    assert not any(path.is_symlink() or path.exists() for path in left)
    assert victim.read_text() == "mine"


def test_unfinished_files_have_names_that_nobody_guesses(filled):
    """Else a link that waits under the name would be written through."""
    from dagcast_core.data._manifest import draft

    names = {draft(filled.folder, "store.json").name for _ in range(20)}
    assert len(names) == 20
    assert all(str(os.getpid()) != name.split("-")[1] for name in names)
