"""A page holds its data and reaches for nothing outside itself."""

import base64
import hashlib
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dagcast.review import (
    Bar,
    Card,
    Chart,
    Column,
    Forest,
    Form,
    Heatmap,
    Interval,
    Layer,
    Line,
    Map,
    Page,
    Section,
    Table,
    Text,
    render,
)
from dagcast.review._packing import digits_of

HOURS = tuple(datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour) for hour in range(48))
SPEND = np.arange(96.0).reshape(2, 48)
PATH = np.vstack([SPEND.sum(axis=0), SPEND])


@pytest.fixture(scope="module")
def html():
    page = Page(
        title="Plan <1>",
        kicker="a & b",
        headline="Spend $1,000",
        status="Optimal",
        tone="good",
        cards=(Card("Profit", "$9", "8 to 10", (("vs no spend", "+$1\n0 to 2", "good"),)),),
        sections=(
            Section("spend", "Spend", "", (Heatmap("heat", "Spend", "USD/h", {"All": SPEND}),)),
            Section(
                "forecast",
                "Forecast",
                "lead",
                (
                    (Chart("rides", "Rides", "ride/h", (Line("plan", "plan", PATH, PATH, PATH),)),),
                    Text("a paragraph"),
                    (Bar("Budget", 5.0, 10.0, "USD", True, "in words"),),
                    Table(
                        (Column("name", False), Column("n")),
                        tuple((f"r{i}", str(i)) for i in range(20)),
                    ),
                    Forest((Interval("effect", 1.0, 0.5, 1.5, 1.2, 1.1, 1.3, "agrees"),)),
                ),
            ),
        ),
        rows=("</script>", "SFO"),
        dim="region",
        hours=HOURS,
        zone="America/New_York",
    )
    return render(page)


class _Elements(HTMLParser):
    """Every element with its attributes, and how often it was opened and closed."""

    def __init__(self):
        super().__init__()
        self.elements = []
        self.balance = {}

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.balance[tag] = self.balance.get(tag, 0) + 1

    def handle_endtag(self, tag):
        self.balance[tag] = self.balance.get(tag, 0) - 1


@pytest.fixture(scope="module")
def parsed(html):
    parser = _Elements()
    parser.feed(html)
    return parser


def payload(html):
    text = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.S)
    return json.loads(text.group(1))


def unpacked(html):
    """The arrays of a page by number, read by nothing of the package: what `data.js` does."""
    text = re.search(r'<script id="packed" type="text/plain">(.*?)</script>', html, re.S)
    stream, start, found = zlib.decompress(base64.b64decode(text.group(1))), 0, []
    for rows, columns, digits, width, way, near in payload(html)["heads"]:
        count = rows * columns
        piece, start = stream[start : start + count * width], start + count * width
        if way == 2:
            found.append(np.frombuffer(piece, "<f4").reshape(rows, columns))
            continue
        planes = np.frombuffer(piece, np.uint8).reshape(width, count).astype(np.int64)
        folded = (planes * 256 ** np.arange(width)[:, None]).sum(axis=0)
        codes = np.where(folded % 2, -(folded + 1) // 2, folded // 2).reshape(rows, columns)
        codes = codes.cumsum(axis=1) if way == 1 else codes
        beside = sum(
            (sign * np.rint(found[k] * 10.0**digits).astype(np.int64) for k, sign in near), 0
        )
        found.append((codes + beside) / 10.0**digits)
    return found


def test_numbers_on_the_page_are_the_numbers_given(html):
    data, arrays = payload(html), unpacked(html)
    np.testing.assert_array_equal(arrays[data["charts"]["heat"]["layers"][0]["values"]], SPEND)
    line = data["charts"]["rides"]["lines"][0]
    for part in ("values", "low", "high"):
        np.testing.assert_array_equal(arrays[line[part]], PATH)


@pytest.mark.parametrize("scale", [1e-7, 0.003, 1.0, 40.0, 1e6, 1e12])
@pytest.mark.parametrize("hole", [False, True])
def test_arrays_of_any_size_come_back_to_what_is_shown_of_them(scale, hole):
    """Also where a value is missing, and where another array is far from what it should be near."""
    random = np.random.default_rng(3)
    one, other = scale * random.normal(size=(2, 5, 48))
    other[0] = -1e3 * one[0]
    if hole:
        one[2, 3] = np.nan
    digits = digits_of(one)
    lines = (Line("a", "plan", one, one - scale, other), Line("b", "none", one + other))
    chart = Chart("c", "C", "u", lines, digits=digits)
    page = Page(
        "t", "k", "h", "s", "good", (), (Section("s", "S", "", ((chart,),)),), (), "", HOURS
    )
    text = render(page)
    arrays = unpacked(text)
    drawn = payload(text)["charts"]["c"]["lines"]
    for values, number in (
        (one, drawn[0]["values"]),
        (one - scale, drawn[0]["low"]),
        (other, drawn[0]["high"]),
        (one + other, drawn[1]["values"]),
    ):
        np.testing.assert_allclose(
            arrays[number], values, atol=0.5 * 10.0**-digits * (1 + 1e-9), rtol=1e-7
        )


def test_a_sum_of_layers_is_what_is_shown_of_the_sum():
    """Not the sum of what is shown of its parts, which rounding moves."""
    parts = [np.full((1, 48), 0.04), np.full((1, 48), 0.04)]
    form = Form(digits=1)
    layers = (
        *(Layer("plan", str(k), part, "u", form) for k, part in enumerate(parts)),
        Layer("plan", "all", parts[0] + parts[1], "u", form, ((0, 1), (1, 1))),
    )
    page = Page(
        "t",
        "k",
        "h",
        "s",
        "good",
        (),
        (Section("s", "S", "", (Map("m", "M", layers),)),),
        (),
        "",
        HOURS,
    )
    text = render(page)
    shown = payload(text)["charts"]["m"]["layers"]
    assert [unpacked(text)[layer["values"]][0, 0] for layer in shown] == [0.0, 0.0, 0.1]


def test_hours_are_shown_in_the_zone_of_the_page(html):
    assert payload(html)["hours"][0] == "2026-03-01T19:00"


@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 2), datetime(2026, 3, 8), datetime(2026, 11, 1)]
)
def test_each_row_has_its_own_clock_and_utc_is_there_on_request(start):
    """Also over the hours in which clocks change: every instant keeps a place."""
    hours = tuple(start.replace(tzinfo=UTC) + timedelta(hours=hour) for hour in range(30))
    zones = ("America/New_York", "Europe/Berlin", "America/New_York")
    rows = ("NYC", "BER", "EWR")
    text = render(Page("t", "k", "h", "s", "good", (), (), rows, "region", hours, "UTC", zones))
    data = payload(text)
    assert data["clock"] == [0, 1, 0]
    for row, zone in enumerate(zones):
        shown = data["clocks"][data["clock"][row]]
        local = [hour.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") for hour in hours]
        assert shown == local
    assert data["hours"] == data["utc"] == [f"{hour:%Y-%m-%dT%H:%M}" for hour in hours]
    assert '<option value="utc">UTC</option>' in text


def test_page_in_utc_has_no_choice_of_clock():
    text = render(Page("t", "k", "h", "s", "good", (), (), ("SFO",), "region", HOURS))
    assert 'id="clock"' not in text
    assert payload(text)["clock"] == []


def test_rows_are_called_by_their_dim_and_one_row_needs_no_choice(html):
    assert ">Region <select" in html
    assert "All regions</option>" in html
    alone = render(
        Page("t", "k", "h", "s", "good", (), (), rows=(), dim="", hours=HOURS, zone="UTC")
    )
    assert "<select" not in alone


def test_nothing_is_fetched(parsed):
    for _tag, attributes in parsed.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith("#"), (name, value)
    policies = [a["content"] for _, a in parsed.elements if "http-equiv" in a]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")
    assert "http" not in policies[0]


def test_script_and_style_hold_no_import(html):
    # An SVG element is made in its namespace, which is a name and no address that is asked.
    own = html.replace('"http://www.w3.org/2000/svg"', "")
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|https?://", own)


def test_no_other_script_may_run_than_the_one_of_the_package(html, parsed):
    script = html[html.rindex("<script>") + len("<script>") : html.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for _, a in parsed.elements if "http-equiv" in a]
    assert f"script-src 'sha256-{digest}'" in policy
    assert script.isascii()


def test_labels_cannot_break_out_of_the_page(html, parsed):
    assert "Plan &lt;1&gt;" in html
    assert payload(html)["rows"][0] == "</script>"
    assert html.count("<script") == 3
    unbalanced = {tag for tag, count in parsed.balance.items() if count and tag not in VOID}
    assert unbalanced == set()


# HTML has no closing tag for these; SVG shapes close themselves.
VOID = {"meta", "line", "circle"}


def test_figures_and_controls_have_names_for_screen_readers(parsed):
    roles = [a for _, a in parsed.elements if a.get("role") in ("img", "meter", "application")]
    assert len(roles) == 4
    assert all(a.get("tabindex") == "0" for a in roles if a["role"] == "application")
    assert all(a.get("aria-label") for a in roles)
    assert any(a.get("lang") == "en" for tag, a in parsed.elements if tag == "html")


def test_long_tables_are_folded_not_cut(html):
    assert "8 more rows" in html
    assert "<td class=text>r19</td>" in html
