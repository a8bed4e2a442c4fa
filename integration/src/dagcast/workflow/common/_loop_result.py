"""Weeks that were lived through in a simulated market, judged by its truth."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from dagcast.figures import DASH, amount
from dagcast.workflow.common._result import Result, ResultTable

# Whose decisions are judged beside the plan's, in words.
POLICIES: Mapping[str, str] = {
    "plan": "the plan",
    "operator": "operator's rule",
    "static": "first plan, repeated",
    "none": "no spend",
    "best": "truth known",
}
# How many weeks at the end the summary takes together.
LAST = 4


@final
@dataclass(frozen=True)
class LoopWeek:
    """One week of the loop.

    Attributes:
        week: its first hour, ISO UTC.
        state: where `week` stood when it was lived through: ``approved``, or why not.
        plan: the plan; None where there was none.
        lived: whose decisions were carried out: ``plan``, or ``operator`` where none was approved.
        worth: policy -> true value of the objective over the week.
        promised: lift of the plan over no spend: figure and interval; None without a plan.
        experiments: how many the models knew.
        kept: promised outcomes that came out inside their intervals, and how many there were.
    """

    week: str
    state: str
    plan: str | None
    lived: str
    worth: Mapping[str, float]
    promised: tuple[float, float, float] | None
    experiments: int
    kept: tuple[int, int] | None = None

    @property
    def lift(self) -> float:
        """True lift of the plan over no spend, of what was lived where there was no plan."""
        return self.worth[self.lived] - self.worth["none"]

    @property
    def regret(self) -> float:
        """What knowing the truth would have added to what was lived."""
        return self.worth["best"] - self.worth[self.lived]

    @property
    def closed(self) -> float | None:
        """Share of the way from the operator's rule to the truth known; None where there is none.

        In the same week and market for both, whatever was lived before.
        """
        way = self.worth["best"] - self.worth["operator"]
        return (self.worth[self.lived] - self.worth["operator"]) / way if way > 0 else None

    @property
    def inside(self) -> bool | None:
        """Whether the interval of the promised lift holds the true one; None without a plan."""
        if self.promised is None or self.lived != "plan":
            return None
        _, low, high = self.promised
        return low <= self.lift <= high


@final
@dataclass(frozen=True)
class LoopResult(Result):
    """Weeks of the loop, and what they add up to.

    Attributes:
        folder: the project.
        weeks: one for each.
        unit: of the objective.
        figure: the drawing that was written.
    """

    folder: Path
    weeks: tuple[LoopWeek, ...]
    unit: str
    figure: Path

    def closed(self, weeks: Sequence[LoopWeek] | None = None) -> float:
        """Mean share of the way from the operator's rule to the truth known; NaN without any."""
        found = [w.closed for w in (self.weeks if weeks is None else weeks)]
        return _mean(value for value in found if value is not None)

    def tables(self) -> tuple[ResultTable, ...]:
        return (self._worth(), self._promises(), self._all())

    def _worth(self) -> ResultTable:
        rows = []
        for week in self.weeks:
            lifts = [self._lift(week, name) for name in POLICIES if name != "none"]
            closed = DASH if week.closed is None else f"{week.closed:.0%}"
            lived = week.lived if week.lived == "plan" else f"{week.lived} ({week.state})"
            rows.append((week.week[:10], lived, *lifts, amount(week.regret, self.unit), closed))
        heads = [f"{words}" for name, words in POLICIES.items() if name != "none"]
        columns = ("week from", "lived", *heads, "regret", "way closed")
        note = (
            "lift over no spend by replay, in the market as it had become; truth known keeps the "
            "plan's whole budget and no other limit; the way is from the operator's rule to it"
        )
        return ResultTable("True worth of each week", columns, tuple(rows), note)

    def _lift(self, week: LoopWeek, name: str) -> str:
        if name not in week.worth:
            return DASH
        return amount(week.worth[name] - week.worth["none"], self.unit, signed=True)

    def _promises(self) -> ResultTable:
        rows = []
        for week in self.weeks:
            if week.promised is None:
                continue
            mid, low, high = week.promised
            true = week.worth["plan"] - week.worth["none"]
            kept = DASH if week.kept is None else f"{week.kept[0]} of {week.kept[1]}"
            rows.append(
                (
                    week.week[:10],
                    amount(mid, self.unit, signed=True),
                    f"{amount(low, self.unit)} to {amount(high, self.unit)}",
                    amount(true, self.unit, signed=True),
                    f"{mid / true:.2f}" if true else DASH,
                    "yes" if low <= true <= high else "no",
                    kept,
                    str(week.experiments),
                )
            )
        columns = (
            "week from", "promised lift", "interval", "true", "ratio", "inside", "outcomes kept",
            "experiments",
        )  # fmt: skip
        return ResultTable("Promised and true lift over no spend", columns, tuple(rows))

    def _all(self) -> ResultTable:
        last = self.weeks[-LAST:]
        promised = [w for w in self.weeks if w.promised is not None]
        inside = [
            w.promised[1] <= w.worth["plan"] - w.worth["none"] <= w.promised[2]
            for w in promised
            if w.promised is not None
        ]
        ratio = _mean(
            w.promised[0] / (w.worth["plan"] - w.worth["none"]) for w in promised if w.promised
        )
        kept = [w.kept for w in self.weeks if w.kept is not None]
        outcomes = sum(count for _, count in kept)
        held = sum(count for count, _ in kept)
        share = f"{held / outcomes:.0%} of {outcomes}" if outcomes else DASH
        rows = (
            ("way from the operator's rule to the truth known", _share(self.closed())),
            (f"the same, last {len(last)} weeks", _share(self.closed(last))),
            ("regret a week, mean", amount(_mean(w.regret for w in self.weeks), self.unit)),
            ("promised over true lift, mean", f"{ratio:.2f}"),
            ("lifts inside their intervals", f"{sum(inside)} of {len(inside)}"),
            ("outcomes inside their intervals", share),
            ("weeks without an approved plan", str(sum(w.lived != "plan" for w in self.weeks))),
            ("figure", str(self.figure)),
        )
        return ResultTable(f"{len(self.weeks)} weeks", ("what", "is"), rows)

    def next_command(self) -> str:
        return f"dagcast promises --project {self.folder}"

    def to_json(self) -> dict[str, object]:
        """Fields, and each week's lift, regret and share of the way."""
        found = Result.to_json(self)
        for week, values in zip(self.weeks, found["weeks"], strict=True):
            values |= {"lift": week.lift, "regret": week.regret, "closed": week.closed}
            values["inside"] = week.inside
        return found


def drawing(weeks: Sequence[LoopWeek], unit: str) -> str:
    """Lifts over no spend, week by week, as SVG.

    Args:
        weeks: of the loop.
        unit: of the objective.
    """
    wide, high, left, top = 640, 300, 80, 24
    lifts = {
        name: [w.worth[name] - w.worth["none"] for w in weeks if name in w.worth]
        for name in POLICIES
    }
    values = [value for line in lifts.values() for value in line]
    low, most = min(values), max(values)
    span = (most - low) or 1.0
    step = (wide - left - 150) / max(len(weeks) - 1, 1)

    def point(k: int, value: float) -> str:
        return f"{left + k * step:.1f},{top + (most - value) / span * (high - top - 40):.1f}"

    colours = ("#0b5fa5", "#b3541e", "#7a7a7a", "#b9b9b9", "#2e7d32")
    parts = []
    for colour, (name, line) in zip(colours, lifts.items(), strict=True):
        if not line:
            continue
        points = " ".join(point(k, value) for k, value in enumerate(line))
        x, _, y = point(len(line) - 1, line[-1]).partition(",")
        style = f'fill="none" stroke="{colour}" stroke-width="2"'
        parts.append(f'<polyline points="{points}" {style}/>')
        parts.append(
            f'<text x="{float(x) + 8:.1f}" y="{float(y) + 4:.1f}" fill="{colour}">'
            f"{POLICIES[name]}</text>"
        )
    for value in (low, most):
        y = point(0, value).partition(",")[2]
        parts.append(
            f'<text x="{left - 8}" y="{float(y) + 4:.1f}" text-anchor="end">'
            f"{amount(value, unit)}</text>"
        )
    ends = f'<text x="{left}" y="{high - 8}">week from {weeks[0].week[:10]}</text>'
    title = f'<text x="{left}" y="14">True lift over no spend, a week</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" '
        f'font-family="sans-serif" font-size="12">{title}{"".join(parts)}{ends}</svg>\n'
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.fmean(found) if found else float("nan")


def _share(value: float) -> str:
    return DASH if value != value else f"{value:.0%}"
