"""What people see, press and read on the page of a plan is what the plan says."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from _plans import PARTS, SCALES, market, rise

from dagcast.review import TeamPanel
from dagcast.review.plan_page._desk import cell_form

LABELS = ("AUS", "BOS", "EWR", "NYC", "SFO")
ZONES = dict(
    zip(LABELS, ("America/Chicago", *("America/New_York",) * 3, "America/Los_Angeles"), strict=True)
)


@pytest.fixture(scope="module")
def north():
    return market(labels=LABELS, losers=(1,), seed=5)


def at_map(found):
    found.tab.evaluate("byId('desk').scrollIntoView()")
    found.until("maps[0].view && maps[0].seen")
    found.tab.wait_for_timeout(150)
    return found.tab.locator(".plot.map canvas").bounding_box()


def cell(found, row, hour):
    """Where a cell of the map lies on the screen."""
    box = at_map(found)
    view = found.tab.evaluate("({ cell: maps[0].view.cell, tall: maps[0].view.tall })")
    return box["x"] + 76 + view["cell"] * (hour + 0.5), box["y"] + view["tall"] * (row + 0.5)


def dollars(text):
    return float(re.sub(r"[^0-9.\u2212-]", "", text.split("/")[0]).replace("\u2212", "-"))


def line_of(found, title):
    row = found.tab.locator("#panel tbody tr", has=found.tab.locator(f'th:text-is("{title}")'))
    return [" ".join(text.split()) for text in row.locator("td").all_inner_texts()]


def test_first_screen_shows_all_five_answers(opened, north):
    found = opened(north.page())
    for key in ("planned", "brings", "costs", "sure", "first"):
        box = found.tab.locator(f".answer.{key}").bounding_box()
        assert box["y"] + box["height"] <= 900, key
    planned, _ = next(iter(north.summary.spent.values()))
    assert f"${planned:,.0f} incentive spend" in found.text(".answer.planned")


def test_first_screen_says_each_answer_in_full(opened, north):
    """Sum, week by whose clock, and levers; means with intervals; costs apart; how sure; links."""
    kept = "44 of 49 kept (90%, promised 90%), 3 plans; the objective came out 2% below promises"
    found = opened(north.page(kept=kept))
    planned, brings, costs, sure, first = (
        found.text(f".answer.{key}") for key in ("planned", "brings", "costs", "sure", "first")
    )
    assert "Mon 2 Mar 2026 to Sun 8 Mar 2026, by UTC" in planned
    assert all(part in planned for part in PARTS)
    outlook = north.outlook
    for arm, said in (("current", "the current plan"), ("none", "no spend")):
        gain = outlook.differences[arm]["profit"]
        sign = "+" if gain.mid > 0 else "\u2212"
        assert f"Over {said}: profit {sign}${abs(gain.mid):,.0f} (" in brings
    chance = outlook.chances["current"]["objective"]
    assert f"Better than the current plan in {chance:.0%} of 32 draws" in brings
    spent = sum(values.sum() for values in north.decisions.values())
    added = outlook.differences["none"]["rides"].mid
    assert f"${spent / added:.2f} per added ride" in costs
    assert "one dollar more allowed adds $2.00" in costs
    assert "+$0.50 profit and +0.375 rides" in costs
    assert "each ride counts as $4: worth, not money" in costs
    assert "44 of 49 kept" in sure
    assert "2% below promises" in sure
    assert "boost: measured for 80% of it" in sure
    assert found.tab.locator(".answer.first a").count() == 3
    assert "most money" in first or "of $" in first
    # How exact the solver was is a detail further down.
    exact = found.tab.locator("#provenance")
    assert exact.bounding_box()["y"] > 900
    assert "1e-12" not in found.text(".hero")


def test_map_offers_every_quantity_and_six_panels_follow(opened, north):
    found = opened(north.page())
    offered = found.tab.locator("select.layer option").all_inner_texts()
    for wanted in (
        *("This plan", "Current plan", "Difference", "Worth of one more dollar", "Pickup ETA"),
        *("Prime time", "Incremental hours", "Rides", "Response width: rides"),
        "Room up to the bound",
    ):
        assert wanted in offered, wanted
    keys = [
        figure.get_attribute("data-key") for figure in found.tab.locator("#desk .grid figure").all()
    ]
    assert keys == [
        *("m-eta-spend", "m-prime_time-spend", "f-eta", "f-prime_time", "f-incremental", "f-rides")
    ]
    for name in offered:
        found.tab.select_option("select.layer", name)
        assert found.tab.evaluate("maps[0].view.layer.name") == name
    for order in ("change", "shown", "listed"):
        found.tab.select_option(".rank", order)
        rows = found.tab.evaluate("maps[0].view.rows")
        assert sorted(rows) == list(range(len(LABELS)))


def test_the_hour_that_is_pointed_at_is_on_the_map_too(opened, north):
    found = opened(north.page())
    x, y = cell(found, 2, 40)
    found.tab.mouse.move(x, y)
    cross = found.tab.locator(".plot.map .cross").first
    assert cross.is_visible()
    assert cross.bounding_box()["x"] == pytest.approx(x, abs=8)
    figure = found.tab.locator('figure[data-key="m-eta-spend"]')
    figure.scroll_into_view_if_needed()
    found.tab.evaluate("hoverAt(40)")
    found.until("byId('said') && charts.find((c) => c.dataset.key === 'm-eta-spend').drawn")
    found.tab.evaluate("hoverAt(41)")
    assert found.text('figure[data-key="m-eta-spend"] output').startswith("Tue 3 Mar 17:00")


def test_cells_of_the_map_are_those_of_the_plan(opened, north):
    """Every cell of every part, to the decimals that are shown."""
    found = opened(north.page())
    shown = found.tab.evaluate(
        "data.charts.map.layers.map((l) => [l.name, l.part, l.digits, "
        "Array.from(cellsOf(l).codes, (c) => c / cellsOf(l).scale)])"
    )
    known = {("This plan", part): north.decisions[part] for part in PARTS} | {
        ("Current plan", part): north.current[part] for part in PARTS
    }
    known |= {("Difference", part): north.decisions[part] - north.current[part] for part in PARTS}
    total = sum(north.decisions.values())
    known |= {
        ("This plan", "All together"): total,
        ("Difference", "All together"): total - sum(north.current.values()),
        ("Pickup ETA", ""): north.outlook.paths["plan"]["eta"].mid[1:],
        ("Prime time", ""): 100 * north.outlook.paths["plan"]["prime_time"].mid[1:],
    }
    compared = 0
    for name, part, digits, values in shown:
        if (name, part) in known:
            expected = known.pop((name, part))
            rounded = np.reshape(values, expected.shape)
            assert np.abs(rounded - expected).max() <= 0.5 * 10.0**-digits + 1e-9, (name, part)
            compared += 1
    assert known == {}
    assert compared == 13


def test_pointing_reads_a_cell_and_clicking_chooses_it(opened, north):
    found = opened(north.page())
    x, y = cell(found, 2, 40)
    found.tab.mouse.move(x, y)
    spent = sum(north.decisions.values())[2, 40]
    said = found.text("figure[data-main] output")
    assert said.startswith("EWR, Tue 3 Mar 16:00: This plan, All together $")
    form = cell_form("USD/h", 2)
    assert f"{form.prefix}{spent:.2f}{form.suffix}" in said or f"${spent:.1f}/h" in said
    found.tab.mouse.click(x, y)
    assert found.chosen() == {"rows": [2], "from": "2026-03-03T16:00", "to": "2026-03-03T16:00"}
    assert dollars(line_of(found, "Incentive spend")[0]) == pytest.approx(spent, abs=0.02)
    rides = north.outlook.paths["plan"]["rides"]
    middle, interval = re.match(
        r"([\d.,]+) ([\d.,]+ to [\d.,]+)", line_of(found, "Rides")[0]
    ).groups()
    digits = len(middle.partition(".")[2])
    assert middle == f"{rides.mid[3, 40]:,.{digits}f}"
    assert interval == f"{rides.low[3, 40]:,.{digits}f} to {rides.high[3, 40]:,.{digits}f}"


def test_dragging_chooses_a_block_whose_figures_add_up(opened, north):
    found = opened(north.page())
    (x, y), (right, down) = cell(found, 1, 30), cell(found, 3, 44)
    found.tab.mouse.move(x, y)
    found.tab.mouse.down()
    found.tab.mouse.move(right, down, steps=4)
    found.tab.mouse.up()
    assert found.chosen() == {
        "rows": [1, 2, 3], "from": "2026-03-03T06:00", "to": "2026-03-03T20:00"
    }  # fmt: skip
    part = np.s_[1:4, 30:45]
    spent = sum(north.decisions.values())[part].sum()
    changed = spent - sum(north.current.values())[part].sum()
    plan, against = map(dollars, line_of(found, "Incentive spend")[:2])
    assert plan == pytest.approx(spent, abs=0.5)
    assert against == pytest.approx(changed, abs=0.5)
    rows = north.outlook.paths["plan"]
    eta, weight = (rows[name].mid[2:5, 30:45] for name in ("eta", "sessions"))
    shown = dollars(line_of(found, "Pickup ETA")[0].replace("min", ""))
    assert shown == pytest.approx((eta * weight).sum() / weight.sum(), abs=0.006)


def test_a_whole_row_and_all_rows_have_the_plans_own_intervals(opened, north):
    found = opened(north.page(), "#rows=NYC")
    at_map(found)
    week = north.outlook.weeks["rides"][3]
    assert line_of(found, "Rides")[0] == f"{week.mid:,.0f} {week.low:,.0f} to {week.high:,.0f}"
    gain = north.outlook.row_gains["profit"][3]
    assert line_of(found, "Profit")[1].startswith(f"+${gain.mid:,.0f} ")
    assert line_of(found, "Profit")[2] == "97 %"
    found.tab.click("text=Choose all")
    whole = north.outlook.totals["plan"]["rides"]
    assert line_of(found, "Rides")[0] == f"{whole.mid:,.0f} {whole.low:,.0f} to {whole.high:,.0f}"


def test_everything_follows_the_selection(opened, north):
    """Charts, response, limits and reasons; and what is not chosen is not there."""
    found = opened(north.page(), "#rows=EWR&hours=2026-03-04T08:00..2026-03-04T20:00")
    at_map(found)
    assert found.text("#panel h3").startswith("EWR, Wed 4 Mar 08:00 to Wed 4 Mar 20:00")
    limits = found.text("#panel > .scroll")
    assert "Incentive spend EWR" in limits
    assert "NYC" not in limits
    assert "one more dollar is worth" in found.text("#panel .why")
    assert "this plan" in found.tab.text_content("#panel .response")
    for key in ("m-eta-spend", "m-prime_time-spend", "f-eta", "f-prime_time", "f-rides"):
        figure = found.tab.locator(f'figure[data-key="{key}"]')
        figure.scroll_into_view_if_needed()
        figure.locator("svg .span").wait_for(state="attached")
    drawn = found.tab.evaluate(
        "Array.from(charts.find((c) => c.dataset.key === 'f-rides').drawn.series[0].mid)"
    )
    mid = north.outlook.paths["plan"]["rides"].mid[3]
    digits = found.tab.evaluate("data.charts['f-rides'].digits")
    assert np.abs(np.array(drawn) - mid).max() <= 0.5 * 10.0**-digits + 1e-9


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("#rows=EWR&hours=2026-03-04T08:00..2026-03-04T20:00", np.s_[3:4, 56:69]),
        ("#rows=EWR,NYC", np.s_[3:5, :]),
        ("", np.s_[0:1, :]),
    ],
)
def test_response_goes_through_what_was_forecast_at_each_level(opened, north, address, part):
    found = opened(north.page(), address)
    at_map(found)
    found.tab.select_option(".curve select", "Rides")
    plan, none, now = (north.outlook.paths[arm]["rides"].mid[part].sum()
                       for arm in ("plan", "none", "current"))  # fmt: skip
    spent = found.tab.evaluate("spentOf('plan')")
    levels = found.tab.evaluate(
        "((item) => levelsOf(item, responseOf(item).before))"
        "(data.desk.outcomes.find((one) => one.title === 'Rides'))"
    )
    assert [scale for scale, _ in levels] == list(SCALES)
    # Each hour is rounded to what its chart shows.
    digits = found.tab.evaluate("data.charts['f-rides'].digits")
    hours = north.outlook.paths["none"]["rides"].mid[part].size
    room = 0.01 * abs(plan - none) + 0.5 * 10.0**-digits * hours
    for scale, value in levels:
        assert value == pytest.approx(none + (plan - none) * rise(scale), abs=room)
    # Between them it bends as the levels do, and rises all the way.
    drawn = found.tab.evaluate(
        f"((f) => Array.from({{ length: 31 }}, (_, k) => f(k * {spent} / 20)))"
        f"(through([[0, {none}], ...{[[s * spent, v] for s, v in levels[:3]]}, [{spent}, {plan}],"
        f" ...{[[s * spent, v] for s, v in levels[3:]]}]))"
    )
    assert drawn == sorted(drawn)
    for k, value in enumerate(drawn):
        assert value == pytest.approx(none + (plan - none) * rise(k / 20), abs=0.07 * (plan - none))
    assert found.tab.locator(".curve svg circle.level").count() == len(SCALES)
    assert found.tab.locator(".curve svg circle.dot").count() == 3
    assert "Dots are forecasts with every cell of the plan at 25 %" in found.text(".curve .note")
    found.tab.locator(".curve summary").click()
    rows = found.tab.locator(".curve tbody tr")
    rows.first.wait_for()
    assert rows.count() == len(SCALES) + 3
    table = {row.split("\t")[0]: dollars(row.split("\t")[2]) for row in rows.all_inner_texts()}
    for name, value in (("no spend", none), ("this plan", plan), ("now", now)):
        assert table[name] == pytest.approx(value, rel=0.02)
    with found.tab.expect_download() as caught:
        found.tab.locator(".curve .csv-points").click()
    assert caught.value.suggested_filename == "plan-0007-response.csv"
    lines = Path(caught.value.path()).read_bytes().decode().split("\r\n")
    assert lines[0] == "point,Incentive spend,Rides"
    assert len(lines) == len(SCALES) + 4


def test_response_without_levels_says_what_it_is_drawn_through(opened):
    """As in plans of earlier versions, and by row where rows are many."""
    made = market(4)
    bare = replace(made, outlook=replace(made.outlook, scales=(), scaled={}))
    found = opened(bare.page(), "#rows=R001")
    at_map(found)
    assert "drawn through what is forecast without spend" in found.text(".curve .note")
    assert found.tab.locator(".curve svg circle.level").count() == 0
    many = opened(market(100).page(), "#rows=R001")
    at_map(many)
    assert many.tab.locator(".curve svg circle.level").count() == 0
    many.tab.click("text=Choose all")
    assert many.tab.locator(".curve svg circle.level").count() == len(SCALES)


def test_bound_is_drawn_where_the_curve_reaches_it(opened):
    found = opened(market(4, bounds={"spend": (0.0, 1.0)}).page())
    at_map(found)
    assert found.tab.locator(".curve svg line.bound").count() == 1
    far = opened(market(4, bounds={"spend": (0.0, 600.0)}).page())
    at_map(far)
    assert far.tab.locator(".curve svg line.bound").count() == 0
    assert "A cell may have $0 to $600/h" in far.text(".curve .note")


def test_charts_of_packages_follow_the_selection_too(opened, north):
    spent = sum(north.decisions.values())
    panel = TeamPanel("acme", "Spend again", "USD/h", {"spend": spent}, how="sum")
    broken = TeamPanel("acme", "Lost", "", failure="KeyError: 'x'")
    found = opened(north.page(panels=(panel, broken)), "#rows=EWR,NYC")
    figure = found.tab.locator('figure[data-key="t-0"]')
    figure.scroll_into_view_if_needed()
    found.until("charts.find((c) => c.dataset.key === 't-0').drawn")
    drawn = found.tab.evaluate(
        "[...charts.find((c) => c.dataset.key === 't-0').drawn.series[0].mid]"
    )
    assert np.allclose(drawn, spent[2:4].sum(axis=0), atol=0.11)
    assert "'Lost' of acme could not be drawn: KeyError: 'x'" in found.text("#teams")


def test_all_charts_share_the_hour_that_is_pointed_at(opened, north):
    found = opened(north.page())
    figure = found.tab.locator('figure[data-key="f-eta"]')
    figure.scroll_into_view_if_needed()
    found.tab.wait_for_timeout(200)
    box = figure.locator("svg").bounding_box()
    found.tab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 80)
    said = found.text('figure[data-key="f-eta"] output')
    assert re.match(r"\w{3} \d Mar \d\d:00: this plan [\d.]+ \([\d.]+ to [\d.]+\), no spend", said)
    other = found.text('figure[data-key="f-prime_time"] output')
    assert other.split(": ")[0] == said.split(": ")[0]


def test_the_address_brings_back_what_was_chosen(opened, north):
    found = opened(north.page())
    x, y = cell(found, 4, 100)
    found.tab.mouse.click(x, y)
    found.tab.select_option("select.layer", "Difference")
    found.tab.select_option("select.part", "streak")
    address = found.tab.evaluate("location.hash")
    again = opened(north.page(), address)
    assert again.chosen() == found.chosen()
    at_map(again)
    assert again.tab.evaluate("[layerOf(maps[0]).name, layerOf(maps[0]).part]") == [
        "Difference",
        "streak",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "#rows=XXX&hours=now..then",
        "#rows=%E0%A4%A",
        "#show=nothing&part=%3Cb%3E",
        "#limits",
        "#=&&=",
        "#clock=utc",
    ],
)
def test_an_address_of_something_else_chooses_everything(opened, north, address):
    assert opened(north.page(), address).chosen() == {"rows": [], "from": None, "to": None}


def test_what_to_look_at_first_sets_the_page_to_it(opened, north):
    found = opened(north.page())
    links = found.tab.locator(".answer.first a")
    named = links.locator("b").all_inner_texts()
    place = next(k for k, name in enumerate(named) if name.strip() in LABELS)
    links.nth(place).click()
    assert [LABELS[row] for row in found.chosen()["rows"]] == [named[place].strip()]
    found.tab.wait_for_timeout(700)
    assert found.tab.locator("#desk").bounding_box()["y"] < 200


def test_rows_are_compared_at_their_own_local_hours(opened, north):
    """18:00 to 20:00 are other instants in each zone, and the block holds each of them."""
    page = north.page(zone="UTC", zones=ZONES)
    found = opened(page, "#hours=2026-03-03T18:00..2026-03-03T20:00&rows=AUS,EWR,SFO")
    at_map(found)
    spent = sum(north.decisions.values())
    local = {"AUS": 6, "EWR": 5, "SFO": 8}
    expected = sum(
        spent[LABELS.index(label), 42 + shift : 45 + shift].sum() for label, shift in local.items()
    )
    assert dollars(line_of(found, "Incentive spend")[0]) == pytest.approx(expected, abs=0.5)
    # All regions together are the sum of each one's own hours, and no hour of a common clock.
    zone = {**dict.fromkeys(LABELS, 5), **local}
    found.tab.evaluate("choose({ rows: [], from: choice.from, to: choice.to })")
    rides = north.outlook.paths["plan"]["rides"].mid
    whole = sum(rides[k + 1, 42 + zone[x] : 45 + zone[x]].sum() for k, x in enumerate(LABELS))
    assert dollars(line_of(found, "Rides")[0]) == pytest.approx(whole, abs=0.9)
    paid = sum(spent[k, 42 + zone[x] : 45 + zone[x]].sum() for k, x in enumerate(LABELS))
    assert dollars(line_of(found, "Incentive spend")[0]) == pytest.approx(paid, abs=0.5)
    found.tab.evaluate("choose({ rows: [0, 2, 4], from: choice.from, to: choice.to })")
    found.tab.select_option("#clock", "utc")
    expected = sum(spent[LABELS.index(label), 42:45].sum() for label in local)
    assert dollars(line_of(found, "Incentive spend")[0]) == pytest.approx(expected, abs=0.5)


def test_losing_rows_are_named_and_a_head_sorts(opened, north):
    found = opened(north.page())
    found.tab.locator("#rows").scroll_into_view_if_needed()
    assert found.text("#rows .note").startswith("1 of 5 lose against the current plan")
    assert found.tab.locator("tr.loses th").inner_text().split()[0] == "BOS"
    head = found.tab.locator("#rows th button", has_text=north.summary.objective)
    head.click()
    head.click()
    order = [text.split()[0] for text in found.tab.locator("#rows tbody th").all_inner_texts()]
    gains = north.outlook.row_gains["objective"]
    assert order == [label for _, label in sorted((gains[k].mid, x) for k, x in enumerate(LABELS))]
    found.tab.click("#rows tbody button >> text=EWR")
    assert found.chosen()["rows"] == [2]


def test_every_chart_has_its_figures_and_a_file(opened, north):
    found = opened(north.page(), "#rows=EWR")
    figures = found.tab.locator("figure.chart")
    assert figures.count() == found.tab.locator("figure.chart details.figures").count()
    figure = found.tab.locator('figure[data-key="f-rides"]')
    figure.locator("summary").click()
    rows = figure.locator("tbody tr")
    rows.first.wait_for()
    assert rows.count() == 168
    mid = north.outlook.paths["plan"]["rides"].mid[3]
    digits = found.tab.evaluate("data.charts['f-rides'].digits")
    assert float(rows.nth(7).locator("td").nth(1).inner_text()) == round(mid[7], digits)
    with found.tab.expect_download() as caught:
        found.tab.locator('figure[data-key="map"] .csv').click()
    lines = Path(caught.value.path()).read_bytes().decode().split("\r\n")
    assert caught.value.suggested_filename == "plan-0007-map.csv"
    assert lines[0].startswith('region,hour,hour UTC,"This plan')
    assert len(lines) == 169
    spent = sum(north.decisions.values())[2]
    assert [float(text.split(",")[-1]) for text in lines[1:]] == pytest.approx(spent, abs=0.0051)


@pytest.mark.parametrize(
    ("changes", "status", "green"),
    [
        ({}, "optimal under its models", True),
        ({"gain": -1.0}, "optimal under its models", False),
        ({"status": "infeasible"}, "some limits cannot be kept", False),
        ({"status": "stalled"}, "the optimiser stopped early", False),
        ({"status": "infeasible", "kind": "edited"}, "decided by people", False),
    ],
)
def test_only_a_plan_that_is_better_is_green(opened, changes, status, green):
    found = opened(market(4, **changes).page(author="ana", parent="plan-0006"))
    assert status in found.text(".status").lower()
    shade = "rgb(27, 110, 60)"
    dot = found.tab.evaluate("getComputedStyle(document.querySelector('.dot')).backgroundColor")
    figure = found.tab.evaluate("getComputedStyle(document.querySelector('.brings .figure')).color")
    assert (dot == shade) is green
    if changes.get("gain") or changes.get("status") == "infeasible":
        assert figure != shade
    if changes.get("gain"):
        assert "Going on as before is worth" in found.text("h1")


def test_a_stale_plan_says_so_before_any_figure_and_an_approved_one_by_whom(opened, north):
    stale = opened(north.page(against=("data were ingested since it was made",)), width=390)
    box = stale.tab.locator(".against").bounding_box()
    assert box["y"] + box["height"] <= stale.tab.locator(".answers").bounding_box()["y"]
    assert "data were ingested since it was made" in stale.text(".against")
    dot = stale.tab.evaluate("getComputedStyle(document.querySelector('.dot')).backgroundColor")
    assert dot == "rgb(143, 90, 0)"
    approved = opened(north.page(state="approved by ben, 3 Mar 2026 09:00 UTC: within the budget"))
    assert "approved by ben, 3 Mar 2026 09:00 UTC: within the budget" in approved.text(".facts")
    assert approved.tab.locator(".against").count() == 0


def test_a_script_in_every_label_does_not_run(opened):
    evil = "<img src=x onerror=pwned=1></script><script>pwned=1</script>\"'`${pwned=1}"
    made = market(
        labels=[f"{evil}{k}" for k in range(3)], message=evil, warnings=(evil,), plan=evil
    )
    page = made.page(author=evil, project=evil, state=f"proposed by {evil}", parent=evil, kept=evil)
    found = opened(page, f"#rows={evil}&show={evil}")
    at_map(found)
    found.tab.mouse.click(*cell(found, 1, 30))
    found.tab.locator("#rows").scroll_into_view_if_needed()
    found.tab.locator('figure[data-key="map"] .figures summary').click()
    assert found.tab.evaluate("typeof pwned") == "undefined"
    assert found.tab.locator("img").count() == 0
    assert evil[:20] in found.tab.inner_text("#panel h3")
