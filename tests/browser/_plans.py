"""Plans of made-up markets of any size, with all that a page shows and noise that does not pack."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from dagcast.plans import (
    Estimate,
    EvidenceLine,
    Gain,
    LeverRow,
    LimitRow,
    Outlook,
    Path3,
    PlanSummary,
    Reading,
    Standings,
)
from dagcast.review import Page, PlanEvidence, plan_page

MIXED = "profit + 4 \N{MULTIPLICATION SIGN} rides"
PARTS = ("boost", "guarantee", "streak")
SPEND = Reading("Incentive spend", "USD/h", "money", "", True)
# Title, unit, how it is written, what is better, whether it adds up, weight, size, what spend does.
OUTCOMES = {
    "profit": ("Profit", "USD/h", "money", "higher", True, "", 200.0, 0.02),
    "rides": ("Rides", "ride/h", "count", "higher", True, "", 25.0, 0.1),
    "eta": ("Pickup ETA", "min", "minutes", "lower", False, "sessions", 5.0, -0.15),
    "prime_time": ("Prime time", "1", "share", "lower", False, "sessions", 0.08, -0.3),
    "sessions": ("Sessions", "session/h", "count", "higher", True, "", 55.0, 0.0),
    "driver_hours": ("Driver hours", "driver-hour/h", "count", "higher", True, "", 15.0, 0.2),
    "incremental": ("Incremental hours", "driver-hour/h", "count", "higher", True, "", 3.0, 1.0),
    "gained": ("Gained driver hours", "driver-hour/h", "count", "higher", True, "", 2.9, 1.0),
    "stretch": ("Pickup stretch", "1", "number", "lower", False, "", 1.0, -0.1),
    "appeal": ("Appeal of the quote", "log odds", "number", "higher", False, "", 0.2, 0.2),
    "conversion": ("Conversion", "1", "share", "higher", False, "sessions", 0.46, 0.1),
    "revenue": ("Fares", "USD/h", "money", "higher", True, "", 500.0, 0.08),
    "driver_pay": ("Driver pay", "USD/h", "money", "", True, "", 280.0, 0.08),
}  # fmt: skip


SCALES = (0.25, 0.5, 0.75, 1.25, 1.5)


def rise(scale):
    """Share of what the plan brings that so much of its money brings."""
    return 4.0 * scale / (1.0 + 3.0 * scale)


@final
@dataclass(frozen=True)
class Market:
    """A plan with everything that its page is made of."""

    summary: PlanSummary
    outlook: Outlook
    decisions: dict
    current: dict
    marginals: dict

    def page(self, **more) -> Page:
        given = {
            "project": "north",
            "state": "proposed by ana, 2 Mar 2026 08:00 UTC",
            "lever_rows": (),
        }
        return plan_page(
            self.summary,
            self.outlook,
            decisions={"spend": self.decisions},
            current={"spend": self.current},
            marginals=self.marginals,
            **{"evidence": PlanEvidence(), "digest": "0123456789abcdef" * 4, **given, **more},
        )


def market(rows=12, *, labels=None, gain=1.0, losers=(), seed=0, **changes) -> Market:
    """A market of so many rows.

    Args:
        rows: how many.
        labels: of them; ``R000`` and so on by default.
        gain: by what the whole gains over the current plan are multiplied.
        losers: places of rows that lose.
        seed: of the noise.
        **changes: of the summary.
    """
    random = np.random.default_rng(seed)
    named = tuple(labels or (f"R{row:03d}" for row in range(rows)))
    count = len(named)
    scale = np.exp(random.normal(0.0, 0.8, (count, 1)))
    hour = np.arange(168)
    day = (1.2 + np.sin((hour - 9) / 24 * 2 * np.pi) + 0.3 * (hour > 96))[None]
    level = scale * day
    decisions = {
        part: np.maximum(0.0, level * share * np.exp(random.normal(0, 0.2, (count, 168))) - 0.2)
        for part, share in zip(PARTS, (0.8, 1.2, 0.6), strict=True)
    }
    current = {
        part: np.round(1.3 * values * np.exp(random.normal(0, 0.4, values.shape)), 2)
        for part, values in decisions.items()
    }
    paths, effects = {arm: {} for arm in ("plan", "none", "current")}, {}
    spent, now = (sum(found.values()) for found in (decisions, current))
    for name, (_, _, _, _, summed, _, size, react) in OUTCOMES.items():
        base = size * (level if summed else np.sqrt(day) * np.ones((count, 1)))
        base = base * np.exp(random.normal(0, 0.08, base.shape))
        for arm, amount in (("plan", spent), ("none", 0 * spent), ("current", now)):
            reached = np.sqrt(amount / (level + 1e-9))
            mid = base * react * reached if react == 1.0 else base * (1 + react * reached)
            paths[arm][name] = _path(_with_total(mid, summed), random)
        effect = paths["plan"][name].mid - paths["none"][name].mid
        if name in ("profit", "rides"):
            effects[name] = Path3(effect, 0.4 * effect, 1.7 * effect)
    scaled = {}
    for name in ("profit", "rides"):
        plan, none = (paths[arm][name].mid for arm in ("plan", "none"))
        # What is brought saturates: two thirds of it by half of the money.
        scaled[name] = np.stack([none + (plan - none) * rise(scale) for scale in SCALES])
    factors = {"objective": 2.0, "eta": -0.1, "prime_time": -0.004, "profit": 0.6, "rides": 0.4}
    marginals = {
        outcome: {
            "spend": {
                part: factor * np.exp(random.normal(0, 0.15, (count, 168))) * (2 - 0.5 * day)
                for part in PARTS
            }
        }
        for outcome, factor in factors.items()
    }
    outlook = replace(
        _outlook(named, paths, effects, gain, losers, random), scales=SCALES, scaled=scaled
    )
    return Market(
        _summary(named, decisions, current, changes), outlook, decisions, current, marginals
    )


def _with_total(mid, summed):
    whole = mid.sum(axis=0) if summed else mid.mean(axis=0)
    return np.vstack([whole, mid])


def _path(mid, random):
    below, above = (np.exp(random.normal(-2.2, 0.3, mid.shape)) for _ in range(2))
    return Path3(mid, mid - np.abs(mid) * below, mid + np.abs(mid) * above)


def _outlook(named, paths, effects, gain, losers, random):
    readings = {name: Reading(*found[:6]) for name, found in OUTCOMES.items()}
    over = {
        name: paths["plan"][name].mid.sum(axis=1) - paths["current"][name].mid.sum(axis=1)
        if reading.summed
        else paths["plan"][name].mid.mean(axis=1) - paths["current"][name].mid.mean(axis=1)
        for name, reading in readings.items()
    }
    for name in ("profit", "rides"):
        over[name] = gain * np.abs(over[name])
        over[name][1:][list(losers)] *= -1
    over["objective"] = over["profit"] + 4 * over["rides"]

    def estimate(value):
        return Estimate(value, value - 0.3 * abs(value), value + 0.3 * abs(value))

    def total(name, arm, row=0):
        values = paths[arm][name].mid[row]
        return float(values.sum() if readings[name].summed else values.mean())

    def row_gain(value):
        found = estimate(value)
        return Gain(found.mid, found.low, found.high, 0.97 if value > 0 else 0.2)

    totals = {arm: {n: estimate(total(n, arm)) for n in readings} for arm in paths}
    for arm, found in totals.items():
        found["objective"] = estimate(total("profit", arm) + 4 * total("rides", arm))
    plan, none = totals["plan"], totals["none"]
    rows = range(1, len(named) + 1)
    return Outlook(
        "region",
        named,
        "hour",
        tuple(f"{np.datetime64('2026-03-02T00') + hour}:00:00+00:00" for hour in range(168)),
        0.9,
        32,
        4,
        readings,
        {"none": "no spend", "current": "the current plan"},
        paths,
        totals,
        {
            "none": {name: estimate(plan[name].mid - none[name].mid) for name in plan},
            "current": {name: estimate(float(found[0])) for name, found in over.items()},
        },
        {name: tuple(estimate(total(name, "plan", row)) for row in rows) for name in readings},
        {"current": {name: float(found[0] > 0) for name, found in over.items()}, "none": {}},
        {name: tuple(map(row_gain, found[1:].tolist())) for name, found in over.items()},
        effects,
    )


def _summary(named, decisions, current, changes):
    total = float(sum(values.sum() for values in decisions.values()))
    price = f"one dollar more allowed adds $2.00 of {MIXED}: +$0.50 profit and +0.375 rides"
    money = ("Incentive spend", "money")
    budgets = [LimitRow("spend", "", "<=", total, total, "USD", 2.0, price, True, None, *money)]
    rails = []
    for row, label in enumerate(named):
        own = float(sum(values[row].sum() for values in decisions.values()))
        for rows, name, used, limit, unit, title in (
            (budgets, "spend", own, 1.5 * own, "USD", money),
            (rails, "eta", 5.0, 5.6, "min", ("Pickup ETA", "minutes")),
            (rails, "prime_time", 0.08, 0.1, "1", ("Prime time", "share")),
        ):
            rows.append(
                LimitRow(name, label, "<=", used, limit, unit, 0.0, "", False, None, *title)
            )
    lines = tuple(
        EvidenceLine(
            lever="spend",
            label=part,
            standing="measured",
            amount=float(values.sum()),
            measured=0.8 * float(values.sum()),
            history=0.2 * float(values.sum()),
            prior=0.0,
            beyond=0.1 * float(values.sum()),
            elsewhere=0.2 * float(values.sum()),
            trials=(f"{part}-hours",),
            stale=(),
            dose=5.0,
            used=9.0,
        )
        for part, values in decisions.items()
    )
    given = {
        "plan": "plan-0007",
        "kind": "optimised",
        "status": "optimal",
        "message": "",
        "kkt_residual": 1e-12,
        "worst_violation": 0.0,
        "gap_bound": 0.2,
        "objective": MIXED,
        "objective_unit": "USD",
        "levers": tuple(
            LeverRow("spend", part, float(values.sum()), float(current[part].sum()))
            for part, values in decisions.items()
        ),
        "readings": {"spend": SPEND},
        "budgets": tuple(budgets),
        "guardrails": tuple(rails),
        "sensitivities": (),
        "flagged": (),
        "repeated": (),
        "provenance": {"data_moment": "2026-03-02T00:00:00+00:00"},
        "seconds": 3.0,
        "evidence": Standings(lines),
        "weights": {"profit": 1.0, "rides": 4.0},
        "bounds": {"spend": (0.0, 60.0)},
    }
    return PlanSummary(**{**given, **changes})
