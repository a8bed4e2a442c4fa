"""What a project keeps of a plan beside the decisions: outlook, summary, people's proposals."""

from dagcast.plans._chance import Chance, ChanceDraw, ErrorHistory, errors_of
from dagcast.plans._evidence import EVIDENCE_COLUMNS, EvidenceLine, Standings, evidence_rows
from dagcast.plans._hindsight import Hindsight, LeverGap, OutcomeGap, RegretShare
from dagcast.plans._limits import (
    BudgetLimit,
    LeverBounds,
    Limits,
    OutcomeBound,
    Ramp,
    resolve_limits,
)
from dagcast.plans._outlook import (
    Axes,
    Chances,
    Estimate,
    Outlook,
    Path3,
    arrays,
    make_outlook,
    overall,
    together,
    with_total,
)
from dagcast.plans._proposal import LEVER, UNIT, VALUE, LeverShape, read_proposal
from dagcast.plans._reading import Reading
from dagcast.plans._summary import (
    LeverRow,
    LimitRow,
    PlanStability,
    PlanSummary,
    Sensitivity,
    StabilityRow,
    price_words,
)

__all__ = [
    "EVIDENCE_COLUMNS",
    "LEVER",
    "UNIT",
    "VALUE",
    "Axes",
    "BudgetLimit",
    "Chance",
    "ChanceDraw",
    "Chances",
    "ErrorHistory",
    "Estimate",
    "EvidenceLine",
    "Hindsight",
    "LeverBounds",
    "LeverGap",
    "LeverRow",
    "LeverShape",
    "LimitRow",
    "Limits",
    "OutcomeBound",
    "OutcomeGap",
    "Outlook",
    "Path3",
    "PlanStability",
    "PlanSummary",
    "Ramp",
    "Reading",
    "RegretShare",
    "Sensitivity",
    "StabilityRow",
    "Standings",
    "arrays",
    "errors_of",
    "evidence_rows",
    "make_outlook",
    "overall",
    "price_words",
    "read_proposal",
    "resolve_limits",
    "together",
    "with_total",
]
