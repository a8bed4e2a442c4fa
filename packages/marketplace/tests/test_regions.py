"""``regions.json`` is read whole, or refused before any event is."""

import json

import pytest

from dagcast_core.contract import LabelSet
from dagcast_core.data import DataError
from dagcast_marketplace import read_regions

REGIONS = [
    {"region": "NYC", "zone": "America/New_York", "neighbours": ["NEW"], "opened_on": "2025-01-01"},
    {"region": "NEW", "zone": "America/New_York", "neighbours": ["NYC"],
     "opened_on": "2026-01-12T03:00:00+01:00"},
    {"region": "LAX", "zone": "America/Los_Angeles", "neighbours": [], "opened_on": "2025-01-01"},
]  # fmt: skip


@pytest.fixture
def events(tmp_path):
    (tmp_path / "regions.json").write_text(json.dumps(REGIONS))
    return tmp_path


def test_regions_carry_zone_neighbours_and_opening(events):
    regions = read_regions(events)
    assert regions == LabelSet(
        "region",
        ("NYC", "NEW", "LAX"),
        zones={
            "NYC": "America/New_York",
            "NEW": "America/New_York",
            "LAX": "America/Los_Angeles",
        },
        since={
            "NYC": "2025-01-01T00:00:00+00:00",
            "NEW": "2026-01-12T02:00:00+00:00",
            "LAX": "2025-01-01T00:00:00+00:00",
        },
        near={"NYC": ("NEW",), "NEW": ("NYC",), "LAX": ()},
    )
    # A folder below it, such as that of one delivery, has the same regions.
    assert read_regions(events / "week2") == regions


def test_without_the_file_nothing_is_said_of_regions(tmp_path):
    assert read_regions(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("{", "content that is not JSON"),
        ("[]", "list without entries"),
        ("{}", "dict without entries"),
        ('[{"region": "NYC"}]', "found {'region': 'NYC'}"),
        (lambda r: [*r, r[0]], "'NYC' twice"),
        (lambda r: [*r, {**r[0], "region": "nyc"}], "'NYC' and 'nyc', which look alike"),
        (lambda r: [{**r[0], "neighbours": [], "opened_on": "9999-12-31"}], "'opened_on': '9999"),
        (lambda r: [{**r[0], "neighbours": ["SFO"]}], "'SFO' beside 'NYC'"),
        (lambda r: [{**r[0], "neighbours": [], "zone": "Gotham"}], "no such zone"),
        (lambda r: [{**r[0], "neighbours": [], "opened_on": "soon"}], "'opened_on': 'soon'"),
    ],
)
def test_wrong_regions_are_refused(events, change, found):
    content = change if isinstance(change, str) else json.dumps(change(REGIONS))
    (events / "regions.json").write_text(content)
    with pytest.raises(DataError) as caught:
        read_regions(events)
    assert found in str(caught.value)
    assert "Correct the file" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace('"region": "LAX"', '"region": ""'), "'region': ''"),
        (lambda text: text.replace('"region": "LAX"', '"region": null'), "'region': None"),
        (lambda text: text.replace('"region": "LAX"', '"region": "L\\u0000X"'), "region"),
        (lambda text: text.replace('"region": "LAX"', '"region": " NYC "'), "'NYC' twice"),
        (lambda text: text.replace('["NEW"]', '["NYC"]'), "'NYC' beside itself"),
        (lambda text: text.replace('["NEW"]', '["NEW", "NEW"]'), "'NEW' beside 'NYC' twice"),
        (lambda text: text.replace('["NEW"]', '"NEW"'), "'neighbours': 'NEW'"),
        (lambda text: text.replace('"2025-01-01"', '"now"'), "'now'"),
        (lambda text: text.replace('"2025-01-01"', "20250101"), "'opened_on': 20250101"),
        (lambda text: text.replace('"region": "LAX"', f'"region": "{"L" * 201}"'), "LLL"),
        (lambda text: text.replace('"zone"', '"region": "SEA", "zone"', 1), "'region' twice"),
        (lambda text: "[" * 5000 + "]" * 5000, "more levels than can be read"),
    ],
)
def test_names_and_keys_that_are_none_are_refused(events, change, words):
    path = events / "regions.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=f"regions.json.*{words}"):
        read_regions(events)


def test_one_name_in_two_forms_is_one_name(events):
    """An accent may be a character of its own, which nobody sees."""
    path = events / "regions.json"
    path.write_text(path.read_text().replace('"LAX"', '"Montre\\u0301al"'))
    assert read_regions(events).labels[-1] == "Montr\u00e9al"
