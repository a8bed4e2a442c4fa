"""Ledgers of many loads in few files, so that the 365th daily load reads as fast as the first.

What is here is a copy: a batch keeps its own ledger, and the manifest knows nothing of this folder,
which may be deleted at any time. Loads are merged by sixteens, and merged files by eights, so that
a row is written again a few times in its life and a new day costs in proportion to the day.

    compacted/index.json                  table -> merged files, with the batches in each
    compacted/<table>-<number>.parquet    their ledgers, one after the other
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from dagcast_core.data._manifest import Manifest, sampled, trust
from dagcast_core.data._source import connect
from dagcast_core.data._sql import parquet, text

FOLDER = "compacted"
LOADS = 16
"""So many ledgers are merged into one file,"""
FILES = 8
"""and so many files of one level into one of the next."""


@dataclass(frozen=True, slots=True)
class _Merged:
    file: str
    sample: str
    sha256: str
    level: int
    batches: tuple[str, ...]


def ledger_files(folder: Path, manifest: Manifest, table: str) -> list[Path]:
    """The files that hold a table's ledger: merged ones as far as they are whole.

    Raises:
        StoreError: a ledger that is not in a whole merged file is absent or differs.
    """
    batches = {b.id: b.ledger for b in manifest.of_table(table) if b.ledger is not None}
    paths: list[Path] = []
    for merged in _read(folder).get(table, ()):
        path = folder / FOLDER / merged.file
        # Only what the manifest names counts, all of it and nothing else.
        if set(merged.batches) <= set(batches) and _whole(path, merged):
            paths.append(path)
            for key in merged.batches:
                del batches[key]
    return [*paths, *trust(folder, batches.values())]


def compact(folder: Path, manifest: Manifest, tables: Sequence[str]) -> None:
    """Merges the ledgers of tables that have many; the caller holds the store's lock.

    A failure, such as a full disk, leaves everything readable as it was.
    """
    index = _read(folder)
    changed = False
    for table in tables:
        batches = {b.id: b.ledger for b in manifest.of_table(table) if b.ledger is not None}
        kept = [m for m in index.get(table, ()) if set(m.batches) <= set(batches)]
        inside = {key for merged in kept for key in merged.batches}
        loose = [key for key in batches if key not in inside]
        groups = list(kept)
        try:
            if len(loose) >= LOADS:
                files = trust(folder, (batches[key] for key in loose))
                groups.append(_merge(folder, table, files, 0, tuple(loose)))
            while level := _full_level(groups):
                full = [merged for merged in groups if merged.level == level[0]]
                files = [folder / FOLDER / merged.file for merged in full]
                keys = tuple(key for merged in full for key in merged.batches)
                groups = [merged for merged in groups if merged not in full]
                groups.append(_merge(folder, table, files, level[0] + 1, keys))
        except (OSError, duckdb.Error):
            continue
        if groups != list(index.get(table, ())):
            index[table] = tuple(groups)
            changed = True
    if changed:
        _write(folder, index)


def damaged_copies(folder: Path) -> list[str]:
    """Merged files that differ from what was written, every byte looked at."""
    return [
        f"{FOLDER}/{merged.file}"
        for entries in _read(folder).values()
        for merged in entries
        if _digest(folder / FOLDER / merged.file) not in (merged.sha256, "")
    ]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _full_level(groups: Sequence[_Merged]) -> list[int]:
    levels = sorted({merged.level for merged in groups})
    return [n for n in levels if sum(merged.level == n for merged in groups) >= FILES][:1]


def _merge(
    folder: Path, table: str, files: Sequence[Path], level: int, batches: tuple[str, ...]
) -> _Merged:
    (folder / FOLDER).mkdir(exist_ok=True)
    number = 1 + max(
        (int(p.stem.rpartition("-")[2]) for p in (folder / FOLDER).glob(f"{table}-*.parquet")),
        default=0,
    )
    target = folder / FOLDER / f"{table}-{number}.parquet"
    part = target.with_name(f".tmp-{os.getpid()}.parquet")
    with connect() as connection:
        # By hour, so that a read of some weeks skips what it does not need.
        connection.execute(
            f"COPY (SELECT * FROM {parquet(files)} ORDER BY hour, known_at) TO "
            f"{text(str(part))} (FORMAT parquet, COMPRESSION zstd)"
        )
    os.replace(part, target)
    return _Merged(target.name, sampled(target), _digest(target), level, batches)


def _whole(path: Path, merged: _Merged) -> bool:
    try:
        return sampled(path) == merged.sample
    except OSError:
        return False


def _read(folder: Path) -> dict[str, tuple[_Merged, ...]]:
    """The index; damage to it costs time and nothing else."""
    try:
        document = json.loads((folder / FOLDER / "index.json").read_text(encoding="utf-8"))
        return {
            table: tuple(
                _Merged(**{**entry, "batches": tuple(entry["batches"])}) for entry in entries
            )
            for table, entries in document.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(folder: Path, index: dict[str, tuple[_Merged, ...]]) -> None:
    document = {
        table: [{**asdict(merged), "batches": list(merged.batches)} for merged in entries]
        for table, entries in sorted(index.items())
    }
    # What the index before this one names may be open in a read that is under way.
    before = {merged.file for entries in _read(folder).values() for merged in entries}
    former = {path.name for path in (folder / FOLDER).glob("*.parquet")}
    named = {merged.file for entries in index.values() for merged in entries}
    part = folder / FOLDER / f".tmp-{os.getpid()}.json"
    part.write_text(json.dumps(document), encoding="utf-8")
    os.replace(part, folder / FOLDER / "index.json")
    for name in former - named - before:
        (folder / FOLDER / name).unlink(missing_ok=True)
