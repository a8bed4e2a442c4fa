"""What a page says first is true of whoever decided, and never green where it loses."""

import numpy as np
import pytest

from dagcast.plans import (
    Estimate,
    EvidenceLine,
    LeverRow,
    LimitRow,
    Outlook,
    Path3,
    PlanSummary,
    Reading,
    Standings,
)
from dagcast.review import PlanEvidence, plan_page

HOURS = ("2026-03-02T00:00:00+00:00", "2026-03-02T01:00:00+00:00")
PROFIT = Reading("Profit", "USD/h", "money", "higher", True)
SPEND = Reading("Incentive spend", "USD/h", "money", "", True)


def limit(name, used, most, *, binding=False, title="Incentive spend"):
    words = "one dollar more allowed adds $2.00 of profit" if binding else ""
    return LimitRow(name, "", "<=", used, most, "USD", 2.0, words, binding, None, title, "money")


def page(kind="optimised", status="optimal", gain=100.0, limits=(), evidence=None, **more):
    summary = PlanSummary(
        plan="plan-0004",
        kind=kind,
        status=status,
        message="",
        kkt_residual=0.0,
        worst_violation=0.0,
        gap_bound=0.0,
        objective="profit",
        objective_unit="USD",
        levers=(LeverRow("spend", "", 12090.0, 11000.0),),
        readings={"spend": SPEND},
        budgets=tuple(limits),
        guardrails=(),
        sensitivities=(),
        flagged=(),
        repeated=(),
        provenance={"data_moment": HOURS[0]},
        seconds=1.0,
        evidence=evidence or Standings(),
    )
    return plan_page(
        summary,
        outlook(gain),
        decisions={"spend": {"Incentive spend": np.zeros((1, 2))}},
        marginals={},
        lever_rows=(),
        evidence=PlanEvidence(),
        project="north",
        state="proposed by ana",
        **more,
    )


def outlook(gain):
    """What is expected of a plan whose profit, and its lead over the current plan, is ``gain``."""
    flat = Path3(*(np.zeros((1, 2)) for _ in range(3)))
    found = Estimate(gain, gain - 10, gain + 10)
    return Outlook(
        "",
        (),
        "hour",
        HOURS,
        0.9,
        8,
        4,
        {"profit": PROFIT},
        {"current": "the current plan"},
        {"plan": {"profit": flat}, "current": {"profit": flat}},
        {arm: {"profit": found, "objective": found} for arm in ("plan", "current")},
        {"current": {"profit": found, "objective": found}},
        {},
    )


def test_an_edit_says_whose_it_is_what_it_breaks_and_by_how_much():
    found = page(
        "edited",
        "infeasible",
        limits=[limit("spend", 12090.0, 11701.0)],
        author="ana",
        parent="plan-0003",
    )
    assert found.headline == (
        "Ana's edit of plan-0003 has incentive spend of $12,090, $389 over the budget of "
        "incentive spend: profit $100 more than the current plan."
    )
    assert found.status == "Decided by people; 1 limit broken"


def test_only_a_solver_says_that_no_plan_keeps_all_limits():
    assert page(status="infeasible").headline.startswith("No plan keeps all limits.")
    kept = page("proposal", "feasible", author="ana").headline
    assert kept == (
        "Ana's proposal has incentive spend of $12,090: profit $100 more than the current plan."
    )


@pytest.mark.parametrize(("gain", "tone"), [(100.0, "good"), (-100.0, "warning")])
def test_a_plan_that_loses_against_going_on_as_before_is_not_green(gain, tone):
    found = page(gain=gain, limits=[limit("spend", 12090.0, 12090.0, binding=True)])
    assert found.tone == tone
    expected = (
        "Going on as before is worth $100 more of profit: the limits on incentive spend leave no "
        "better plan. Incentive spend of $12,090: profit $100 less than the current plan."
    )
    assert found.headline.startswith("Going on as before") is (gain < 0)
    assert gain > 0 or found.headline == expected


def test_an_edit_is_compared_with_the_plan_that_it_changes():
    """As in: Ana's edit, $389 over the budget; $346 more profit than plan-0003."""
    before = outlook(-246.0)
    found = page("edited", "feasible", author="Ana", parent="plan-0003", before=before)
    assert found.headline == (
        "Ana's edit of plan-0003 has incentive spend of $12,090: profit $346 more than plan-0003 "
        "and $100 more than the current plan."
    )


@pytest.mark.parametrize(
    ("parts", "tone"),
    [
        ({"measured": 60.0, "history": 40.0}, "good"),
        ({"measured": 40.0, "history": 60.0}, "warning"),
        ({"prior": 10.0}, "warning"),
    ],
)
def test_what_a_plan_stands_on_comes_before_its_certificate_and_its_colour(parts, tone):
    given = {"measured": 0.0, "history": 0.0, "prior": 0.0, **parts}
    line = EvidenceLine(
        lever="spend",
        label="",
        standing=max(given, key=given.get),
        amount=sum(given.values()),
        **given,
        beyond=0.0,
        elsewhere=0.0,
        trials=(),
        stale=(),
        dose=None,
        used=1.0,
    )
    found = page(evidence=Standings((line,)))
    assert found.tone == tone
    assert found.status.split(" for ")[0].lower() in parts
    assert "; optimal" in found.status
    assert found.sections[0].key == "standing"
