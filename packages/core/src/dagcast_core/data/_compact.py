"""Files of many loads in few, so that the 365th daily load reads and enters as fast as the first.

What is here is a copy: a batch keeps its own files, and the manifest knows nothing of this folder,
which may be deleted at any time. Loads are merged by sixteens, and merged files by eights, so that
a row is written again a few times in its life and a new day costs in proportion to the day.

    compacted/index.json                     table -> merged files, with the batches in each
    compacted/<table>-<number>.parquet       their ledgers, one after the other
    compacted/<table>.keys-<number>.parquet  their accepted rows, by key
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from dagcast_core.data._manifest import (
    COMPACTED,
    Manifest,
    StoredFile,
    draft,
    own_folder,
    sampled,
    trust,
)
from dagcast_core.data._source import connect
from dagcast_core.data._sql import by_key, listed, parquet, text

FOLDER = COMPACTED
_KEYS = ".keys"
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


def ledger_files(
    folder: Path, manifest: Manifest, table: str, sure: set[str] | None = None
) -> list[Path]:
    """The files that hold a table's ledger: merged ones as far as they are whole.

    Args and errors as of :func:`key_files`.
    """
    return _files(folder, table, _ledgers(manifest, table), sure)


def key_files(
    folder: Path, manifest: Manifest, table: str, sure: set[str] | None = None
) -> list[Path]:
    """The files that hold a table's accepted rows: merged ones as far as they are whole.

    Args:
        folder: of the store.
        manifest: what it holds.
        table: whose.
        sure: files that this holder of the lock looked at already; those looked at are added.

    Raises:
        StoreError: a file that is not in a whole merged one is absent or differs.
    """
    return _files(folder, f"{table}{_KEYS}", _keys(manifest, table), sure)


def _ledgers(manifest: Manifest, table: str) -> dict[str, StoredFile]:
    return {b.id: b.ledger for b in manifest.of_table(table) if b.ledger is not None}


def _keys(manifest: Manifest, table: str) -> dict[str, StoredFile]:
    return {b.id: b.keys for b in manifest.of_table(table) if b.keys is not None}


def _files(
    folder: Path, name: str, batches: dict[str, StoredFile], sure: set[str] | None = None
) -> list[Path]:
    paths: list[Path] = []
    for merged in _read(folder).get(name, ()):
        path = folder / FOLDER / merged.file
        # Only what the manifest names counts, all of it and nothing else.
        if set(merged.batches) <= set(batches) and _whole(path, merged):
            paths.append(path)
            for key in merged.batches:
                del batches[key]
    sure = set() if sure is None else sure
    known = [folder / item.path for item in batches.values() if item.path in sure]
    found = trust(folder, (item for item in batches.values() if item.path not in sure))
    sure.update(item.path for item in batches.values())
    return [*paths, *known, *found]


def copies_id(folder: Path) -> str:
    """sha256 of the list of merged files; empty where there are none."""
    path = folder / FOLDER / "index.json"
    try:
        if (folder / FOLDER).is_symlink() or path.is_symlink() or not path.is_file():
            return ""
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def drop_copies(folder: Path) -> None:
    """Removes merged files, which are written anew; the caller holds the store's lock."""
    place = folder / FOLDER
    if not place.is_symlink():
        for path in (place / "index.json", *place.glob("*.parquet")):
            path.unlink(missing_ok=True)


def compact(folder: Path, manifest: Manifest, tables: Sequence[str]) -> None:
    """Merges the ledgers of tables that have many; the caller holds the store's lock.

    A failure, such as a full disk, leaves everything readable as it was.
    """
    if (folder / FOLDER).is_symlink():
        # Copies save time alone; none is written where a link leads.
        return
    index = _read(folder)
    changed = False
    for table in tables:
        # By hour, so that a read of some weeks skips what it does not need.
        kinds = [(table, _ledgers(manifest, table), ["hour", "known_at"])]
        if keys := _keys(manifest, table):
            kinds.append((f"{table}{_KEYS}", keys, list(by_key(manifest.tables[table]))))
        for name, batches, order in kinds:
            groups = _compacted(folder, name, batches, index.get(name, ()), order)
            if groups != list(index.get(name, ())):
                index[name] = tuple(groups)
                changed = True
    if changed:
        _write(folder, index)


def _compacted(
    folder: Path,
    name: str,
    batches: dict[str, StoredFile],
    before: Sequence[_Merged],
    order: Sequence[str],
) -> list[_Merged]:
    """The merged files of one table's ledgers or keys, those before among them."""
    groups = [merged for merged in before if set(merged.batches) <= set(batches)]
    inside = {key for merged in groups for key in merged.batches}
    loose = [key for key in batches if key not in inside]
    kept = list(groups)
    try:
        if len(loose) >= LOADS:
            files = trust(folder, (batches[key] for key in loose))
            groups.append(_merge(folder, name, files, 0, tuple(loose), order))
        while level := _full_level(groups):
            full = [merged for merged in groups if merged.level == level[0]]
            files = [folder / FOLDER / merged.file for merged in full]
            keys = tuple(key for merged in full for key in merged.batches)
            groups = [merged for merged in groups if merged not in full]
            groups.append(_merge(folder, name, files, level[0] + 1, keys, order))
    except (OSError, duckdb.Error):
        return kept
    return groups


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
    folder: Path,
    table: str,
    files: Sequence[Path],
    level: int,
    batches: tuple[str, ...],
    order: Sequence[str],
) -> _Merged:
    own_folder(folder, FOLDER)
    number = 1 + max(
        (int(p.stem.rpartition("-")[2]) for p in (folder / FOLDER).glob(f"{table}-*.parquet")),
        default=0,
    )
    target = folder / FOLDER / f"{table}-{number}.parquet"
    part = draft(target.parent, "merged.parquet")
    with connect() as connection:
        connection.execute(
            f"COPY (SELECT * FROM {parquet(files)} ORDER BY {listed(order)}) TO "
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
    """The index; damage to it costs time and nothing else, and so does a link in its place."""
    try:
        if (folder / FOLDER).is_symlink():
            return {}
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
    part = draft(folder / FOLDER, "index.json")
    part.write_text(json.dumps(document), encoding="utf-8")
    os.replace(part, folder / FOLDER / "index.json")
    for name in former - named - before:
        (folder / FOLDER / name).unlink(missing_ok=True)
