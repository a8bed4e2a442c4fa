"""The store's folder: content-named files and one manifest that says which of them count.

    store.json                        the manifest; replacing it is the only step that commits
    ledgers/<table>/<sha256>.parquet  additive components (dims, hour, known_at, n, sums)
    keys/<table>/<sha256>.parquet     rows accepted, by key: what later sources repeat or contradict
    quarantine/<table>/<sha256>.parquet  rows kept out, with their reason
    cache/                            hot cubes; may be deleted at any time
    .pending                          files that a writer is about to add or to let go

Files are written under a temporary name, flushed to the disk, renamed to the hash of their content,
and only then named by a new manifest, which takes the old one's place by rename. A process killed
at any moment leaves either the old manifest or the new one, and at worst files that neither names;
the next ingestion removes those that ``.pending`` lists. Nothing else is ever removed: a manifest
that is absent or older than its ledgers is damage, and what it does not name may be all there is.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagcast_core.data._declare import EventTable, LinearMetric, MetricSpec
from dagcast_core.data._errors import StoreError, UnknownMetricError
from dagcast_core.data._report import IngestReport

FORMAT = 2
MANIFEST = "store.json"
FOLDERS = ("ledgers", "keys", "quarantine")
# What may be deleted at any time: hot cubes, and ledgers merged.
CACHE, COMPACTED = COPIES = ("cache", "compacted")
_DRAFT = ".tmp-"

_REMEMBERED = 8
_READ: dict[tuple[str, int, int, int], Manifest] = {}
"""Manifests by the file that they were read from: a year's loads take a tenth of a second."""

_PENDING = ".pending"
_OWN = re.compile(rf"({'|'.join(FOLDERS)})/[A-Za-z][A-Za-z0-9_]*/[0-9a-f]{{32}}\.parquet")
_PIECE, _PIECES, _ENDS = 4096, 32, 65_536


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store.

    Attributes:
        path: relative to the store's folder.
        sha256: of its bytes.
        rows: number of rows.
        size: in bytes.
        sample: see :func:`sampled`.
    """

    path: str
    sha256: str
    rows: int
    size: int
    sample: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Where the absence of rows means something.

    Attributes:
        start: first hour covered, ISO UTC.
        end: last hour covered, ISO UTC, inclusive.
        labels: dim -> labels covered.
        since: label -> first hour covered, where later than ``start`` (a new region).
        begins: dim whose labels ``since`` names.
    """

    start: str
    end: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: Mapping[str, str] = field(default_factory=dict)
    begins: str = ""

    def to_json(self) -> dict[str, Any]:
        """The coverage as plain JSON values."""
        return {
            "start": self.start,
            "end": self.end,
            "labels": {dim: sorted(labels) for dim, labels in sorted(self.labels.items())},
            "since": dict(sorted(self.since.items())),
            "begins": self.begins,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Coverage:
        """Reads what :meth:`to_json` wrote."""
        labels = {dim: tuple(entries) for dim, entries in document["labels"].items()}
        since, begins = document["since"], document["begins"]
        return cls(document["start"], document["end"], labels, since, begins)


@dataclass(frozen=True, slots=True)
class Batch:
    """One ingested source.

    Attributes:
        id: sha256 of the source's content, the table's layout and the options of the ingestion.
        table: the event table.
        ledger: its ledger file; None where no row was accepted.
        keys: its accepted rows, by key; None where the table has no key.
        quarantine: rows kept out; None where there are none.
        coverage: the range in which absence counts; None where no row was accepted.
        report: the counts.
    """

    id: str
    table: str
    ledger: StoredFile | None
    keys: StoredFile | None
    quarantine: StoredFile | None
    coverage: Coverage | None
    report: IngestReport
    # Of the manifest, written once: each delivery writes those of all before it.
    _line: str = field(default="", init=False, repr=False, compare=False)

    def files(self) -> tuple[StoredFile, ...]:
        """The files of this batch."""
        return tuple(item for item in (self.ledger, self.keys, self.quarantine) if item is not None)

    def to_json(self) -> dict[str, Any]:
        """The batch as plain JSON values."""

        def stored(item: StoredFile | None) -> dict[str, Any] | None:
            if item is None:
                return None
            # Not `asdict`, which copies every text of every file of the store.
            return {name: getattr(item, name) for name in StoredFile.__slots__}

        return {
            "id": self.id,
            "table": self.table,
            "ledger": stored(self.ledger),
            "keys": stored(self.keys),
            "quarantine": stored(self.quarantine),
            "coverage": None if self.coverage is None else self.coverage.to_json(),
            "report": self.report.to_json(),
        }

    def line(self) -> str:
        """The batch as its line of the manifest."""
        if not self._line:
            object.__setattr__(self, "_line", _compactly(self.to_json()))
        return self._line

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Batch:
        """Reads what :meth:`to_json` wrote."""

        def stored(entry: Mapping[str, Any] | None) -> StoredFile | None:
            if entry is not None and not _OWN.fullmatch(entry["path"]):
                raise ValueError(f"{entry['path']!r} is no file of a store")
            return None if entry is None else StoredFile(**entry)

        coverage = document["coverage"]
        return cls(
            id=document["id"],
            table=document["table"],
            ledger=stored(document["ledger"]),
            keys=stored(document["keys"]),
            quarantine=stored(document["quarantine"]),
            coverage=None if coverage is None else Coverage.from_json(coverage),
            report=IngestReport.from_json(document["report"]),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a store holds.

    Attributes:
        tables: name -> declaration.
        derived: metrics computed from other metrics, by name.
        batches: by id, in the order of their ids, so that the order of ingestion leaves no trace.
        accepted: dim -> labels that somebody accepted.
    """

    tables: Mapping[str, EventTable] = field(default_factory=dict)
    derived: Mapping[str, LinearMetric] = field(default_factory=dict)
    batches: Mapping[str, Batch] = field(default_factory=dict)
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # Of the bytes it was read from; a changed copy has none, and works it out.
    _digest: str = field(default="", init=False, repr=False, compare=False)

    def of_table(self, table: str) -> tuple[Batch, ...]:
        """The batches of one table."""
        return tuple(batch for batch in self.batches.values() if batch.table == table)

    def encoded(self) -> bytes:
        """The manifest's bytes; the same content gives the same bytes."""
        document = {
            "format": FORMAT,
            "tables": {name: self.tables[name].to_json() for name in sorted(self.tables)},
            "derived": {
                name: {
                    "name": metric.name,
                    "unit": metric.unit,
                    "terms": dict(metric.terms),
                    "dims": list(metric.dims),
                }
                for name, metric in sorted(self.derived.items())
            },
            "accepted": {dim: sorted(names) for dim, names in sorted(self.accepted.items())},
        }
        # A line for each batch: without indents json is written by C, which a year's loads need.
        lines = [self.batches[key].line() for key in sorted(self.batches)]
        rest = _compactly(document)
        return f'{{"batches": [\n{_LINES.join(lines)}\n],\n{rest[1:]}\n'.encode()

    @property
    def id(self) -> str:
        """sha256 of the manifest's content; equal ids mean equal stores."""
        return self._digest or hashlib.sha256(self.encoded()).hexdigest()


_LINES = ",\n"


def _compactly(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, allow_nan=False)


def find_metric(manifest: Manifest, name: str) -> tuple[EventTable, MetricSpec]:
    """The table and the declaration of a metric.

    Raises:
        UnknownMetricError: the store holds no such metric.
    """
    for table in manifest.tables.values():
        for spec in table.metrics:
            if spec.name == name:
                return table, spec
    raise UnknownMetricError(name, metric_names(manifest))


def metric_names(manifest: Manifest) -> tuple[str, ...]:
    """Every metric of a store, sorted."""
    plain = [spec.name for table in manifest.tables.values() for spec in table.metrics]
    return tuple(sorted([*plain, *manifest.derived]))


def read_manifest(folder: Path) -> Manifest:
    """Reads a store's manifest; a folder without one is an empty store.

    Raises:
        StoreError: the manifest is damaged or of another format.
    """
    path = folder / MANIFEST
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("no plain file")
        with path.open("rb") as stream:
            about = os.fstat(stream.fileno())
            # A manifest is only ever replaced, so that the same file holds the same bytes.
            key = (str(path), about.st_ino, about.st_mtime_ns, about.st_size)
            if key in _READ:
                return _READ[key]
            content = stream.read()
        document = json.loads(content.decode("utf-8"))
    except FileNotFoundError as error:
        held = next((f for kind in FOLDERS for f in (folder / kind).glob("*/*")), None)
        if held is not None:
            raise StoreError(
                f"cannot open the metric store {folder}: expected {MANIFEST}, which says what "
                f"counts; found {held.relative_to(folder).as_posix()} without it. Nothing was "
                f"removed. Restore {MANIFEST} from a copy, or ingest the sources into a new folder."
            ) from error
        return Manifest()
    except NotADirectoryError as error:
        raise StoreError(
            f"cannot open the metric store {folder}: expected a folder; found a file. Give the "
            f"folder that holds {MANIFEST}, or a new one."
        ) from error
    except (ValueError, OSError, RecursionError) as error:
        raise StoreError(
            f"cannot open the metric store {folder}: expected a manifest in {MANIFEST}; found "
            f"content that does not parse ({error}). Restore the file from a copy, or ingest "
            f"into a new folder."
        ) from error
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise StoreError(
            f"cannot open the metric store {folder}: expected format {FORMAT} in {MANIFEST}; "
            f"found {found!r}. Read it with the version that wrote it, or ingest into a new folder."
        )
    try:
        batches = [Batch.from_json(entry) for entry in document["batches"]]
        manifest = Manifest(
            tables={
                name: EventTable.from_json(entry) for name, entry in document["tables"].items()
            },
            derived={
                name: LinearMetric(**{**entry, "dims": tuple(entry["dims"])})
                for name, entry in document["derived"].items()
            },
            batches={batch.id: batch for batch in batches},
            accepted={dim: tuple(names) for dim, names in document["accepted"].items()},
        )
        object.__setattr__(manifest, "_digest", hashlib.sha256(content).hexdigest())
        if len(_READ) >= _REMEMBERED:
            _READ.clear()
        _READ[key] = manifest
        return manifest
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StoreError(
            f"cannot open the metric store {folder}: expected the fields of format {FORMAT} in "
            f"{MANIFEST}; found them incomplete ({error!r}). Restore the file from a copy, or "
            f"ingest into a new folder."
        ) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the store's write lock; the system releases it when the process dies.

    Raises:
        StoreError: the folder's manifest is absent or damaged, ``.lock`` is not a plain file, or
            the folder cannot be written (a full disk); what it held is then as it was.
    """
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    new = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock_file(folder) as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            _sweep(folder)
            new = not (folder / MANIFEST).exists()
            if new:
                # From here on ledgers without a manifest are damage, never a first ingestion that
                # was killed.
                write_manifest(folder, Manifest())
            try:
                yield
            finally:
                _sweep(folder)
                new = new and read_manifest(folder) == Manifest()
                if new:
                    (folder / MANIFEST).unlink(missing_ok=True)
    except OSError as error:
        raise unwritten(folder, error.strerror or str(error)) from error
    finally:
        if new or (fresh and not (folder / MANIFEST).exists()):
            _take_back(folder, fresh)


def unwritten(folder: Path, found: str) -> StoreError:
    """The error of a store that could not be written, in one paragraph."""
    return StoreError(
        f"cannot write to the metric store {folder}: expected room and leave to write; found "
        f"otherwise ({found}). What the store held is as it was. Make room, or correct the "
        f"folder's rights, and try again."
    )


@contextmanager
def _lock_file(folder: Path) -> Iterator[int]:
    path = folder / ".lock"
    try:
        # Through a link, opening would reach a file that is not the store's.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise _no_lock(folder, error.strerror or str(error)) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _no_lock(folder, "something else")
        yield handle
    finally:
        os.close(handle)


def _no_lock(folder: Path, found: str) -> StoreError:
    return StoreError(
        f"cannot write to the metric store {folder}: expected a plain file .lock, or none, in a "
        f"folder that can be written; found otherwise ({found}). Nothing was changed. Remove what "
        f"stands there, or correct the folder's rights."
    )


def draft(folder: Path, name: str) -> Path:
    """Where a file lies before it gets its name: nobody can have put a link there."""
    return folder / f"{_DRAFT}{secrets.token_hex(8)}-{name}"


def drafts(folder: Path) -> list[Path]:
    """Files that have no name yet: of a process that writes them, or of one that was killed."""
    return sorted(folder.glob(f"{_DRAFT}*"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replaces the manifest in one step, after its bytes have reached the disk."""
    temporary = draft(folder, MANIFEST)
    try:
        with temporary.open("wb") as stream:
            stream.write(manifest.encoded())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, folder / MANIFEST)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(folder)


def adopt(folder: Path, temporary: Path, kind: str, table: str, rows: int) -> StoredFile:
    """Flushes a written file and gives it the name of its content."""
    with temporary.open("rb+") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    target = own_folder(folder, kind, table) / f"{digest[:32]}{temporary.suffix}"
    name = target.relative_to(folder).as_posix()
    note_pending(folder, [name])
    os.replace(temporary, target)
    _sync_folder(target.parent)
    return StoredFile(name, digest, rows, target.stat().st_size, sampled(target))


def own_folder(folder: Path, *parts: str) -> Path:
    """A folder within the store, made if needed.

    Raises:
        StoreError: one of them is a link, through which files would be written elsewhere.
    """
    for part in parts:
        folder = folder / part
        if folder.is_symlink():
            raise StoreError(
                f"cannot write to the metric store: expected a folder of its own at {folder}; "
                f"found a link to {os.readlink(folder)}. Nothing was written there. Put the folder "
                f"itself in its place."
            )
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def sampled(path: Path) -> str:
    """sha256 of a file's size, its ends and pieces from all over it: milliseconds at any size.

    A file of up to a quarter of a megabyte is read whole. The last bytes of a Parquet file hold the
    limits of every column, so that another ledger with other values does not pass for this one.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no plain file", str(path))
    size = status.st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        if size <= 2 * _ENDS + _PIECES * _PIECE:
            digest.update(stream.read())
            return digest.hexdigest()
        places = [(0, _ENDS), (size - _ENDS, _ENDS)]
        step = (size - 2 * _ENDS) / _PIECES
        places += [(_ENDS + int(step * number), _PIECE) for number in range(_PIECES)]
        for start, length in places:
            stream.seek(start)
            digest.update(stream.read(length))
    return digest.hexdigest()


def trust(folder: Path, files: Iterable[StoredFile], *, deep: bool = False) -> list[Path]:
    """The paths of stored files, once they prove to be what the manifest says.

    Args:
        folder: of the store.
        files: named by the manifest.
        deep: whether every byte is read, rather than the size and a sample.

    Raises:
        StoreError: a file is absent or differs.
    """
    paths = []
    for item in files:
        path = folder / item.path
        expected = item.sha256 if deep else item.sample
        try:
            if path.stat().st_size != item.size:
                found = f"{path.stat().st_size:,} bytes"
            elif deep:
                with path.open("rb") as stream:
                    found = hashlib.file_digest(stream, "sha256").hexdigest()
            else:
                found = sampled(path)
        except OSError:
            found = "no file"
        if found != expected:
            raise StoreError(
                f"cannot trust the metric store {folder}: expected {item.path} with {item.size:,} "
                f"bytes and digest {expected[:12]}...; found {found[:12]}. Restore the file from a "
                f"copy, or ingest the sources into a new folder."
            )
        paths.append(path)
    return paths


def strangers(folder: Path, manifest: Manifest) -> list[str]:
    """Files where ledgers are kept that no manifest names and no writer left behind."""
    named = {item.path for batch in manifest.batches.values() for item in batch.files()}
    named |= set(_pending(folder))
    found = (f.relative_to(folder).as_posix() for k in FOLDERS for f in (folder / k).glob("*/*"))
    return sorted(name for name in found if name not in named)


def note_pending(folder: Path, names: Iterable[str]) -> None:
    """Lists files for the next sweep, which removes those that the manifest does not name then."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    handle = os.open(folder / _PENDING, flags, 0o666)
    try:
        os.write(handle, "".join(f"{name}\n" for name in names).encode())
    finally:
        os.close(handle)


def settled(folder: Path) -> bool:
    """Whether no writer left anything for a sweep."""
    return not (folder / _PENDING).exists()


def _pending(folder: Path) -> list[str]:
    path = folder / _PENDING
    if path.is_symlink() or not path.is_file():
        return []
    return [name for name in path.read_text(errors="replace").split("\n") if _OWN.fullmatch(name)]


def _sync_folder(folder: Path) -> None:
    # A rename is durable only once the folder itself is on the disk.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Removes what an ingestion that was killed left behind, and nothing else."""
    manifest = read_manifest(folder)
    named = {item.path for batch in manifest.batches.values() for item in batch.files()}
    for place in (folder, *(folder / name for name in COPIES)):
        if not place.is_symlink():
            for left in drafts(place):
                # Who reads may be writing a cube: it does without.
                left.unlink(missing_ok=True)
    for name in _pending(folder):
        path = folder / name
        if name not in named and not any(p.is_symlink() for p in (path.parent, path.parent.parent)):
            path.unlink(missing_ok=True)
    (folder / _PENDING).unlink(missing_ok=True)


def _take_back(folder: Path, fresh: list[Path]) -> None:
    """Removes the folders made for an ingestion that failed before anything was stored."""
    (folder / ".lock").unlink(missing_ok=True)
    own = [folder / kind for kind in FOLDERS if not (folder / kind).is_symlink()]
    inner = [path for kind in own for path in (*kind.glob("*"), kind)]
    for path in (*inner, *fresh):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()
