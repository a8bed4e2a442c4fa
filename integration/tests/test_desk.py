"""The map of a plan holds what is asked of it, exactly, and no more than a page can carry."""

import sys

import numpy as np
import pytest

from dagcast.plans import Estimate, LeverRow, LimitRow, Outlook, Path3, PlanSummary, Reading
from dagcast.review import PlanEvidence, plan_page

HOURS = tuple(f"2026-03-02T{hour:02d}:00:00+00:00" for hour in range(6))
READINGS = {
    "profit": Reading("Profit", "EUR/h", "money", "higher", True),
    "orders": Reading("Orders", "order/h", "count", "higher", True),
    "wait": Reading("Wait", "min", "minutes", "lower", False, "orders"),
    "surge": Reading("Surge", "1", "share", "lower", False, "orders"),
    "overtime": Reading("Overtime", "hour/h", "count", "", True),
    "others": Reading("Others", "order/h", "count", "", True),
}
PAY = Reading("Overtime pay", "EUR/h", "money", "", True)


def made(count=3, *, rows=True, current=True, levers=("pay",)):
    """A plan of a business that is no marketplace, with so many depots."""
    random = np.random.default_rng(1)
    depots = tuple(f"depot {k}" for k in range(count))
    shape = (count if rows else 1, 6)
    parts = {name: random.uniform(1, 9, shape) for name in ("night", "day")}
    path = Path3(*(random.uniform(1, 9, (count + 1, 6)) for _ in range(3)))
    none = dict.fromkeys(READINGS, path)
    none["overtime"] = Path3(*(np.zeros((count + 1, 6)) for _ in range(3)))
    total = {name: Estimate(5.0, 4.0, 6.0) for name in (*READINGS, "objective")}
    nothing = {**total, "overtime": Estimate(0.0, 0.0, 0.0)}
    outlook = Outlook(
        "depot",
        depots,
        "hour",
        HOURS,
        0.9,
        8,
        4,
        READINGS,
        {"none": "no overtime pay", "current": "the current plan"},
        {
            "plan": dict.fromkeys(READINGS, path),
            "none": none,
            "current": dict.fromkeys(READINGS, path),
        },
        {"plan": total, "none": nothing, "current": total},
        {"none": total, "current": total},
        {name: (Estimate(5.0, 4.0, 6.0),) * count for name in READINGS},
        {"current": dict.fromkeys(total, 0.75)},
        {},
        {"orders": path},
    )
    limit = LimitRow(
        "wait", "depot 1", "<=", 4.0, 5.0, "min", 0.0, "", False, None, "Wait", "minutes"
    )
    summary = PlanSummary(
        plan="plan-0001",
        kind="optimised",
        status="optimal",
        message="",
        kkt_residual=0.0,
        worst_violation=0.0,
        gap_bound=0.0,
        objective="profit",
        objective_unit="EUR",
        levers=tuple(LeverRow(lever, "", 10.0, 9.0) for lever in levers),
        readings=dict.fromkeys(levers, PAY),
        budgets=(),
        guardrails=(limit,),
        sensitivities=(),
        flagged=(),
        repeated=(),
        provenance={},
        seconds=0.1,
        weights={"profit": 1.0, "orders": 2.0},
        bounds={"pay": (0.0, 12.0)},
    )
    decided = dict.fromkeys(levers, parts)
    edges = dict.fromkeys(("objective", "wait", "surge", "orders"), decided)
    page = plan_page(
        summary,
        outlook,
        decisions=decided,
        marginals=edges,
        lever_rows=(),
        evidence=PlanEvidence(),
        project="shop",
        state="proposed by ana",
        current={lever: {n: 0.5 * v for n, v in parts.items()} for lever in levers}
        if current
        else None,
    )
    return page, parts


def desk(page):
    (found,) = (section for section in page.sections if section.key == "desk")
    return found


def test_the_map_offers_every_quantity_and_all_parts_together_first():
    page, parts = made()
    found = desk(page).blocks[0]
    assert list(dict.fromkeys(layer.name for layer in found.layers)) == [
        "This plan",
        "Current plan",
        "Difference",
        "Worth of one more euro",
        "Room up to the bound",
        "Profit",
        "Orders",
        "Wait",
        "Surge",
        "Overtime",
        "Others",
        "Response width: orders",
    ]
    assert found.parts == ("All together", "night", "day")
    by = {(layer.name, layer.part): layer for layer in found.layers}
    np.testing.assert_allclose(
        by["This plan", "All together"].values, parts["night"] + parts["day"]
    )
    np.testing.assert_allclose(by["Difference", "day"].values, 0.5 * parts["day"])
    np.testing.assert_allclose(by["Room up to the bound", "day"].values, 12.0 - parts["day"])
    assert by["This plan", "day"].form.prefix == "\N{EURO SIGN}"
    assert found.layers[found.change].name == "Difference"
    assert found.layers[found.change].part == "All together"


def test_what_a_layer_is_near_to_is_what_it_is_made_of():
    """Else a page would show another sum than the plan's, or take more room."""
    layers = desk(made()[0]).blocks[0].layers
    for layer in layers:
        if layer.near and layer.name != "Room up to the bound":
            near = sum(sign * layers[place].values for place, sign in layer.near)
            np.testing.assert_allclose(near, layer.values)


def test_six_panels_are_effects_on_means_then_what_the_levers_move():
    panels = [chart.key for chart in desk(made()[0]).blocks[1]]
    assert panels == ["m-wait-pay", "m-surge-pay", "f-wait", "f-surge", "f-overtime", "f-orders"]


def charts(page):
    tuples = (b for section in page.sections for b in section.blocks if isinstance(b, tuple))
    return [item for block in tuples for item in block if hasattr(item, "lines")]


def test_every_chart_stands_once():
    keys = [chart.key for chart in charts(made()[0])]
    assert sorted(keys) == sorted(set(keys))
    assert {f"f-{name}" for name in READINGS} <= set(keys)


def test_rows_in_great_number_hold_fewer_outcomes_by_hour_and_say_so(monkeypatch):
    """Six are always there; here that would be all of them."""
    monkeypatch.setattr(sys.modules["dagcast.review.plan_page._desk"], "_PANELS", 5)
    page, _ = made(20_000)
    names = {layer.name for layer in desk(page).blocks[0].layers}
    assert {"Profit", "Orders", "Wait", "Surge", "Overtime"} <= names
    assert "Others" not in names
    (others,) = (chart for chart in charts(page) if chart.key == "f-others")
    assert [line.values.shape for line in others.lines] == [(1, 6)] * 3
    assert others.note.startswith("All depots together: by hour, 20000 depots")


@pytest.mark.parametrize("current", [True, False])
def test_plans_without_a_current_one_have_no_difference(current):
    found = desk(made(current=current)[0]).blocks[0]
    assert ("Difference" in {layer.name for layer in found.layers}) is current
    assert (found.change is not None) is current


def test_levers_that_do_not_differ_by_row_have_a_map_of_their_own():
    page, _ = made(rows=False)
    keys = [section.key for section in page.sections]
    assert "desk" not in keys
    assert page.desk is None
    (decisions,) = (section for section in page.sections if section.key == "decisions")
    assert decisions.blocks[0].rows == ("night", "day")
    assert "f-wait" in str([s for s in page.sections if s.key == "forecast"])


def test_several_levers_are_told_apart():
    names = {layer.name for layer in desk(made(levers=("pay", "bonus"))[0]).blocks[0].layers}
    assert {"This plan, overtime pay", "Difference, overtime pay"} <= names
