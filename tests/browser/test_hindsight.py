"""The page that looks back is the plan's page with reality drawn in."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from _looking_back import EXECUTION, MEMBERS, looked_back, page_of

LABELS = ("AUS", "BOS", "EWR", "NYC", "SFO")


@pytest.fixture(scope="module")
def north():
    return looked_back(labels=LABELS)


def at_map(found):
    found.tab.evaluate("byId('desk').scrollIntoView()")
    found.until("maps[0].view && maps[0].seen")
    found.tab.wait_for_timeout(150)


def line_of(found, title):
    row = found.tab.locator("#panel tbody tr", has=found.tab.locator(f'th:text-is("{title}")'))
    return [" ".join(text.split()) for text in row.locator("td").all_inner_texts()]


def number(text):
    return float(re.sub(r"[^0-9.\u2212-]", "", text.split("/")[0]).replace("\u2212", "-"))


def test_first_line_says_promised_got_and_whether_inside(opened, north):
    _, _, hindsight = north
    found = opened(page_of(*north))
    first = next(item for item in hindsight.promises if not item.row)
    mid, ends, value, _ = hindsight.shown(first)
    said = found.text("h1")
    assert said.startswith(f"Profit was promised at {mid} and came out at {value}, inside the ")
    assert ends in said
    assert said.index("inside the interval") < said.index("could have been had")
    for key in ("promised", "regret", "done", "book", "first"):
        assert found.tab.locator(f".answer.{key}").bounding_box()["y"] < 900


def test_all_six_panels_show_forecast_happened_and_best(opened, north):
    made, reality, _ = north
    found = opened(page_of(*north), "#rows=EWR")
    figures = found.tab.locator("#desk .grid figure")
    assert figures.count() == 6
    found.tab.locator("#desk .grid").scroll_into_view_if_needed()
    for k in range(6):
        figures.nth(k).scroll_into_view_if_needed()
        key = figures.nth(k).get_attribute("data-key")
        found.until(f"charts.find((c) => c.dataset.key === '{key}').drawn")
        assert figures.nth(k).locator(".legend li").all_inner_texts() == [
            "forecast", "happened", "best in hindsight"
        ]  # fmt: skip
        name = key.removeprefix("h-")
        factor = 100.0 if name == "prime_time" else 1.0
        shown, digits = found.tab.evaluate(
            f"[charts.find((c) => c.dataset.key === '{key}').drawn.series.map((s) => [...s.mid]), "
            f"data.charts['{key}'].digits]"
        )
        known = [made.outlook.paths["plan"][name].mid, reality.happened[name]]
        for line, values in zip(shown, [*known, reality.ex_post[name]], strict=True):
            off = np.abs(np.array(line) - factor * values[3]).max()
            assert off <= 0.5 * 10.0**-digits + 1e-9
        assert figures.nth(k).locator("svg .band.plan").count() == 1


def test_regret_is_shown_down_to_the_cells_that_made_it(opened, north):
    _, reality, hindsight = north
    found = opened(page_of(*north), "#rows=EWR&hours=2026-03-04T08:00..2026-03-04T20:00")
    at_map(found)
    part = np.s_[2, 56:69]
    bars = found.tab.locator("#panel ol.parts li")
    shown = dict(zip(bars.locator(".name").all_inner_texts(),
                     map(number, bars.locator("b").all_inner_texts()), strict=True))  # fmt: skip
    assert set(shown) == {*MEMBERS, EXECUTION, "regret here"}
    for name, values in reality.regret.items():
        assert shown[name] == pytest.approx(values[part].sum(), abs=0.07)
    whole = sum(values[part].sum() for values in reality.regret.values())
    assert shown["regret here"] == pytest.approx(whole, abs=0.3)
    options = found.tab.locator("select.layer option").all_inner_texts()
    assert {"Regret", *(f"Regret by {name}" for name in (*MEMBERS, EXECUTION))} <= set(options)
    # What all cells and all models add up to is the regret that the first screen names.
    found.tab.click("text=Choose all")
    total = number(bars.locator("b").last.inner_text())
    assert total == pytest.approx(hindsight.regret, abs=5.0)


def test_waterfall_by_model_adds_up_and_is_heard(opened, north):
    _, _, hindsight = north
    found = opened(page_of(*north))
    figure = found.tab.locator('figure[data-key="w-regret"]')
    figure.scroll_into_view_if_needed()
    figure.locator("ol.parts li").first.wait_for()
    sizes = [number(text) for text in figure.locator("ol.parts b").all_inner_texts()]
    assert sum(sizes[:-1]) == pytest.approx(sizes[-1], abs=3)
    assert sizes[-1] == pytest.approx(hindsight.regret, abs=1)
    lefts = [figure.locator("i").nth(k).bounding_box() for k in range(2)]
    assert lefts[0]["x"] + lefts[0]["width"] == pytest.approx(lefts[1]["x"], abs=1.5)
    figure.locator(".plot").focus()
    found.tab.keyboard.press("ArrowDown")
    found.tab.wait_for_timeout(200)
    assert found.tab.inner_text("#said").startswith(f"{MEMBERS[0]}: +$")
    figure.locator("summary").click()
    figure.locator("tbody tr").first.wait_for()
    assert figure.locator("tbody tr").count() == len(sizes)


def test_execution_gap_and_the_promise_book_are_there(opened, north):
    _, reality, _ = north
    found = opened(page_of(*north))
    assert "by not keeping to it" in found.text(".answer.done")
    options = found.tab.locator("select.layer option").all_inner_texts()
    assert {"Carried out less planned", "Best less carried out"} <= set(options)
    book = found.tab.locator("#book tbody tr")
    plans = [text.split()[0] for text in book.all_inner_texts()[:2]]
    assert plans == ["plan-0007", "plan-0006"]
    held = [item.held for item in reality.book]
    assert f"{sum(held) / len(held):.0%} kept" in found.text(".answer.book")
    assert "BOS" in found.text("#book")
    rows = found.tab.locator("#rows tr.loses")
    assert [text.split()[0] for text in rows.locator("th").all_inner_texts()] == ["BOS"]


def test_the_panel_says_planned_happened_and_best_of_what_is_chosen(opened, north):
    made, reality, _ = north
    found = opened(page_of(*north), "#rows=EWR")
    at_map(found)
    sums = [sum(v[2].sum() for v in arm["spend"].values())
            for arm in (reality.planned, reality.done, reality.best)]  # fmt: skip
    shown = [number(text) for text in line_of(found, "Incentive spend")]
    assert shown == pytest.approx(sums, abs=0.6)
    week = made.outlook.weeks["rides"][2]
    planned, happened, _ = line_of(found, "Rides")
    assert planned == f"{week.mid:,.0f} {week.low:,.0f} to {week.high:,.0f}"
    assert happened.split()[0] == f"{reality.happened['rides'][3].sum():,.0f}"
    assert happened.split()[1] in ("inside", "OUTSIDE")


def test_what_to_look_at_sets_the_page_to_where_the_regret_is(opened, north):
    _, reality, _ = north
    found = opened(page_of(*north))
    total = sum(values.sum(axis=1) for values in reality.regret.values())
    link = found.tab.locator(".answer.first a").first
    assert link.locator("b").inner_text().strip() == LABELS[int(total.argmax())]
    link.click()
    assert found.chosen()["rows"] == [int(total.argmax())]
    at_map(found)
    assert found.tab.evaluate("layerOf(maps[0]).name").startswith("Regret by ")


def test_hundreds_of_rows_stay_small(opened):
    found = opened(page_of(*looked_back(300)))
    size = found.size / 1e6
    print(f"\nhindsight of 300 x 168 x 3: {size:.2f} MB, at most 4")
    assert size <= 4.0
