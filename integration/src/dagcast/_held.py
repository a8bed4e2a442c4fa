"""Files that people or other programs wrote, read whole.

Whoever opens a pipe waits for a writer that may never come, a device never ends, and a parser
can take a thousand times the memory of its text.
"""

import errno
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

LARGEST = 1 << 26
"""Bytes of a file, far beyond what people write."""

# Parts of a key.
_LEVELS = 50
_PART = r"""(?:[\w-]++|"[^"\n]*"|'[^'\n]*')"""
_DEEP = re.compile(rf"(?<![\w-])(?:{_PART}[ \t]*\.[ \t]*){{{_LEVELS}}}")


def held(path: Path, most: int = LARGEST) -> bytes:
    """What a file holds.

    Args:
        path: of the file; a link is followed.
        most: bytes that it may hold.

    Raises:
        OSError: there is none, it may not be read, it is a folder, pipe or device, or it is larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.ENODEV, "a pipe or device, where a file is needed", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
    return content


def held_text(path: Path, most: int = LARGEST) -> str:
    """The UTF-8 text that a file holds, its lines ended alike; see `held`.

    Raises:
        OSError: as `held` does.
        UnicodeDecodeError: it is no UTF-8.
    """
    return held(path, most).decode("utf-8").replace("\r\n", "\n")


def parsed_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is none, or a key has more parts than anybody writes; says where.
    """
    if deep := _DEEP.search(text):
        # The parser takes a time that grows with the square of a key's parts.
        line = text.count("\n", 0, deep.start()) + 1
        raise ValueError(f"a key of more than {_LEVELS} parts at line {line}")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("more levels than can be read") from error
