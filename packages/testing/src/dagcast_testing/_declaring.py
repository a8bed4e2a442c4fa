"""Whether packages say what they declare without torch, tried where it is not imported yet."""

import importlib.metadata
import re
import traceback
from collections.abc import Collection
from pathlib import Path

import dagcast_core.hooks as hooks

_MACHINERY = re.compile(r"[/\\](dagcast_core|dagcast_testing|pluggy|importlib)[/\\]|^<")


def heavy(distributions: Collection[str]) -> dict[str, str]:
    """Import the modules of hooks of some distributions; say what of each imports torch or pandas.

    Args:
        distributions: their names; all by default.

    Returns:
        By distribution, such as ``an import of torch at plugin.py:3``; what fails otherwise is
        nobody's verdict here.
    """
    wanted = {_normalised(name) for name in distributions}
    found: dict[str, str] = {}
    for point in importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP):
        if point.dist is None or (
            wanted and _normalised(point.dist.metadata["Name"]) not in wanted
        ):
            continue
        try:
            with hooks.nothing_heavy():
                point.load()
        except hooks.HeavyImportError as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if not _MACHINERY.search(frame.filename)]
            place = f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
            found[point.dist.metadata["Name"]] = f"an import of {error.heavy}{place}"
        # The suite itself says what else is wrong with it.
        except Exception:
            continue
    return found


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
