"""What a project keeps of a plan beside the decisions: outlook, summary, people's proposals."""

from dagcast.plans._hindsight import Hindsight, OutcomeGap, RegretShare
from dagcast.plans._limits import (
    BudgetLimit,
    LeverBounds,
    Limits,
    OutcomeBound,
    Ramp,
    resolve_limits,
)
from dagcast.plans._outlook import Estimate, Outlook, Path3, make_outlook, overall, together
from dagcast.plans._proposal import COLUMNS, read_proposal
from dagcast.plans._summary import (
    LimitRow,
    PlanStability,
    PlanSummary,
    Sensitivity,
    StabilityRow,
    price_words,
)

__all__ = [
    "COLUMNS",
    "BudgetLimit",
    "Estimate",
    "Hindsight",
    "LeverBounds",
    "LimitRow",
    "Limits",
    "OutcomeBound",
    "OutcomeGap",
    "Outlook",
    "Path3",
    "PlanStability",
    "PlanSummary",
    "Ramp",
    "RegretShare",
    "Sensitivity",
    "StabilityRow",
    "make_outlook",
    "overall",
    "price_words",
    "read_proposal",
    "resolve_limits",
    "together",
]
