"""What people read of a plan, in plain figures and words; kept beside the plan as JSON."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from dagcast._held import held_text
from dagcast.errors import ProjectError
from dagcast.figures import (
    MINUS,
    amount,
    currency,
    figure,
    listed,
    number,
    step_of,
    symbol,
    words,
)
from dagcast.plans._evidence import EvidenceLine, Standings
from dagcast.plans._reading import Reading

_FILE = "summary.json"
# Below it a limit is missed by rounding; the certificate that people read draws the same line.
_ROUNDING = 1e-3


@final
@dataclass(frozen=True)
class LimitRow:
    """One limit and how the plan stands to it.

    Attributes:
        name: what is limited: a quantity, or levers joined by `` + ``.
        label: for which labels, such as ``SFO``; empty for all together.
        sense: ``<=`` or ``>=``.
        used: value under the plan.
        limit: the limit.
        unit: of both.
        price: change of the objective for one more unit of limit; 0 where it does not bind.
        words: the price in words.
        binding: whether the plan stands at the limit.
        kept: share of the parameter draws that keep it, where draws were weighed.
        title: how people call what is limited.
        written: how its figures are written.
    """

    name: str
    label: str
    sense: str
    used: float
    limit: float
    unit: str
    price: float
    words: str
    binding: bool
    kept: float | None = None
    title: str = ""
    written: str = ""

    def figure(self, value: float) -> str:
        """A value in the limit's unit."""
        return figure(value, self.unit, self.written)


@final
@dataclass(frozen=True)
class LeverRow:
    """What a plan decides about one lever, for one combination of the labels of its further dims.

    Attributes:
        lever: its name.
        label: of the dims beside time and the rows of pages; empty where there is none.
        planned: sum over the horizon, or mean where the lever is a price.
        current: the same of the operator's current plan.
    """

    lever: str
    label: str
    planned: float
    current: float


def price_words(
    price: float,
    sense: str,
    unit: str,
    objective: str,
    worth_in: str,
    parts: Iterable[tuple[Reading, float]] = (),
) -> str:
    """What moving a limit by one unit, in the direction that helps, is worth.

    Args:
        price: change of the objective for one more unit of limit.
        sense: ``<=`` or ``>=``.
        unit: of the limit; ``1`` is a fraction, whose unit people know as a percentage point.
        objective: what is maximised.
        worth_in: unit of the objective.
        parts: what the objective is made of, each with its change for one more unit of limit.
    """
    worth = abs(price) / 100 if unit == "1" else abs(price)
    stated = amount(worth, worth_in)
    if currency(worth_in) and worth < 100:
        stated = f"{symbol(worth_in)}{worth:,.2f}"
    way = "less required" if sense == ">=" else "more allowed"
    verb = "adds" if (price > 0) == (sense == "<=") else "costs"
    said = f"one {step_of(unit)} {way} {verb} {stated} of {objective}"
    each = [_part(reading, change * (1 if sense == "<=" else -1)) for reading, change in parts]
    return f"{said}: {listed(each)}" if each else said


def _part(reading: Reading, change: float) -> str:
    sign = MINUS if change < 0 else "+"
    code = currency(reading.unit)
    size = f"{symbol(code)}{abs(change):,.2f}" if code else number(abs(change))
    return f"{sign}{size} {words(reading.title)}"


@final
@dataclass(frozen=True)
class Sensitivity:
    """How the objective moves with something that nobody decides.

    Attributes:
        name: the quantity, such as ``organic_sessions``.
        effect: change of the objective if it is 1 % higher, in the objective's unit.
        words: the same in words.
        title: how people call it.
    """

    name: str
    effect: float
    words: str
    title: str = ""


@final
@dataclass(frozen=True)
class StabilityRow:
    """One lever at one label in the plan, and in plans by other fits.

    Attributes:
        lever: its name.
        label: such as a region.
        planned: over the horizon.
        low: least of all plans.
        high: greatest of all plans.
    """

    lever: str
    label: str
    planned: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class PlanStability:
    """How far the plan moves where its models are fitted at earlier moments.

    Attributes:
        origins: the moments, ISO UTC.
        moved: by lever, share of it that the plan of each moment places elsewhere.
        rows: by label.
    """

    origins: tuple[str, ...]
    moved: Mapping[str, tuple[float, ...]]
    rows: tuple[StabilityRow, ...]

    def words(self, titles: Mapping[str, str]) -> str:
        """In one line.

        Args:
            titles: what the levers are called.
        """
        first = self.origins[-1][:10]
        moments = (
            "an earlier moment"
            if len(self.origins) == 1
            else f"{len(self.origins)} earlier moments"
        )
        moved = (
            f"{listed(f'{share:.0%}' for share in shares)} of the {words(titles.get(lever, lever))}"
            for lever, shares in self.moved.items()
        )
        return (
            f"with models fitted on what was known at {moments}, back to {first}, "
            f"{'; '.join(moved)} would go elsewhere"
        )


@final
@dataclass(frozen=True)
class PlanSummary:
    """The figures of a plan.

    Attributes:
        plan: its name.
        kind: ``optimised``, ``edited`` or ``proposal``.
        status: what the solver says.
        message: why it stopped, or what is wrong.
        kkt_residual: of the certificate, relative.
        worst_violation: largest relative violation of a limit.
        gap_bound: proved upper bound on what a better plan could add, objective unit.
        objective: name of what is maximised.
        objective_unit: its unit.
        levers: what it decides, beside the operator's current plan.
        readings: how people read the levers.
        budgets: limits on the levers.
        guardrails: limits on outcomes.
        sensitivities: to what nobody decides.
        flagged: cells to look at, with the reason.
        repeated: quantities for which last week stands in, as nothing was known.
        provenance: data moment, packages, seeds, fit.
        seconds: of the solver.
        risk: how draws of the parameters were weighed, in words; empty where they were not.
        warnings: what to know before relying on the plan.
        stability: against fits at earlier moments, where it was asked for.
        conflicts: limits that cannot all be kept, with what would do, where infeasible; limits that
            are broken, where people decided.
        evidence: on what its effects stand.
        weights: of what is maximised, by quantity; nothing in summaries of earlier versions.
        bounds: least and greatest value of a cell, by lever; none of levers bounded by a change.
        young: weeks of history of rows that were not there from the start.
    """

    plan: str
    kind: str
    status: str
    message: str
    kkt_residual: float
    worst_violation: float
    gap_bound: float | None
    objective: str
    objective_unit: str
    levers: tuple[LeverRow, ...]
    readings: Mapping[str, Reading]
    budgets: tuple[LimitRow, ...]
    guardrails: tuple[LimitRow, ...]
    sensitivities: tuple[Sensitivity, ...]
    flagged: tuple[tuple[str, str], ...]
    repeated: tuple[str, ...]
    provenance: Mapping[str, Any]
    seconds: float
    risk: str = ""
    warnings: tuple[str, ...] = ()
    stability: PlanStability | None = None
    conflicts: tuple[str, ...] = ()
    evidence: Standings = field(default_factory=Standings)
    weights: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    young: Mapping[str, int] = field(default_factory=dict)

    @property
    def by_people(self) -> bool:
        """Whether people decided it, and no solver."""
        return self.kind in ("edited", "proposal")

    @property
    def mixed(self) -> bool:
        """Whether what is maximised is more than one quantity alone: worth, not money."""
        return " + " in self.objective or "\N{MULTIPLICATION SIGN}" in self.objective

    def worse_words(self, over_current: tuple[float, float, float] | None) -> str:
        """That going on as before is worth more, and why; empty where it is not.

        Args:
            over_current: (estimate, low, high) of the objective over the current plan.
        """
        if over_current is None or over_current[0] >= 0:
            return ""
        lost = amount(-over_current[0], self.objective_unit)
        return f"going on as before is worth {lost} more of {self.objective}: {self.cause}"

    @property
    def broken(self) -> tuple[str, ...]:
        """Limits missed by more than rounding, as the certificate counts them, in words."""
        if self.worst_violation < _ROUNDING and self.status != "infeasible":
            return ()
        rows = []
        for row in (*self.budgets, *self.guardrails):
            excess = row.used - row.limit if row.sense == "<=" else row.limit - row.used
            if excess > _ROUNDING * max(abs(row.limit), 1e-9):
                what = " ".join(filter(None, (row.title or row.name, row.label)))
                rows.append(
                    f"{what} is {row.figure(row.used)} where {row.figure(row.limit)} is the "
                    f"{'most' if row.sense == '<=' else 'least'}"
                )
        return tuple(rows) or (f"it misses a limit by {self.worst_violation:.1%} of it",)

    @property
    def cause(self) -> str:
        """What keeps the plan from being better than it is."""
        binding = [row for row in (*self.budgets, *self.guardrails) if row.binding]
        if self.by_people:
            return "people decided otherwise"
        if not binding:
            return "the current plan breaks a limit that this one keeps, or the models changed"
        named = dict.fromkeys(f"{words(row.title)} {row.label}".strip() for row in binding)
        shown = list(named)[:3]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        return f"the limits on {listed(shown)}{more} leave no better plan"

    @property
    def titles(self) -> dict[str, str]:
        """What the levers are called."""
        return {name: reading.title for name, reading in self.readings.items()}

    def totals(self) -> dict[str, tuple[float, float]]:
        """Lever -> (plan, current plan) over all its labels: a sum, or a mean."""
        found = {}
        for name, reading in self.readings.items():
            rows = [row for row in self.levers if row.lever == name]
            share = 1.0 if reading.summed else 1.0 / max(len(rows), 1)
            found[name] = (
                share * sum(row.planned for row in rows),
                share * sum(row.current for row in rows),
            )
        return found

    @property
    def spent(self) -> dict[str, tuple[float, float]]:
        """Currency -> (plan, current plan): what levers that are money come to together."""
        found: dict[str, tuple[float, float]] = {}
        for name, (planned, current) in self.totals().items():
            reading = self.readings[name]
            code = currency(reading.unit)
            if code and reading.summed:
                before = found.get(code, (0.0, 0.0))
                found[code] = (before[0] + planned, before[1] + current)
        return found

    @property
    def certificate(self) -> str:
        """The certificate in one line."""
        residual = ""
        if math.isfinite(self.kkt_residual):
            residual = f", KKT residual {number(self.kkt_residual, 2)}"
        # Rounding is a number; what is missed for good is a share of the limit.
        worst = number(self.worst_violation, 2)
        if self.worst_violation >= 1e-3:
            worst = f"{self.worst_violation:.1%} of a limit"
        text = f"{self.status}{residual}, worst violation {worst}"
        if self.gap_bound is not None:
            text += f", at most {amount(self.gap_bound, self.objective_unit)} from the best plan"
        return text

    def save(self, folder: Path) -> None:
        """Write the summary into an existing folder."""
        (folder / _FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "PlanSummary":
        """Read what ``save`` wrote.

        Raises:
            ProjectError: the file is missing or damaged.
        """
        try:
            values = json.loads(held_text(folder / _FILE))
            values["levers"] = tuple(LeverRow(**item) for item in values["levers"])
            values["readings"] = {n: Reading(**item) for n, item in values["readings"].items()}
            for name in ("budgets", "guardrails"):
                values[name] = tuple(LimitRow(**item) for item in values[name])
            values["sensitivities"] = tuple(Sensitivity(**i) for i in values["sensitivities"])
            values["flagged"] = tuple(tuple(item) for item in values["flagged"])
            for name in ("repeated", "warnings", "conflicts"):
                values[name] = tuple(values.get(name, ()))
            if found := values.get("stability"):
                rows = tuple(StabilityRow(**row) for row in found.pop("rows"))
                values["stability"] = PlanStability(
                    tuple(found["origins"]), {k: tuple(v) for k, v in found["moved"].items()}, rows
                )
            if found := values.get("evidence"):
                lines = tuple(
                    EvidenceLine(
                        **{**line, "trials": tuple(line["trials"]), "stale": tuple(line["stale"])}
                    )
                    for line in found["lines"]
                )
                values["evidence"] = Standings(
                    lines, found["most_unmeasured"], tuple(found["remarks"])
                )
            values["bounds"] = {n: tuple(ends) for n, ends in values.get("bounds", {}).items()}
            return cls(**values)
        except (
            OSError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
        ) as error:
            raise ProjectError(
                f"a whole plan in {folder}", f"{error}", "Make the plan again with `dagcast plan`."
            ) from error
