"""The first screen answers what people ask, ranks what to look at, and promises no more."""

from dataclasses import replace

import numpy as np
import pytest

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
from dagcast.review import Interval, PlanEvidence, plan_page, render

ROWS = ("AUS", "EWR", "SF O/</script>")
HOURS = tuple(f"2026-03-02T{hour:02d}:00:00+00:00" for hour in range(4))
READINGS = {
    "profit": Reading("Profit", "USD/h", "money", "higher", True),
    "rides": Reading("Rides", "ride/h", "count", "higher", True),
    "eta": Reading("Pickup ETA", "min", "minutes", "lower", False, "rides"),
}
MIXED = "profit + 4 \N{MULTIPLICATION SIGN} rides"
SPEND = Reading("Incentive spend", "USD/h", "money", "", True)
DECIDED = {"boost": np.array([[1.0], [20.0], [4.0]]) * np.ones((1, 4))}


def line(label, **parts):
    given = {"measured": 0.0, "history": 0.0, "prior": 0.0, "beyond": 0.0, "elsewhere": 0.0}
    given |= parts
    standing = max(("measured", "history", "prior"), key=given.get)
    amount = given["measured"] + given["history"] + given["prior"]
    return EvidenceLine(
        "spend",
        label,
        standing,
        amount,
        **given,
        trials=("boost-hours",),
        stale=(),
        dose=5.0,
        used=9.0,
    )


def summary(**more):
    budget = LimitRow(
        "spend", "", "<=", 100.0, 100.0, "USD", 2.0,
        f"one dollar more allowed adds $2.00 of {MIXED}: +$0.50 profit and +0.375 rides",
        True, None, "Incentive spend", "money",
    )  # fmt: skip
    values = {
        "plan": "plan-0004",
        "kind": "optimised",
        "status": "optimal",
        "message": "",
        "kkt_residual": 1e-12,
        "worst_violation": 0.0,
        "gap_bound": 0.0,
        "objective": MIXED,
        "objective_unit": "USD",
        "levers": (LeverRow("spend", "boost", 100.0, 60.0),),
        "readings": {"spend": SPEND},
        "budgets": (budget,),
        "guardrails": (),
        "sensitivities": (),
        "flagged": (),
        "repeated": (),
        "provenance": {"data_moment": HOURS[0]},
        "seconds": 1.0,
        "evidence": Standings((line("boost", measured=100.0),)),
        "weights": {"profit": 1.0, "rides": 4.0},
    }
    return PlanSummary(**{**values, **more})


def outlook(gain=30.0, **more):
    flat = Path3(*(np.ones((4, 4)) for _ in range(3)))
    total = {"profit": Estimate(gain, gain - 10, gain + 10), "rides": Estimate(50.0, 40.0, 80.0)}
    total |= {"eta": Estimate(-0.1, -0.2, 0.0), "objective": Estimate(gain, gain - 5, gain + 5)}
    rows = tuple(Gain(5.0, -5.0, 9.0, chance) for chance in (1.0, 0.75, 1.0))
    found = Outlook(
        "region",
        ROWS,
        "hour",
        HOURS,
        0.9,
        32,
        4,
        READINGS,
        {"none": "no spend", "current": "the current plan"},
        {arm: dict.fromkeys(READINGS, flat) for arm in ("plan", "none", "current")},
        dict.fromkeys(("plan", "none", "current"), total),
        dict.fromkeys(("none", "current"), total),
        {},
        {"current": {"objective": 0.75}},
        dict.fromkeys(("objective", "profit", "rides"), rows),
    )
    return replace(found, **more)


def page(found=None, expected=None, effects=(), **more):
    return plan_page(
        found or summary(),
        expected or outlook(),
        decisions={"spend": DECIDED},
        marginals={},
        lever_rows=(),
        evidence=PlanEvidence(effects=tuple(effects)),
        project="north",
        state="proposed by ana",
        **more,
    )


def answer(found, key):
    return next(item for item in found.answers if item.key == key)


def looks(found):
    return [(link.name, link.href) for link in answer(found, "first").links]


def test_five_questions_are_answered_in_order():
    found = page(digest="ab12", kept="13 of 14 kept (93%, promised 90%), 2 plans")
    assert [item.key for item in found.answers] == ["planned", "brings", "costs", "sure", "first"]
    assert answer(found, "planned").figure == "$100 incentive spend"
    assert "Mon 2 Mar 2026 to Mon 2 Mar 2026" in answer(found, "planned").lines[0]
    brings = answer(found, "brings")
    assert brings.figure == "+$30 profit"
    assert brings.lines[0] == (
        "Over the current plan: profit +$30 (+$20 to +$40) and rides +50 (+40 to +80)"
    )
    assert brings.lines[2] == (
        "Better than the current plan in 75% of 32 draws; intervals hold 90%"
    )
    assert answer(found, "sure").figure == "13 of 14 kept"
    assert found.mark == "plan-0004 · proposed by ana · sha256 ab12"


def test_costs_say_money_and_rides_apart_and_what_their_sum_means():
    costs = answer(page(), "costs")
    assert costs.figure == "$2.00 per added ride"
    assert costs.lines[0] == "On average, over no spend; $1.25 to $2.50"
    assert costs.lines[1].endswith("+$0.50 profit and +0.375 rides")
    assert costs.lines[2] == f"In {MIXED}, each ride counts as $4: worth, not money"


@pytest.mark.parametrize(("gain", "tone"), [(30.0, "good"), (3.0, "neutral"), (-30.0, "bad")])
def test_what_a_plan_brings_is_green_only_where_it_is_better_for_sure(gain, tone):
    found = page(expected=outlook(gain))
    assert answer(found, "brings").tone == tone
    assert (found.tone == "good") is (gain > 0)


def test_money_times_doubt_ranks_what_to_look_at():
    """A certain row is none; a broken limit is before all; what is gravest of a place stands."""
    assert looks(page()) == [("EWR", "#rows=EWR")]
    weak = summary(evidence=Standings((line("boost", measured=40.0, history=60.0),)))
    assert looks(page(weak)) == [("boost", "#part=boost"), ("EWR", "#rows=EWR")]
    young = summary(young={"AUS": 1, "EWR": 3})
    assert looks(page(young))[0] == ("EWR", "#rows=EWR")
    assert answer(page(young), "first").links[0].why == "3 weeks old"
    far = Interval("boost-hours", 1.0, 0.5, 1.5, 2.0, 1.9, 2.1, "contradicts")
    found = answer(page(effects=[far]), "first").links[0]
    assert (found.name, found.why) == (
        "boost",
        "boost-hours measured 0.5 times what the models assume",
    )
    over = summary(
        status="infeasible",
        kind="edited",
        budgets=(
            LimitRow(
                "spend", "EWR", "<=", 80.0, 40.0, "USD", 0.0, "", False, None, "Spend", "money"
            ),
        ),
    )
    assert looks(page(over))[0] == ("Broken limit", "#rows=EWR")


def test_a_row_says_what_may_get_worse_in_it():
    assert answer(page(), "first").links[0].why == (
        "most money, $80; profit may fall, in 25% of draws"
    )
    losing = dict.fromkeys(("objective", "profit"), (Gain(-7.0, -9.0, -1.0, 0.0),) * 3)
    why = {
        link.name: link.why
        for link in answer(page(expected=outlook(row_gains=losing)), "first").links
    }
    assert why["EWR"].endswith("going on as before is worth $7 more")


def test_plans_of_earlier_versions_have_their_page():
    """They keep neither chances nor gains by row, nor what the objective is made of."""
    old = page(summary(weights={}), outlook(chances={}, row_gains={}))
    assert [item.key for item in old.answers] == ["planned", "brings", "costs", "sure"]
    assert "chance" not in str(old.answers)
    assert "What it brings" in render(old)


def test_what_stands_against_approving_comes_before_any_figure_and_is_never_green():
    found = page(against=("data were ingested since it was made",))
    assert found.tone == "warning"
    text = render(found)
    assert text.index("data were ingested") < text.index("What is planned")
    assert "What stood against" not in render(page())


def test_exactness_of_the_solver_is_a_detail():
    found = page()
    assert "KKT" not in found.status
    assert "KKT" in str(next(s for s in found.sections if s.key == "provenance"))


def test_links_and_labels_stay_text():
    text = render(page(expected=outlook(row_gains={"objective": (Gain(5.0, -5.0, 9.0, 0.5),) * 3})))
    assert "#rows=SF%20O%2F%3C%2Fscript%3E" in text
    assert "SF O/</script>" not in text
