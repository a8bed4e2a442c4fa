"""Setting a damaged tail of the log aside, and saying so in the log."""

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from dagcast._locking import hidden_file
from dagcast.journal._chain import Contents, Damage, digest_of, next_line
from dagcast.journal._entry import Entry
from dagcast.journal._files import write_at
from dagcast.journal._head import write_head


@final
@dataclass(frozen=True)
class Repair:
    """What a repair did.

    Attributes:
        aside: the file that holds what was set aside; None where there was nothing to keep.
        bytes: how much that is.
        lost: lines that the head counted and that are gone.
        damage: what was wrong.
    """

    aside: Path | None
    bytes: int
    lost: int
    damage: Damage


def set_aside(path: Path, head: Path, handle: int, contents: Contents, *, who: str) -> Repair:
    """Replace a log by its whole lines and one that tells of the repair.

    Args:
        path: of the log, whose lock the caller holds.
        head: file of its head.
        handle: the open log.
        contents: as it was read, with damage that can be mended.
        who: repairs it.
    """
    damage = contents.damage
    assert damage is not None
    aside = _kept(path, contents.behind) if contents.behind else None
    details = {
        "aside": aside.name if aside else None,
        "bytes": len(contents.behind),
        "sha256": hashlib.sha256(contents.behind).hexdigest(),
        "lost": damage.lost,
    }
    entry = Entry(datetime.now(UTC), who, "repaired", why=damage.found, details=details)
    line, _ = next_line(contents, entry)
    whole = os.pread(handle, contents.size, 0)
    # The log is replaced in one step: whoever waits for its lock takes the new one's.
    part, new = hidden_file(path)
    try:
        write_at(new, whole + (b"" if contents.ended else b"\n") + line + b"\n", 0)
        os.fsync(new)
        # A head that is ahead shows a repair that was cut off, which is then done again.
        write_head(head, len(contents.entries) + 1, digest_of(contents.digest, line))
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(new)
    return Repair(aside, len(contents.behind), damage.lost, damage)


def _kept(path: Path, data: bytes) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.stem}.damaged-{moment}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_at(handle, data, 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    return aside
