"""A made-up market in hindsight: what happened, what would have been best, and what made it."""

import numpy as np
from _plans import OUTCOMES, PARTS, SPEND, market

from dagcast.plans import Hindsight, LeverGap, OutcomeGap, Promise, Reading, RegretShare
from dagcast.review import Reality, retro_page

MEMBERS = ("sessions", "driver-hours", "pricing")
EXECUTION = "carried out otherwise"


def looked_back(rows=5, *, labels=None, seed=3):
    """A market and all that is known of its week."""
    made = market(rows, labels=labels, seed=seed)
    random = np.random.default_rng(seed + 1)
    outlook = made.outlook
    count = len(outlook.rows)

    def near(values, width):
        return values * np.exp(random.normal(0.0, width, values.shape))

    plan = outlook.paths["plan"]
    happened = {name: near(plan[name].mid, 0.1) for name in OUTCOMES}
    ex_post = {name: near(happened[name], 0.02) for name in OUTCOMES}
    done = {part: near(values, 0.05) for part, values in made.decisions.items()}
    best = {part: near(values, 0.2) for part, values in made.decisions.items()}
    regret = {
        name: random.normal(size, 1.0, (count, 168))
        for name, size in zip((*MEMBERS, EXECUTION), (0.5, 0.2, -0.1, 0.02), strict=True)
    }
    reality = Reality(
        happened,
        ex_post,
        {"spend": made.decisions},
        {"spend": done},
        {"spend": best},
        regret,
        (*_promises(outlook, happened, "plan-0006"), *_promises(outlook, happened, "plan-0007")),
    )
    return made, reality, _hindsight(outlook, reality, made)


def page_of(made, reality, found):
    return retro_page(
        found,
        made.outlook,
        reality=reality,
        project="north",
        state="approved by ben, 3 Mar 2026 09:00 UTC",
    )


def _total(outlook, values, name, row):
    own = values[name][row]
    return float(own.sum() if outlook.readings[name].summed else own.mean())


def _promises(outlook, happened, plan):
    found = []
    for name in ("profit", "rides", "eta"):
        for row, label in enumerate(("", *outlook.rows)):
            item = outlook.totals["plan"][name] if not row else outlook.weeks[name][row - 1]
            got = _total(outlook, happened, name, row)
            # The second region has fewer rides than any interval holds.
            got *= 0.2 if (name, row) == ("rides", 2) else 1.0
            found.append(
                Promise(
                    plan,
                    "2026-03-02T00:00:00+00:00",
                    name,
                    label,
                    "",
                    item.mid,
                    item.low,
                    item.high,
                    0.9,
                    got,
                )
            )
    return tuple(found)


def _hindsight(outlook, reality, made):
    sums = {name: float(values.sum()) for name, values in reality.regret.items()}
    spent = [float(sum(v.sum() for v in arm["spend"].values()))
             for arm in (reality.planned, reality.done, reality.best)]  # fmt: skip
    regret = sum(sums.values())
    return Hindsight(
        plan="plan-0007",
        objective=made.summary.objective,
        unit="USD",
        regret=regret,
        share=0.04,
        attainable=regret / 0.04,
        execution_gap=sums[EXECUTION],
        shares=tuple(RegretShare(name, sums[name], 0.0) for name in MEMBERS),
        violation=0.0,
        priced=0.0,
        levers=(LeverGap("spend", *spent),),
        outcomes=tuple(
            OutcomeGap(name, *(_total(outlook, values, name, 0) for values in (
                {name: outlook.paths["plan"][name].mid}, reality.happened, reality.ex_post)))
            for name in OUTCOMES
        ),
        readings={**{name: Reading(*found[:6]) for name, found in OUTCOMES.items()},
                  "spend": SPEND},
        solves=8,
        promises=_promises(outlook, reality.happened, "plan-0007"),
        arms=outlook.arms,
    )  # fmt: skip


__all__ = ["EXECUTION", "MEMBERS", "PARTS", "looked_back", "page_of"]
