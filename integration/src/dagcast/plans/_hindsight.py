"""The figures of a plan in hindsight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from dagcast.figures import amount
from dagcast.plans._promise import Promise
from dagcast.plans._reading import Reading

_ROUNDING = 1e-6


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
    """

    quantity: str
    planned: float
    happened: float
    ex_post: float


@final
@dataclass(frozen=True)
class LeverGap:
    """One lever over the horizon: a sum, or a mean where it is a price.

    Attributes:
        lever: its name.
        planned: in the plan.
        carried_out: as it was done.
        ex_post: in the ex-post plan.
    """

    lever: str
    planned: float
    carried_out: float
    ex_post: float


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
        levers: planned, carried out and ex-post decisions.
        outcomes: planned, happened and ex-post outcomes.
        readings: how people read them, and the levers.
        solves: plans that were solved to attribute the regret.
        caution: part of the regret because the plan hedged against uncertain parameters.
        promises: what was promised of each outcome, by row and together, and what happened.
        lifts: what was promised over other arms, and its size re-estimated with what happened.
        arms: what those are called.
        unobserved: models none of whose outputs anybody observes.
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
    levers: tuple[LeverGap, ...]
    outcomes: tuple[OutcomeGap, ...]
    readings: Mapping[str, Reading]
    solves: int
    caution: float = 0.0
    promises: tuple[Promise, ...] = ()
    lifts: tuple[Promise, ...] = ()
    arms: Mapping[str, str] = field(default_factory=dict)
    unobserved: tuple[str, ...] = ()

    def shown(self, promise: Promise) -> tuple[str, str, str, str]:
        """A promise as people read it: promised, interval, happened, and whether it held."""
        over = bool(promise.over)
        if promise.quantity in self.readings:
            reading = self.readings[promise.quantity]
            mid, value = (reading.figure(v, signed=over) for v in (promise.mid, promise.happened))
            ends = reading.interval(promise.low, promise.high, signed=over)
        else:
            mid, value = (self.worth(v, signed=over) for v in (promise.mid, promise.happened))
            low, high = (self.worth(v, signed=over) for v in (promise.low, promise.high))
            ends = f"{low} to {high}"
        return mid, ends, value, "held" if promise.held else self._missed(promise)

    @staticmethod
    def _missed(promise: Promise) -> str:
        return "ABOVE it" if promise.happened > promise.high else "BELOW it"

    def title(self, promise: Promise) -> str:
        """What was promised, in words."""
        if promise.quantity in self.readings:
            return self.readings[promise.quantity].title
        return f"Objective: {self.objective}"

    @property
    def kept_words(self) -> str:
        """How many promises about whole outcomes held, in words."""
        whole = [item for item in self.promises if not item.row]
        held = sum(item.held for item in whole)
        level = f"{whole[0].level:.0%}" if whole else ""
        return f"{held} of {len(whole)} outcomes came out inside their {level} intervals"

    def worth(self, value: float, *, signed: bool = False) -> str:
        """A value of the objective."""
        return amount(value, self.unit, signed=signed)

    @property
    def kept(self) -> str:
        """Whether the guardrails were kept as the week came out."""
        if self.violation <= _ROUNDING:
            return "all kept"
        return (
            f"missed by up to {self.violation:.1%}, worth {self.worth(self.priced)} at the ex-post "
            "prices"
        )
