"""Separable quadratic programmes, solved exactly in their dual."""

from dagcast_core.solver.separable._programme import SeparableProgramme
from dagcast_core.solver.separable._projection import (
    Projection,
    linear_limits,
    linear_programme,
    project,
)

__all__ = [
    "Projection",
    "SeparableProgramme",
    "linear_limits",
    "linear_programme",
    "project",
]
