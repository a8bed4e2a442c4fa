"""Figures that a page has to reach, measured in the browser and printed."""

import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from _plans import market

MEGABYTES = 1e6
_ACROSS = """() => {
  const spent = [];
  const run = (rows, from, to) => {
    const start = performance.now();
    choose({ rows, from, to });
    spent.push(performance.now() - start);
  };
  for (let k = 0; k < 9; k++) {
    run([k], null, null);
    run([k, k + 1, k + 2], data.hours[12 + k], data.hours[30 + k]);
    run([], data.hours[k], data.hours[24 + k]);
    run([], null, null);
  }
  return spent;
}"""


@pytest.mark.parametrize(("rows", "most"), [(12, 0.7), (300, 4.0)])
def test_a_page_is_one_small_file(opened, rows, most):
    size = opened(market(rows).page()).size / MEGABYTES
    print(f"\npage of {rows} x 168 x 3: {size:.2f} MB, at most {most}")
    assert size <= most


def test_hundreds_of_rows_are_there_at_once_and_answer_at_once(opened):
    """The best of three, because others may use the processor while this runs."""
    paints, scripts, choices = [], [], []
    page = market(300).page()
    for _ in range(3):
        found = opened(page)
        session = found.tab.context.new_cdp_session(found.tab)
        session.send("Performance.enable")
        metrics = session.send("Performance.getMetrics")["metrics"]
        scripts.append(next(m["value"] for m in metrics if m["name"] == "ScriptDuration"))
        (paint,) = found.tab.evaluate(
            "performance.getEntriesByName('first-contentful-paint').map((e) => e.startTime / 1000)"
        )
        paints.append(paint)
        scripts[-1] += found.tab.evaluate("data.ready") / 1000
        found.tab.evaluate("byId('desk').scrollIntoView()")
        found.tab.wait_for_timeout(200)
        choices += found.tab.evaluate(_ACROSS)[4:]
    middle = statistics.median(choices)
    print(
        f"\n300 rows: first paint {min(paints):.2f} s, script until ready {min(scripts):.2f} s, "
        f"a selection {middle:.0f} ms (worst {max(choices):.0f})"
    )
    assert min(paints) <= 0.5
    assert min(scripts) <= 1.5
    assert middle <= 50.0


def test_a_thousand_rows_can_be_searched_and_ranked(opened):
    found = opened(market(1000, losers=(3,)).page())
    tab = found.tab
    tab.evaluate("byId('desk').scrollIntoView()")
    found.until("maps[0].view")
    assert tab.evaluate("maps[0].view.rows.length") == 1000
    assert tab.input_value(".rank") == "change"
    changes = tab.evaluate(
        "(() => { const totals = totalsOf(array(maps[0].chart.change));"
        "return maps[0].view.rows.map((row) => Math.abs(totals[row])); })()"
    )
    assert changes == sorted(changes, reverse=True)
    tab.fill(".search", "r77")
    names = tab.evaluate("maps[0].view.rows.map((row) => data.rows[row])")
    assert sorted(names) == [f"R77{k}" for k in range(10)]
    tab.fill(".search", "nowhere")
    assert tab.evaluate("maps[0].view.rows.length") == 0
    tab.focus(".plot.map")
    tab.keyboard.press("ArrowRight")
