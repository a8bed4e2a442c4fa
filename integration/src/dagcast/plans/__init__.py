"""What a project keeps of a plan beside the decisions: outlook, summary, people's proposals."""

from dagcast.plans._axes import Axes, arrays, overall, together, with_total
from dagcast.plans._chance import Chance, ChanceDraw, ErrorHistory, errors_of
from dagcast.plans._changes import Change, applied, changes_of
from dagcast.plans._evidence import EVIDENCE_COLUMNS, EvidenceLine, Standings, evidence_rows
from dagcast.plans._expectation import Chances, make_outlook
from dagcast.plans._hindsight import Hindsight, LeverGap, OutcomeGap, RegretShare
from dagcast.plans._limits import (
    BudgetLimit,
    LeverBounds,
    Limits,
    OutcomeBound,
    Ramp,
    resolve_limits,
)
from dagcast.plans._outlook import Estimate, Gain, Outlook, Path3
from dagcast.plans._promise import (
    DayPromise,
    Promise,
    PromiseCount,
    counts,
    day_counts,
    day_promises,
    lift_promises,
    outcome_promises,
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
    "Change",
    "DayPromise",
    "ErrorHistory",
    "Estimate",
    "EvidenceLine",
    "Gain",
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
    "Promise",
    "PromiseCount",
    "Ramp",
    "Reading",
    "RegretShare",
    "Sensitivity",
    "StabilityRow",
    "Standings",
    "applied",
    "arrays",
    "changes_of",
    "counts",
    "day_counts",
    "day_promises",
    "errors_of",
    "evidence_rows",
    "lift_promises",
    "make_outlook",
    "outcome_promises",
    "overall",
    "price_words",
    "read_proposal",
    "resolve_limits",
    "together",
    "with_total",
]
