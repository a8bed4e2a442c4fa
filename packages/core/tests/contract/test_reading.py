"""How people read a quantity: title, better and display, which promise nothing."""

import pytest

from dagcast_core.contract import (
    Contract,
    ContractError,
    Input,
    Quantity,
    assemble,
    differences,
    union,
)
from dagcast_core.dims import HOUR


def quantity(unit: str = "1", **fields: str) -> Quantity:
    return Quantity("late_orders", (HOUR,), unit, **fields)


@pytest.mark.parametrize(
    ("unit", "figures", "currency"),
    [
        ("USD/h", "money", "USD"),
        ("EUR/order", "money", "EUR"),
        ("JPY", "money", "JPY"),
        ("1", "share", None),
        ("min", "minutes", None),
        ("order/h", "count", None),
        ("driver-hour/h", "count", None),
        ("degC", "number", None),
        ("log odds", "number", None),
        # Three capitals that a word goes on with are no currency.
        ("USDollar/h", "count", None),
        ("10000 people", "number", None),
    ],
)
def test_figures_follow_from_the_unit(unit, figures, currency):
    assert quantity(unit).figures == figures
    assert quantity(unit).currency == currency


def test_what_is_declared_wins_over_the_unit_and_the_name():
    declared = quantity(title="Orders too late", better="lower", display="number")
    assert (declared.heading, declared.figures) == ("Orders too late", "number")
    assert quantity().heading == "Late orders"


def test_it_survives_json_and_older_snapshots_lack_it():
    declared = quantity(title="Orders too late", better="lower", display="number")
    document = declared.to_json()
    again = Quantity.from_json(document)
    assert (again.title, again.better, again.display) == ("Orders too late", "lower", "number")
    for field in ("title", "better", "display"):
        del document[field]
    older = Quantity.from_json(document)
    assert (older.title, older.better, older.display) == ("", "", "")


def test_it_is_no_part_of_equality_nor_of_a_contracts_version():
    plain, told = quantity(), quantity(title="Late", better="lower", display="count")
    assert plain == told
    assert hash(plain) == hash(told)
    before = Contract("m", inputs=(Input(plain, lag=1),), outputs=(plain,))
    after = Contract("m", inputs=(Input(told, lag=1),), outputs=(told,))
    assert differences(before, after) == ()
    # A promise that does change is found by the same call.
    assert differences(before, Contract("m", outputs=(quantity("min"),)))


@pytest.mark.parametrize(
    "fields", [{"better": "more"}, {"display": "percent"}, {"title": "two\nlines"}]
)
def test_other_values_are_refused(fields):
    with pytest.raises(ContractError, match=next(iter(fields))):
        quantity(**fields)


def test_one_reader_says_how_people_call_what_the_world_provides():
    spend = Quantity("spend", (HOUR,), "EUR/h")
    told = Quantity("spend", (HOUR,), "EUR/h", title="Bonuses", better="lower")
    makes = [Quantity(name, (HOUR,), "1") for name in ("a", "b")]
    readers = [
        Contract("first", inputs=(Input(spend, required=False, default=0.0),), outputs=makes[:1]),
        Contract("second", inputs=(told,), outputs=makes[1:]),
    ]
    (external,) = assemble(readers).externals
    assert (external.quantity.title, external.quantity.better) == ("Bonuses", "lower")
    (joined,) = union("both", readers).inputs
    assert (joined.quantity.title, joined.required) == ("Bonuses", True)
    (turned,) = union("both", readers[::-1]).inputs
    assert (turned.quantity.title, turned.required) == ("Bonuses", True)
