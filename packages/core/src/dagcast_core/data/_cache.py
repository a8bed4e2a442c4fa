"""Hot cubes as memory-mapped safetensors, keyed by everything their bits depend on.

A file's name is the key and the digests of what was written, ``KEY-SAMPLE-WHOLE.safetensors``: a
cube that was changed on the disk no longer fits its name, and is computed anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dagcast_core.data._manifest import draft, drafts, sampled

if TYPE_CHECKING:
    import torch

# torch is imported where a cube is made: an ingestion has no use for it, and it takes seconds.

LIMIT_BYTES = 2_000_000_000
"""The cache forgets what was used longest ago beyond this size."""

_SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class Cube:
    """A metric's values, before they become an IndexTensor.

    Attributes:
        values: dense tensor, one axis per dim.
        dims: the last one is hour.
    """

    values: torch.Tensor
    dims: tuple[str, ...]


def cache_key(**parts: object) -> str:
    """Name of a cached set of cubes."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:40]


def recall(folder: Path, key: str) -> dict[str, Cube] | None:
    """The cubes stored under ``key``, mapped from the file; None where there are none to trust."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    _sweep(folder)
    for path in sorted(folder.glob(f"{key}-*{_SUFFIX}")):
        try:
            if not _as_written(path, deep=False):
                continue
            with safe_open(path, framework="pt") as opened:
                dims = json.loads(opened.metadata()["dims"])
            values = load_file(path)
            os.utime(path)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            # Absent, half-removed or damaged: the ledgers still hold everything.
            continue
        return {name: Cube(values[name], tuple(dims[name])) for name in dims if name in values}
    return None


def remember(folder: Path, key: str, cubes: Mapping[str, Cube]) -> None:
    """Stores cubes under ``key``; a folder that cannot be written, or a link, is left alone."""
    from safetensors.torch import save

    dims = json.dumps({name: list(cube.dims) for name, cube in cubes.items()}, sort_keys=True)
    content = save({name: cube.values for name, cube in cubes.items()}, {"dims": dims})
    temporary = draft(folder, key)
    try:
        if folder.is_symlink():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            # The lock goes with the process: what nobody holds was left by one that was killed.
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(content)
            stream.flush()
            digests = f"{sampled(temporary)[:16]}-{hashlib.sha256(content).hexdigest()[:16]}"
            os.replace(temporary, folder / f"{key}-{digests}{_SUFFIX}")
        _forget(folder)
    except OSError:
        temporary.unlink(missing_ok=True)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sweep(folder: Path) -> None:
    """Removes cubes that a killed process had begun to write."""
    if folder.is_symlink():
        return
    for left in drafts(folder):
        # Who writes one that is taken between its name and its lock does without it.
        with contextlib.suppress(OSError), left.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def damaged(folder: Path, *, deep: bool) -> list[str]:
    """Names of cached files that are not what was written."""
    return [
        path.name for path in sorted(folder.glob(f"*{_SUFFIX}")) if not _as_written(path, deep=deep)
    ]


def _as_written(path: Path, *, deep: bool) -> bool:
    """Compares a file with the digests in its name: of a sample, and of every byte."""
    sample, whole = path.name.removesuffix(_SUFFIX).split("-")[-2:]
    try:
        found = sampled(path)
    except OSError:
        return False
    if not deep:
        return found.startswith(sample)
    return hashlib.sha256(path.read_bytes()).hexdigest().startswith(whole)


def cube(values: npt.NDArray[Any], dims: Sequence[str]) -> Cube:
    """Wraps an array without copying."""
    import torch

    return Cube(torch.from_numpy(np.ascontiguousarray(values)), tuple(dims))


def _forget(folder: Path) -> None:
    stored = [(path.stat(), path) for path in folder.glob(f"*{_SUFFIX}")]
    total = sum(status.st_size for status, _ in stored)
    for status, path in sorted(stored, key=lambda entry: entry[0].st_mtime_ns):
        if total <= LIMIT_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= status.st_size
