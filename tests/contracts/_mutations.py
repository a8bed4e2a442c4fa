"""One team package's source, loaded as it is or with a change."""

import itertools
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

TEAM = Path(__file__).parent / "_rides_team"
SOURCE = TEAM / "src" / "dagcast_rides"
_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Change:
    """Text replaced in one file of the package.

    Attributes:
        file: its name.
        old: what stands there, once at least.
        new: what is to stand there.
    """

    file: str
    old: str
    new: str


class TeamPackage:
    """The rides team's package under a name of its own, with some changes.

    Args:
        folder: where it is written, so that its source can be looked up.
        changes: made to its files.
    """

    def __init__(self, folder: Path, *changes: Change) -> None:
        self.name = f"dagcast_rides_{next(_NUMBERS)}"
        self._folder = folder / self.name
        self._folder.mkdir()
        for file, text in changed_files(*changes).items():
            renamed = text.replace("dagcast_rides", self.name)
            (self._folder / file).write_text(renamed)

    def module(self, name: str) -> ModuleType:
        """Import one of its modules."""
        path = str(self._folder.parent)
        sys.path.insert(0, path)
        try:
            return import_module(f"{self.name}.{name}")
        finally:
            sys.path.remove(path)


def changed_files(*changes: Change) -> dict[str, str]:
    """The package's files by name, with ``changes`` made.

    Raises:
        LookupError: a change finds nothing to change.
    """
    texts = {path.name: path.read_text() for path in sorted(SOURCE.glob("*.py"))}
    for change in changes:
        if change.old not in texts[change.file]:
            raise LookupError(f"{change.file} holds no {change.old!r}")
        texts[change.file] = texts[change.file].replace(change.old, change.new)
    return texts
