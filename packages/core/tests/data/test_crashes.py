"""A store after its writer was killed, at every moment that matters."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from dagcast_core.data import MetricStore, StoreError

DAY = {"start": "2025-01-06T00:00Z", "end": "2025-01-06T03:00Z", "as_of": "2025-01-10"}

# A process that ingests on request, each time in a child of its own. The child kills itself,
# without any clean-up, when its n-th durable step begins: a rename or a flush.
FORKS = """
    import os, pickle, signal, sys
    from pathlib import Path
    from dagcast_core.data import MetricStore

    done = 0

    def lethal(function, step):
        def wrapped(*args, **kwargs):
            global done
            done += 1
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return wrapped

    def ingest(step, folder, given):
        os.replace, os.fsync = lethal(os.replace, step), lethal(os.fsync, step)
        table, rides = pickle.loads(Path(given).read_bytes())
        MetricStore(folder).ingest(table, rides)
        return done

    for line in sys.stdin:
        step, folder, *files = line.rstrip("\\n").split("\\t")
        children = []
        for given in files:
            child = os.fork()
            if not child:
                try:
                    os._exit(100 + ingest(int(step), folder, given))
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
            children.append(child)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(*ends, flush=True)
"""
FINISHED = 100 + 12
"""Exit of a child that took the twelve steps of this test's ingestion and lived."""
FIRST = FINISHED + 3
"""The same in a new folder, where an empty manifest is written before anything else."""


@pytest.fixture(scope="module")
def forks():
    """Runs ingestions: (step to die at, 0 for none; store; sources at once) -> exits."""
    command = [sys.executable, "-c", textwrap.dedent(FORKS)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(step: int, folder: Path, *files: Path) -> list[int]:
        process.stdin.write("\t".join([str(step), str(folder), *map(str, files)]) + "\n")
        process.stdin.flush()
        return [int(word) for word in process.stdout.readline().split()]

    yield run
    process.stdin.close()
    process.wait(timeout=60)
    process.stdout.close()


def read(store: MetricStore) -> list[np.ndarray]:
    panel = store.read(["rides", "revenue"], **DAY, cache=False)
    return [panel[name].tensor.numpy() for name in panel]


def same(one: list[np.ndarray], two: list[np.ndarray]) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, two, strict=True))


@pytest.fixture
def given(tmp_path, rides_table, make_rides) -> Path:
    more = make_rides((9, "SFO", 5, 20, 100.0, 1.0), (10, "SFO", 5, 20, -1.0, 1.0))
    path = tmp_path / "given.pickle"
    path.write_bytes(pickle.dumps((rides_table, more)))
    return path


# Ledger, keys and quarantine: a flush, a rename and a flush of the folder each; then the manifest.
@pytest.mark.parametrize("step", [1, 2, 3, 6, 9, 10, 11, 12])
def test_killed_half_way_the_store_holds_what_it_held(filled, given, forks, step):
    before, held = read(filled), filled.manifest_id
    assert forks(step, filled.folder, given) == [-signal.SIGKILL]
    store = MetricStore(filled.folder)
    store.verify()
    committed = store.manifest_id != held
    # Only the last step comes after the manifest has taken its predecessor's place.
    assert committed == (step == 12)
    assert same(read(store), before) != committed
    # The next ingestion finds a store it can go on with, and clears away what was left.
    assert forks(0, filled.folder, given) == [100 if committed else FINISHED]
    assert read(store)[1][1, 0] == 130.0
    store.verify()
    named = {item.path for b in store._manifest().batches.values() for item in b.files()}
    found = {
        path.relative_to(store.folder).as_posix()
        for path in store.folder.rglob("*")
        if path.is_file() and path.name not in (".lock", "store.json")
    }
    assert found == named


@pytest.mark.parametrize("step", [2, 3, 5, 9, 12, 14])
def test_killed_at_the_first_ingestion_there_is_no_store_yet(tmp_path, given, forks, step):
    folder = tmp_path / "store"
    assert forks(step, folder, given) == [-signal.SIGKILL]
    assert MetricStore(folder).metrics() == {}
    assert forks(0, folder, given) == [FIRST if step == 2 else FINISHED]
    assert set(MetricStore(folder).metrics()) == {"rides", "revenue", "wait"}


def test_writers_take_turns(tmp_path, rides_table, make_rides, forks):
    files = []
    for number in range(4):
        path = tmp_path / f"{number}.pickle"
        path.write_bytes(pickle.dumps((rides_table, make_rides((number, "SFO", 5, 5, 1.0, 1.0)))))
        files.append(path)
    ends = forks(0, tmp_path / "store", *files)
    assert all(end > 100 for end in ends)
    assert read(MetricStore(tmp_path / "store"))[0][0, 0] == 4.0


def test_a_damaged_ledger_is_noticed(filled):
    ledger = next((filled.folder / "ledgers" / "rides").glob("*.parquet"))
    content = ledger.read_bytes()
    ledger.write_bytes(content[:-30])
    with pytest.raises(StoreError, match=f"expected ledgers/rides/{ledger.name} with"):
        filled.verify()
    with pytest.raises(StoreError, match="Restore the file from a copy"):
        read(filled)
    ledger.unlink()
    with pytest.raises(StoreError, match="found no file"):
        filled.verify()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{", "content that does not parse"),
        (b'{"format": 99}', "expected format 2 in store.json; found 99"),
        (b'{"format": 2}', "found them incomplete"),
        (b"[]", "expected format 2 in store.json; found None"),
    ],
)
def test_a_damaged_manifest_is_refused_and_left_alone(
    filled, rides_table, make_rides, content, found
):
    manifest = filled.folder / "store.json"
    manifest.write_bytes(content)
    before = sorted(os.listdir(filled.folder / "ledgers" / "rides"))
    with pytest.raises(StoreError, match=found):
        read(filled)
    with pytest.raises(StoreError, match=found):
        filled.ingest(rides_table, make_rides((77, "SFO", 5, 5, 1.0, 1.0)))
    assert manifest.read_bytes() == content
    assert sorted(os.listdir(filled.folder / "ledgers" / "rides")) == before


def test_a_file_where_the_store_should_be_is_refused(tmp_path):
    path = tmp_path / "store"
    path.write_text("x")
    with pytest.raises(StoreError, match="expected a folder; found a file"):
        MetricStore(path).metrics()
