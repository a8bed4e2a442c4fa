"""Which files of a folder belong to which table, and which belong to none.

A file that nobody reads looks like data that is in: so every file is either a table's source or
named with the reason why it is not. Of two files of one table both are read, where the rows' keys
tell what the second repeats; without a key both together might count everything twice, and a choice
between them would be a guess, so that the folder is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dagcast_core.data._declare import EventTable
from dagcast_core.data._errors import SourceError, shortened

SUFFIXES = (".parquet", ".pq", ".csv")


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file of the folder that is no table's source.

    Attributes:
        path: of the file.
        why: e.g. "no table is called 'spends'; one is called 'spend'".
    """

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path.name} was not read: {self.why}."


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What an ingestion of a folder reads.

    Attributes:
        sources: table -> its files, sorted; tables without one are absent.
        unread: the other files, sorted.
    """

    sources: Mapping[str, tuple[Path, ...]]
    unread: tuple[UnreadFile, ...]


def plan_folder(
    folder: Path, tables: Sequence[EventTable], *, known: Collection[str] = ()
) -> FolderPlan:
    """Assigns the files of a folder, though not those of folders in it, to tables by name.

    ``spend.csv``, ``spend.CSV`` and ``Spend.parquet`` are sources of the table ``spend``.

    Args:
        folder: to look through.
        tables: whose sources are looked for.
        known: names of files that something else reads, e.g. "labels.json".

    Raises:
        SourceError: the folder cannot be read, or several files would be one table's without a key.
    """
    names = {table.name.casefold(): table for table in tables}
    sources: dict[str, list[Path]] = {}
    unread = []
    try:
        entries = sorted(path for path in folder.iterdir() if not path.is_dir())
    except OSError as error:
        raise SourceError(
            f"the event files in {folder}",
            "a folder that can be read",
            error.strerror or str(error),
            "Name the folder that holds them.",
        ) from error
    for path in entries:
        if path.name in known or path.name.startswith("."):
            continue
        stem, table = path.stem, names.get(path.stem.casefold())
        if path.suffix.lower() not in SUFFIXES:
            unread.append(UnreadFile(path, f"its name does not end in {', '.join(SUFFIXES)}"))
        elif table is None:
            near = get_close_matches(stem.casefold(), names, n=1, cutoff=0.6)
            hint = f"; one is called {names[near[0]].name!r}" if near else ""
            unread.append(UnreadFile(path, f"no table is called {stem!r}{hint}"))
        else:
            sources.setdefault(table.name, []).append(path)
    for table in tables:
        files = sources.get(table.name, [])
        if len(files) > 1 and not table.key:
            raise SourceError(
                f"the event files in {folder}",
                f"one file of {table.name!r}, whose rows have no key to tell repeated ones by",
                shortened([path.name for path in files]),
                "Keep one of them, or put the rows of all of them into one.",
            )
    order = [table.name for table in tables if table.name in sources]
    return FolderPlan({name: tuple(sources[name]) for name in order}, tuple(unread))
