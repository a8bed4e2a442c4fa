"""What is known of labels before any event, and what is refused about it."""

import pytest

from dagcast_core.contract import Calendar, ContractError, LabelSet


def sites(**fields):
    return LabelSet("site", ("east", "west"), **fields)


def test_a_label_set_keeps_order_clocks_openings_and_borders():
    found = sites(
        zones={"west": "America/Denver"},
        since={"west": "2025-03-03T00:00+00:00"},
        near={"east": ["west"]},
    )
    assert found.labels == ("east", "west")
    assert found.zones["west"] == "America/Denver"
    assert found.near == {"east": ("west",)}
    assert found != sites()
    assert hash(found) == hash(sites(**{f: getattr(found, f) for f in ("zones", "since", "near")}))


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"zones": {"north": "UTC"}}, "speaks of 'north', which is none of its labels"),
        ({"since": {"north": "2025-03-03T00:00Z"}}, "speaks of 'north'"),
        ({"near": {"east": ("north",)}}, "speaks of 'north'"),
        ({"since": {"east": "soon"}}, "begins 'east' at 'soon'; expected an ISO 8601 instant"),
        ({"since": {"east": "2025-03-03"}}, "begins 'east' at '2025-03-03'"),
    ],
)
def test_what_contradicts_its_labels_is_refused(fields, found):
    with pytest.raises(ContractError, match=found):
        sites(**fields)


def test_labels_are_there_and_each_once():
    with pytest.raises(ContractError, match="names 'east' twice"):
        LabelSet("site", ("east", "east"))
    for other in ("East", "e\u0430st", "\uff45ast", "ea\u200dst", "east."):
        with pytest.raises(ContractError, match="names both 'east' and .*which look alike"):
            LabelSet("site", ("east", "west", other))
    with pytest.raises(ContractError, match="expected a tuple of at least one label"):
        LabelSet("site", ())


def test_a_calendar_is_a_name_and_a_function():
    assert (
        Calendar("open", lambda hours, zone: [zone] * len(hours)).of([1, 2], "UTC") == ["UTC"] * 2
    )
    with pytest.raises(ContractError, match="'open' is made by 7; expected a function"):
        Calendar("open", 7)
    with pytest.raises(ContractError, match="the quantity of a Calendar"):
        Calendar("Open hours", len)
