"""The files and tables that declared sources reach, on their way into the store."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from glob import glob, has_magic
from pathlib import Path

from dagcast.sources._declared import Declared
from dagcast.sources._places import Finding, refuse
from dagcast_core.contract import LabelSet
from dagcast_core.data import (
    ColumnMap,
    DatabaseRows,
    Dialect,
    Ingestion,
    SourceError,
    UnreadFile,
    columns_read,
    peek,
    read_lookup,
)

_SUFFIXES = (".parquet", ".pq", ".csv")
_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


@dataclass(frozen=True, slots=True)
class SourceItems:
    """What declared sources add to a store.

    Attributes:
        items: one per file, or per table of a database.
        unread: files that lie in a source's reach and are not read, each with the reason.
    """

    items: tuple[Ingestion, ...]
    unread: tuple[UnreadFile, ...]


def source_items(
    folder: Path, sources: Iterable[Declared], labels: Mapping[str, LabelSet] | None = None
) -> SourceItems:
    """Finds the files of declared sources, and holds them against what is declared of them.

    Args:
        folder: of the project, from which paths count.
        sources: resolved.
        labels: by dim, the labels that exist, where files beside the events say so.

    Raises:
        ConfigError: a source reaches no file, or one lacks a column; names the place.
        SourceError: a file cannot be read.
    """
    items: list[Ingestion] = []
    unread: list[UnreadFile] = []
    read: set[Path] = set()
    reach: dict[Path, str] = {}
    for source in sources:
        settings = source.settings
        dialect = Dialect(settings.delimiter, settings.encoding)
        if not settings.files:
            rows = _database(folder, source)
            items.append(_item(source, rows, source.mapping, None, labels or {}))
            continue
        for path in _files(folder, source, reach):
            mapping = source.of_file(path)
            if mapping is None:
                why = f"no moment is declared for it in known.files of [sources.{source.name}]"
                unread.append(UnreadFile(path, why))
                continue
            if path not in read:
                _require_columns(folder, source, mapping, path, dialect)
            read.add(path)
            items.append(_item(source, path, mapping, dialect, labels or {}))
    lookups = {
        take.lookup.path.resolve()
        for source in sources
        for take in source.mapping.columns.values()
        if take.lookup is not None
    }
    named = {item.path for item in unread} | read
    for where, name in reach.items():
        for path in sorted(where.iterdir()):
            if path in named or path.resolve() in lookups or not path.is_file():
                continue
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith("."):
                unread.append(UnreadFile(path, f"no pattern of [sources.{name}] matches it"))
                named.add(path)
    return SourceItems(tuple(_measured_first(items)), tuple(unread))


def _files(folder: Path, source: Declared, reach: dict[Path, str]) -> list[Path]:
    found: dict[Path, None] = {}
    for pattern in source.settings.files:
        whole = str(folder / pattern)
        if not has_magic(whole):
            path = Path(whole)
            if not path.is_file():
                near = get_close_matches(path.name, _names(path.parent), n=1)
                fix = f"Did you mean {near[0]!r}?" if near else "Correct the path."
                what = "a folder" if path.is_dir() else "nothing"
                finding = Finding(("files",), f"a file, such as {pattern!r}", what, fix)
                raise refuse(folder, source.name, [finding])
            found[path] = None
            continue
        matched = [Path(name) for name in sorted(glob(whole, recursive=True))]
        matched = [path for path in matched if path.is_file() and not path.name.startswith(".")]
        if not matched:
            held = ", ".join(_names(Path(whole).parent)[:5]) or "no files"
            fix = "Correct the pattern, or put the files there."
            finding = Finding(("files",), f"a pattern of files, not {pattern!r}", held, fix)
            raise refuse(folder, source.name, [finding])
        found |= dict.fromkeys(matched)
        for path in matched:
            reach.setdefault(path.parent, source.name)
    return list(found)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _require_columns(
    folder: Path, source: Declared, mapping: ColumnMap, path: Path, dialect: Dialect
) -> None:
    """Refuse a declaration that names columns which the file does not have."""
    if mapping.select is not None:
        return
    wanted = columns_read(mapping, source.table)
    try:
        held = list(peek(path, dialect, rows=1).columns)
    except SourceError:
        # What is wrong with the file is said when it is read.
        return
    missing = [name for name in wanted if name not in held]
    if not missing:
        return
    # The line that looks like a header need not be the one; that it is not is said when it is read.
    if path.suffix.lower() == ".csv" and len(missing) == len(wanted):
        return
    findings = []
    for name in missing:
        near = get_close_matches(name, held, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else "Correct the name."
        expected = f"about columns of {path.name} ({', '.join(held[:20])})"
        findings.append(Finding(_key_of(source, name), expected, repr(name), fix))
    raise refuse(folder, source.name, findings)


def _key_of(source: Declared, column: str) -> tuple[str, ...]:
    """The setting that names a column of the source."""
    settings = source.settings
    for key in ("time", "until", "known"):
        said = getattr(settings, key)
        if said is not None and said.column == column:
            return (key,)
    if settings.long is not None and column in (settings.long.names, settings.long.value):
        return ("long",)
    for key in ("dims", "quantities", "columns"):
        for name, entry in getattr(settings, key).items():
            parts = entry.model_dump(exclude_none=True).values()
            if column in parts or any(isinstance(p, str) and column in p for p in parts):
                return (key, name)
    return ("key",) if column in settings.key else ()


def _database(folder: Path, source: Declared) -> DatabaseRows:
    settings = source.settings
    if settings.database is not None:
        path = folder / settings.database
        return DatabaseRows(settings.relation, settings.query, path=path)
    assert settings.connect is not None
    arguments = {
        name: _expanded(folder, source, value) if isinstance(value, str) else value
        for name, value in settings.connect.arguments.items()
    }
    return DatabaseRows(
        settings.relation,
        settings.query,
        driver=settings.connect.driver,
        arguments=arguments,
        dialect=settings.connect.dialect,
    )


def _expanded(folder: Path, source: Declared, value: str) -> str:
    """A text with ``$NAME`` replaced by the environment: secrets do not belong into a file."""

    def read(match: re.Match[str]) -> str:
        name = match[1].strip("{}")
        if name not in os.environ:
            expected = f"a text whose ${name} is in the environment"
            finding = Finding(("connect",), expected, f"no {name} there", f"Set {name}.")
            raise refuse(folder, source.name, [finding])
        return os.environ[name]

    return _VARIABLE.sub(read, value)


def _item(
    source: Declared,
    rows: Path | DatabaseRows,
    mapping: ColumnMap,
    dialect: Dialect | None,
    labels: Mapping[str, LabelSet],
) -> Ingestion:
    table = source.table
    known = [labels[dim] for dim in table.dims if dim in labels]
    allowed = {item.dim: item.labels for item in known}
    if table.empty != "missing":
        # Where absence means zero it does so for every label that the lookup knows.
        for dim, column in table.dims.items():
            take = mapping.columns.get(column)
            if take is not None and take.lookup is not None:
                found = tuple(sorted(set(read_lookup(take.lookup).values())))
                allowed.setdefault(dim, found)
    begun = next((item for item in known if item.since and table.revision == "add"), None)
    return Ingestion(
        table,
        rows,
        allowed or None,
        like=table.like,
        since={} if begun is None else begun.since,
        begins="" if begun is None else begun.dim,
        dialect=dialect,
        mapping=mapping,
    )


def _measured_first(items: list[Ingestion]) -> list[Ingestion]:
    """Sources whose hours others cover come first."""
    likes = {item.like for item in items}
    first = [item for item in items if _name(item) in likes]
    return [*first, *(item for item in items if item not in first)]


def _name(item: Ingestion) -> str:
    return item.spec.name
