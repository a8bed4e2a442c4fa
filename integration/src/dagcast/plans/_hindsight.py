"""The figures of a plan in hindsight."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class RegretShare:
    """What one model's errors cost.

    Attributes:
        member: the model, or the forecast of what comes from outside.
        value: its part of the regret, in the objective's unit; negative where errors helped.
        standard_error: 0 where every coalition was solved.
    """

    member: str
    value: float
    standard_error: float


@final
@dataclass(frozen=True)
class OutcomeGap:
    """One outcome over the horizon.

    Attributes:
        quantity: its name.
        planned: forecast under the plan.
        happened: what was observed.
        ex_post: what the ex-post plan would have led to.
        unit: of the three.
    """

    quantity: str
    planned: float
    happened: float
    ex_post: float
    unit: str


@final
@dataclass(frozen=True)
class Hindsight:
    """A plan in hindsight.

    Attributes:
        plan: which one.
        objective: what was maximised.
        unit: of the objective.
        regret: what the ex-post plan would have added, in the objective's unit.
        share: regret as a share of the attainable gain.
        attainable: gain of the ex-post plan over spending least.
        execution_gap: part of the regret because other decisions were carried out than planned.
        shares: the rest by model, largest first; they add up to regret less execution gap.
        violation: largest relative violation of a guardrail as it came out.
        priced: what that violation is worth at the ex-post shadow prices.
        spent: planned, carried out and ex-post spend, USD.
        outcomes: planned, happened and ex-post outcomes.
        solves: plans that were solved to attribute the regret.
        caution: part of the regret because the plan hedged against uncertain parameters.
    """

    plan: str
    objective: str
    unit: str
    regret: float
    share: float
    attainable: float
    execution_gap: float
    shares: tuple[RegretShare, ...]
    violation: float
    priced: float
    spent: tuple[float, float, float]
    outcomes: tuple[OutcomeGap, ...]
    solves: int
    caution: float = 0.0
