"""How much memory a process may still take, where its limits say so.

Libraries end the process, without a word, where a limit leaves no room for their threads; the
database says what it lacks as long as it knows of the limit. Neither asks the system for it.
"""

from __future__ import annotations

import resource
from pathlib import Path

from dagcast_core.data._errors import MemoryLimitError

LEAST = 160 * 2**20
"""Bytes without which the database and its threads do not start."""


def room() -> int | None:
    """Bytes that the limits of this process leave; None where there is no limit, or none is known.

    Raises:
        MemoryLimitError: they leave too little to begin with.
    """
    kinds = {"VmData": resource.RLIMIT_DATA, "VmSize": resource.RLIMIT_AS}
    limits = {name: resource.getrlimit(kind)[0] for name, kind in kinds.items()}
    limits = {name: limit for name, limit in limits.items() if limit != resource.RLIM_INFINITY}
    if not limits:
        return None
    used = _used()
    left = min((limits[name] - used[name] for name in limits if name in used), default=None)
    if left is not None and left < LEAST:
        raise MemoryLimitError(
            f"{max(left, 0) / 2**20:,.0f} MB left of the {min(limits.values()) / 2**20:,.0f} MB "
            f"that the process may use"
        )
    return left


def _used() -> dict[str, int]:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.startswith("Vm")]
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in words}
