"""When a run ends before its time: patience, the time limit, Ctrl-C."""

from dagcast_core.solver.stopping._interrupt import Watched
from dagcast_core.solver.stopping._patience import Patience

__all__ = [
    "Patience",
    "Watched",
]
