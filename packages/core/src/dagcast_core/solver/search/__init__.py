"""What takes several runs of the solver: problems that are not concave, least violations."""

from dagcast_core.solver.search._globally import solve_globally
from dagcast_core.solver.search._phase_one import PhaseOne, phase_one

__all__ = [
    "PhaseOne",
    "phase_one",
    "solve_globally",
]
