"""Hot cubes: the same bits, from a mapped file, for as long as the store is the same."""

import fcntl
from pathlib import Path

import numpy as np
import pytest

from dagcast_core.data import _cache

DAY = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}


def bits(store, **options) -> list[bytes]:
    panel = store.read(["wait", "rides"], **{**DAY, **options})
    return [panel[name].tensor.numpy().tobytes() for name in panel]


def files(store):
    return sorted((store.folder / "cache").glob("*.safetensors"))


def test_cached_bits_are_the_bits(filled):
    fresh = bits(filled, cache=False)
    assert not files(filled)
    assert bits(filled) == fresh
    assert len(files(filled)) == 1
    assert bits(filled) == fresh
    assert len(files(filled)) == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
def test_cached_cubes_are_mapped_not_copied(filled):
    bits(filled)
    panel = filled.read(["wait", "rides"], **DAY)
    assert str(files(filled)[0]) in Path("/proc/self/maps").read_text()
    assert panel["rides"].tensor.sum().isnan()


def test_the_cache_is_what_is_read(filled, monkeypatch):
    first = bits(filled)
    monkeypatch.setattr("dagcast_core.data._store.Reader", None)
    assert bits(filled) == first
    # The order of names does not matter to it.
    panel = filled.read(["rides", "wait"], **DAY)
    assert list(panel) == ["rides", "wait"]


def test_another_moment_range_or_order_of_regions_is_another_cube(filled):
    bits(filled)
    bits(filled, as_of="2025-01-06T02:00Z")
    bits(filled, end="2025-01-06T02:00Z")
    bits(filled, labels={"region": ["SFO", "OAK"]})
    assert len(files(filled)) == 4


def test_a_new_source_makes_old_cubes_unreachable(filled, rides_table, make_rides):
    before = bits(filled)
    filled.ingest(rides_table, make_rides((99, "SFO", 5, 20, 10.0, 1.0)))
    assert bits(filled) != before
    assert bits(filled) == bits(filled, cache=False)


def test_a_damaged_cube_is_computed_anew(filled):
    fresh = bits(filled)
    path = files(filled)[0]
    path.write_bytes(path.read_bytes()[:100])
    assert bits(filled) == fresh
    path.write_bytes(b"")
    assert bits(filled) == fresh


def test_changing_a_read_tensor_in_place_does_not_reach_the_cache(filled):
    first = bits(filled)
    mapped = filled.read(["wait", "rides"], **DAY)
    mapped["rides"].tensor.fill_(-1.0)
    assert bits(filled) == first


def test_the_cache_forgets_what_was_used_longest_ago(filled, monkeypatch):
    import os

    bits(filled)
    kept = files(filled)[0]
    bits(filled, end="2025-01-06T02:00Z")
    (old,) = set(files(filled)) - {kept}
    os.utime(old, (1, 1))
    monkeypatch.setattr(_cache, "LIMIT_BYTES", 2 * kept.stat().st_size + 10)
    bits(filled, end="2025-01-06T01:00Z")
    assert old not in files(filled)
    assert kept in files(filled)


def test_a_store_that_cannot_be_written_can_be_read(filled, monkeypatch):
    fresh = bits(filled, cache=False)

    def refuse(*_args, **_kwargs):
        raise PermissionError("read-only")

    monkeypatch.setattr("os.replace", refuse)
    assert bits(filled) == fresh
    assert not files(filled)


@pytest.mark.parametrize("hours", [1, 4])
def test_cached_cubes_keep_dims_and_dtypes(filled, hours):
    end = f"2025-01-06T0{hours - 1}:00Z"
    first, second = (filled.read(["rides"], **{**DAY, "end": end}) for _ in range(2))
    assert first["rides"].layout is second["rides"].layout
    np.testing.assert_array_equal(first["rides"].tensor, second["rides"].tensor)


def test_a_cube_that_nobody_writes_any_more_goes_with_the_next_read(filled):
    cache = filled.folder / "cache"
    cache.mkdir(exist_ok=True)
    left, written = cache / ".tmp-0123-left", cache / ".tmp-0123-written"
    left.write_text("half")
    with written.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        filled.read(["rides"], start="2025-01-06T00:00Z", end="2025-01-06T01:00Z", as_of="2100")
        assert not left.exists()
        assert written.exists()
