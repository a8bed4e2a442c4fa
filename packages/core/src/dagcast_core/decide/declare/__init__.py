"""What is decided, for what and within which limits, checked before anything is solved."""

from dagcast_core.decide.declare._declare import (
    Budget,
    Constraint,
    Fallback,
    Fixed,
    Known,
    Lever,
    Objective,
    OutcomeLimit,
    Ramp,
)
from dagcast_core.decide.declare._describe import describe
from dagcast_core.decide.declare._labels import (
    closest,
    group_numbers,
    label_text,
    limit_values,
    mask_of,
)
from dagcast_core.decide.declare._problem import DecisionProblem
from dagcast_core.decide.declare._risk import Risk
from dagcast_core.decide.declare._space import Space
from dagcast_core.decide.declare._units import budget_unit, outcome_unit, summed_unit

__all__ = [
    "Budget",
    "Constraint",
    "DecisionProblem",
    "Fallback",
    "Fixed",
    "Known",
    "Lever",
    "Objective",
    "OutcomeLimit",
    "Ramp",
    "Risk",
    "Space",
    "budget_unit",
    "closest",
    "describe",
    "group_numbers",
    "label_text",
    "limit_values",
    "mask_of",
    "outcome_unit",
    "summed_unit",
]
