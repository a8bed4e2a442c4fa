"""Pages are reached by keys, heard, read in both themes, on a telephone and on paper."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from _plans import market

_SMALL = """() => [...document.querySelectorAll('a, button, select, input, summary')]
  .filter((e) => e.offsetParent !== null && !e.matches('.skip'))
  .map((e) => [e.tagName, e.textContent.trim().slice(0, 20), e.getBoundingClientRect().height])
  .filter(([, , height]) => height < 43.5)"""
# Text whose contrast to what lies behind it is below 4.5, by the formula of WCAG 2.
_FAINT = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (c) => c.map((v, k) => [0.2126, 0.7152, 0.0722][k] * linear(v / 255))
    .reduce((a, b) => a + b);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0.9) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('main *, header *')) {
    if (e.offsetParent === null && !(e instanceof SVGElement)) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const ink = parse(e instanceof SVGTextElement ? style.fill : style.color).slice(0, 3);
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push([e.tagName, e.textContent.trim().slice(0, 24), ratio.toFixed(2)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def north():
    made = market(5, losers=(1,))
    evidence = made.summary.evidence
    many = tuple(f"trial-of-some-region-in-week-{k}" for k in range(12))
    lines = tuple(replace(line, trials=many) for line in evidence.lines)
    return replace(made, summary=replace(made.summary, evidence=replace(evidence, lines=lines)))


def seen_to_the_end(found):
    """Scrolls through, so that everything is drawn."""
    height = found.tab.evaluate("document.documentElement.scrollHeight")
    for y in range(0, height, 700):
        found.tab.evaluate(f"scrollTo({{ top: {y}, behavior: 'instant' }})")
        found.tab.wait_for_timeout(40)


@pytest.mark.parametrize("width", [1280, 390])
def test_targets_are_large_and_nothing_is_wider_than_the_screen(opened, north, width):
    found = opened(north.page(), width=width)
    seen_to_the_end(found)
    assert found.tab.evaluate(_SMALL) == []
    assert found.tab.evaluate("document.documentElement.scrollWidth") <= width
    # A last column that is squeezed makes rows as high as the screen.
    heights = found.tab.evaluate(
        "[...document.querySelectorAll('tbody tr')].map((e) => e.getBoundingClientRect().height)"
    )
    assert max(heights) <= 200


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_both_themes(opened, north, dark):
    found = opened(north.page(), "#rows=R001", dark=dark)
    seen_to_the_end(found)
    assert found.tab.evaluate("document.documentElement.dataset.theme") == (
        "dark" if dark else "light"
    )
    assert found.tab.evaluate(_FAINT) == []


def test_the_map_is_walked_by_keys_and_heard(opened, north):
    found = opened(north.page())
    tab = found.tab
    tab.focus(".plot.map")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        tab.keyboard.press(key)
    assert found.chosen() == {"rows": [1], "from": "2026-03-02T02:00", "to": "2026-03-02T02:00"}
    tab.wait_for_timeout(200)
    spent = sum(north.decisions.values())[1, 2]
    assert (
        found.tab.inner_text("#said")
        == f"R001, Mon 2 Mar 02:00: This plan, All together ${spent:.2f}/h"
    )
    tab.keyboard.press("Shift+ArrowDown")
    tab.keyboard.press("Shift+ArrowRight")
    assert found.chosen() == {"rows": [1, 2], "from": "2026-03-02T02:00", "to": "2026-03-02T03:00"}
    tab.keyboard.press("Enter")
    assert found.chosen() == {"rows": [2], "from": None, "to": None}
    tab.keyboard.press(" ")
    assert found.chosen() == {"rows": [], "from": "2026-03-02T03:00", "to": "2026-03-02T03:00"}
    tab.keyboard.press("Escape")
    assert found.chosen() == {"rows": [], "from": None, "to": None}


def test_every_chart_is_reached_by_the_tab_key_and_its_values_are_spoken(opened, north):
    found = opened(north.page())
    tab = found.tab
    tab.evaluate("document.body.focus()")
    reached, last = set(), None
    for _ in range(400):
        tab.keyboard.press("Tab")
        key = tab.evaluate(
            "((e) => e.matches('.plot') ? e.closest('figure').dataset.key : e.tagName)"
            "(document.activeElement)"
        )
        if key == "BODY" and last is not None:
            break
        last = key
        reached.add(key)
    charts = set(tab.evaluate("Object.keys(data.charts)"))
    assert charts <= reached
    plot = tab.locator('figure[data-key="f-eta"] .plot')
    plot.scroll_into_view_if_needed()
    found.until("charts.find((c) => c.dataset.key === 'f-eta').drawn")
    plot.focus()
    tab.keyboard.press("Escape")
    tab.keyboard.press("End")
    tab.wait_for_timeout(200)
    eta = north.outlook.paths["plan"]["eta"].mid[0, 167]
    assert tab.inner_text("#said").startswith(f"Sun 8 Mar 23:00: this plan {eta:.2f} (")


def test_paper_holds_the_answers_on_two_sheets(opened, north):
    for count in (5, 300):
        found = opened(market(count).page() if count > 5 else north.page())
        sheet = found.tab.pdf(prefer_css_page_size=True, print_background=True)
        assert len(re.findall(rb"/Type\s*/Page[^s]", sheet)) == 2
        assert re.search(rb"/MediaBox \[0 0 59[45]\S* 84[12]", sheet)
        style = found.tab.evaluate("document.querySelector('style').textContent")
        assert "0123456789abcdef" in style
        assert 'content: "page " counter(page) " of " counter(pages)' in style
        marks = found.tab.evaluate(
            "[...document.styleSheets[0].cssRules].filter((r) => r instanceof CSSPageRule)"
            ".map((r) => r.cssText).join('')"
        )
        assert "proposed by ana, 2 Mar 2026 08:00 UTC" in marks


def test_paper_of_a_page_without_a_map_holds_all_of_it(opened, north):
    """As in hindsight, and in a business whose levers do not differ by row."""
    page = replace(north.page(), desk=None)
    page = replace(page, sections=tuple(s for s in page.sections if s.key not in ("desk", "rows")))
    found = opened(page)
    found.tab.emulate_media(media="print")
    for section in page.sections:
        assert found.tab.locator(f"#{section.key}").is_visible(), section.key
    found = opened(north.page())
    found.tab.emulate_media(media="print")
    assert not found.tab.locator("#provenance").is_visible()


def test_themes_change_by_hand_and_with_the_system(opened, north):
    found = opened(north.page())
    found.tab.click("#theme")
    assert found.tab.evaluate("document.documentElement.dataset.theme") == "dark"
    for scheme in ("dark", "light"):
        found.tab.emulate_media(color_scheme=scheme)
        found.until(f"document.documentElement.dataset.theme === '{scheme}'")
        # A change that is taken back before the next frame is none.
        found.tab.wait_for_timeout(100)
