"""Commands on disks that are nearly full."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from _attempts import Action, calls_of, filled_at, in_child, leftovers, view
from _commands import Case, copied
from _count import Count
from _kills import completed, filled_once, undisturbed

_PAGE = 4096


def fills(case: Case, states: Path, work: Path, *, exact: bool, points: int) -> Count:
    """Run a command where no file can grow beyond a size; then where all can."""
    folder, count = work / "p", Count()

    def fresh() -> Action:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copied(states, case.state, folder)
        return case.on(folder)

    fresh()
    before = view(folder, exact=True)
    # Folders that entered before the disk was full have a line of their own.
    course = undisturbed(fresh, folder, exact=exact).but(filled_once)
    largest = max((p.stat().st_size for p in folder.rglob("*") if p.is_file()), default=1)
    log = folder / "log.jsonl"
    near = [log.stat().st_size - k for k in (1, 60)] if log.exists() else []
    for size in sorted({0, 1, 100, *near, *(int(largest ** (k / points)) for k in range(points))}):
        action = fresh()
        outcome = filled_at(action, size)
        problems = [outcome.odd]
        if left := leftovers(folder):
            problems.append(f"left {left}")
        problems += completed(action, folder, before, course)
        count.add(f"{case.name} with files of at most {size} bytes", problems)
    return count


def small_disks(case: Case, states: Path, work: Path, *, exact: bool, points: int) -> Count:
    """Run a command on a disk that has room for a part of what it writes; then on a larger one.

    At the other points there is room, and no name can be given to a further file.
    """
    folder, count = work / "p", Count()

    def fresh() -> Action:
        for path in work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        copied(states, case.state, folder)
        return case.on(folder)

    with small_disk(work) as resized:
        fresh()
        before = view(folder, exact=True)
        course = undisturbed(fresh, folder, exact=exact).but(filled_once)
        action = fresh()
        held, most = _taken(work), _most(action, work, folder)
        for point in range(points):
            files = point % 4 == 3
            action = fresh()
            room = [a + (b - a) * point // points for a, b in zip(held, most, strict=True)]
            resized(room[0] if not files else None, room[1] if files else None)
            outcome = in_child(action)
            problems = [outcome.odd]
            # Before there is room again: what is left can be cleared on a full disk.
            if left := leftovers(folder):
                problems.append(f"left {left}")
            resized(None, None)
            problems += completed(action, folder, before, course)
            what = "files" if files else "bytes"
            amount = room[files] - held[files]
            count.add(f"{case.name} on a disk with room for {amount} {what} more", problems)
    return count


def small_disks_can_be_made() -> bool:
    """Whether this machine lets us mount a disk in memory."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _tried()


def _tried() -> bool:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder) / "disk"):
                return True
        except subprocess.CalledProcessError:
            return False


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[int | None, int | None], None]]:
    """A disk in memory at a folder; gives what changes its size.

    That takes the bytes and the number of files that it has room for, None for plenty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", "size=1g,nr_inodes=100000", "tmpfs", str(folder))

    def resized(size: int | None, files: int | None) -> None:
        room = f"size={size or 1 << 30},nr_inodes={files or 100_000}"
        _run("mount", "-o", f"remount,{room}", str(folder))

    try:
        yield resized
    finally:
        _run("umount", "-l", str(folder))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _taken(folder: Path) -> tuple[int, int]:
    """Bytes and files on a disk."""
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


def _most(action: Action, disk: Path, folder: Path) -> tuple[int, int]:
    """The most bytes and files that there are on a disk while a command runs."""
    told = disk.with_name(f"{disk.name}-most")
    most = [0, 0]

    def look() -> None:
        now = _taken(disk)
        if now[0] > most[0] or now[1] > most[1]:
            most[:] = [max(most[0], now[0]), max(most[1], now[1])]
            told.write_text(f"{most[0]} {most[1]}")

    calls_of(action, folder, look)
    bytes_, files = map(int, told.read_text().split())
    told.unlink()
    return bytes_ + _PAGE, files + 1
