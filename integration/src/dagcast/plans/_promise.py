"""What a plan promised, beside what came of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import final

import numpy as np

from dagcast.plans._axes import Axes, Values, overall, together, with_total
from dagcast.plans._outlook import Estimate, Outlook
from dagcast_core.contract import Quantity

_DAY = 24


@final
@dataclass(frozen=True)
class Promise:
    """A figure that people approved, and what happened.

    Attributes:
        plan: that promised it.
        start: first hour of its horizon, ISO UTC.
        quantity: its name, or ``objective``.
        row: label of one row, such as a region; empty for all together.
        over: the arm whose difference was promised, such as ``none``; empty for the outcome itself.
        mid: the promise.
        low: lower end of its interval.
        high: upper end.
        level: that the interval promised.
        happened: what was observed; for a difference, re-estimated with what happened.
    """

    plan: str
    start: str
    quantity: str
    row: str
    over: str
    mid: float
    low: float
    high: float
    level: float
    happened: float

    @property
    def held(self) -> bool:
        """Whether what happened lies in the interval; nearer than rounding counts as inside."""
        room = 1e-9 * max(abs(self.low), abs(self.high), 1e-300)
        return self.low - room <= self.happened <= self.high + room

    @property
    def off(self) -> float:
        """(happened - promise) in the interval's standard deviations; NaN where it has no width."""
        width = self.high - self.low
        if not width > 1e-9 * max(abs(self.low), abs(self.high)):
            return math.nan
        return (self.happened - self.mid) * 2 * NormalDist().inv_cdf((1 + self.level) / 2) / width


@final
@dataclass(frozen=True)
class DayPromise:
    """Cells of one quantity on one day ahead, against the bands of the page.

    Attributes:
        plan: that promised them.
        quantity: its name.
        day: ahead, the first is 1.
        inside: cells inside their band.
        cells: that were observed.
        off: mean of (happened - promise) in standard deviations of the bands.
    """

    plan: str
    quantity: str
    day: int
    inside: int
    cells: int
    off: float


@final
@dataclass(frozen=True)
class PromiseCount:
    """Promises of one kind together.

    Attributes:
        by: what they are put together by: ``outcome``, ``region``, ``day ahead``, ``lift over`` ...
        label: which one.
        held: how many were inside their interval.
        count: of them.
        off: mean of (happened - promise) in standard deviations.
        relative: sum of what happened over the sum of what was promised, less 1; NaN where the
            quantities differ or nothing was promised.
    """

    by: str
    label: str
    held: int
    count: int
    off: float
    relative: float

    @property
    def coverage(self) -> float:
        """Share inside."""
        return self.held / self.count if self.count else math.nan


def outcome_promises(
    plan: str,
    outlook: Outlook,
    happened: Values,
    quantities: Mapping[str, Quantity],
    *,
    combined: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[Promise, ...]:
    """Every outcome that was promised and observed: all rows together, then row by row.

    Args:
        plan: its name.
        outlook: what was promised.
        happened: (rows, hour) by quantity, NaN where nothing was observed.
        quantities: declarations by name.
        combined: totals that are weighted sums of quantities, e.g. the objective.
    """
    axes = outlook.axes
    known = {name: np.nan_to_num(values) for name, values in happened.items()}
    found, totals = [], {}
    start, level = outlook.hours[0], outlook.level
    for name, promised in outlook.totals["plan"].items():
        if name not in happened or name not in quantities or not _whole(happened, name, quantities):
            continue
        totals[name] = overall(known, quantities[name], axes)
        found.append(_promise(plan, start, name, "", promised, level, totals[name]))
        rows = outlook.weeks.get(name, ())
        if len(rows) == len(known[name]):
            own = together(known, quantities[name], axes.time, -1)
            found += [
                _promise(plan, start, name, str(row), each, level, float(value))
                for row, each, value in zip(outlook.rows, rows, own, strict=True)
            ]
    for name, weights in (combined or {}).items():
        if all(part in totals for part in weights) and name in outlook.totals["plan"]:
            value = sum(weight * totals[part] for part, weight in weights.items())
            found.append(
                _promise(plan, start, name, "", outlook.totals["plan"][name], level, value)
            )
    return tuple(found)


def lift_promises(
    plan: str, outlook: Outlook, lifts: Mapping[str, Mapping[str, float]]
) -> tuple[Promise, ...]:
    """Differences that were promised, beside their size re-estimated with what happened.

    Args:
        plan: its name.
        outlook: what was promised.
        lifts: arm -> quantity -> executed less that arm, by the ex-post model.
    """
    return tuple(
        _promise(plan, outlook.hours[0], name, "", promised, outlook.level, lifts[arm][name], arm)
        for arm, differences in outlook.differences.items()
        for name, promised in differences.items()
        # What no lever moves promised nothing.
        if arm in lifts and name in lifts[arm] and (promised.low, promised.high) != (0.0, 0.0)
    )


def day_promises(
    plan: str, outlook: Outlook, happened: Values, quantities: Mapping[str, Quantity]
) -> tuple[DayPromise, ...]:
    """How many cells lay inside their bands, by quantity and day ahead."""
    axes: Axes = outlook.axes
    z = 2 * NormalDist().inv_cdf((1 + outlook.level) / 2)
    found = []
    for name, path in outlook.paths["plan"].items():
        if name not in happened or name not in quantities:
            continue
        weighing = {other: np.nan_to_num(values) for other, values in happened.items()}
        values = with_total({**weighing, name: happened[name]}, quantities[name], axes)
        by_row = axes.dim in quantities[name].dim_names
        cut = slice(1, None) if by_row else slice(0, 1)
        value, mid, low, high = (part[cut] for part in (values, path.mid, path.low, path.high))
        seen = np.isfinite(value) & np.isfinite(low) & np.isfinite(high)
        inside = seen & (value >= low) & (value <= high)
        width = np.where(seen & (high > low), high - low, np.nan)
        off = (value - mid) * z / width
        for day in range(-(-value.shape[1] // _DAY)):
            hours = slice(day * _DAY, (day + 1) * _DAY)
            cells = int(seen[:, hours].sum())
            if not cells:
                continue
            apart = off[:, hours]
            known = apart[np.isfinite(apart)]
            mean = float(known.mean()) if known.size else math.nan
            found.append(DayPromise(plan, name, day + 1, int(inside[:, hours].sum()), cells, mean))
    return tuple(found)


def counts(by: str, groups: Mapping[str, Sequence[Promise]]) -> tuple[PromiseCount, ...]:
    """Promises put together by label."""
    return tuple(_count(by, label, items) for label, items in groups.items() if items)


def day_counts(items: Iterable[DayPromise]) -> tuple[PromiseCount, ...]:
    """Cells put together by day ahead."""
    by_day: dict[int, list[DayPromise]] = {}
    for item in items:
        by_day.setdefault(item.day, []).append(item)
    found = []
    for day, own in sorted(by_day.items()):
        weighed = [(item.off, item.cells) for item in own if math.isfinite(item.off)]
        cells = sum(weight for _, weight in weighed)
        off = sum(value * weight for value, weight in weighed) / cells if cells else math.nan
        found.append(
            PromiseCount(
                "day ahead, cells",
                str(day),
                sum(item.inside for item in own),
                sum(item.cells for item in own),
                off,
                math.nan,
            )
        )
    return tuple(found)


def _count(by: str, label: str, items: Sequence[Promise]) -> PromiseCount:
    offs = [item.off for item in items if math.isfinite(item.off)]
    promised = sum(item.mid for item in items)
    alike = len({(item.quantity, item.over) for item in items}) == 1 and promised != 0
    return PromiseCount(
        by,
        label,
        sum(item.held for item in items),
        len(items),
        sum(offs) / len(offs) if offs else math.nan,
        sum(item.happened for item in items) / promised - 1 if alike else math.nan,
    )


def _whole(happened: Values, name: str, quantities: Mapping[str, Quantity]) -> bool:
    """Whether a total can be told: a sum with a hole is none, a mean leaves holes out."""
    time = quantities[name].time_dim
    summed = time is not None and quantities[name].aggregated(time.name) == "sum"
    known = np.isfinite(happened[name])
    return bool(known.all()) if summed else bool(known.any())


def _promise(
    plan: str,
    start: str,
    quantity: str,
    row: str,
    promised: Estimate,
    level: float,
    happened: float,
    over: str = "",
) -> Promise:
    return Promise(
        plan,
        start,
        quantity,
        row,
        over,
        promised.mid,
        promised.low,
        promised.high,
        level,
        float(happened),
    )
