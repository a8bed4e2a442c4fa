"""Separable quadratic programmes, solved exactly in their dual."""

from dagcast_core.solver.separable._programme import (
    Projection,
    SeparableProgramme,
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
