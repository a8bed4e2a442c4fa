"""Telling a lock on a file from a lock on one that is gone by now.

Whoever waits for a lock, or takes one on something just made, may find that another process put
another file in its place meanwhile.
"""

import os
from pathlib import Path


def still_there(handle: int, path: Path) -> bool:
    """Whether an open file is what lies at a path now; links are not followed."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
