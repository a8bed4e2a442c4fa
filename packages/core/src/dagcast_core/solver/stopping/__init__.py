"""When a run ends before its time: patience, the time limit, Ctrl-C."""

from dagcast_core.solver.stopping._interrupt import Watched
from dagcast_core.solver.stopping._patience import Patience
from dagcast_core.solver.stopping._rule import Rule, Stopping
from dagcast_core.solver.stopping._time import TimeLimit

__all__ = [
    "Patience",
    "Rule",
    "Stopping",
    "TimeLimit",
    "Watched",
]
