"""Figures are written as their unit and their owner say, in whatever currency."""

import pytest

from dagcast.figures import amount, currency, figure, listed, step_of, words
from dagcast.plans import Reading, price_words
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR


@pytest.mark.parametrize(
    ("value", "unit", "written", "signed", "text"),
    [
        (1234567.0, "USD", "", False, "$1.23 M"),
        (12345.0, "EUR", "", False, "\N{EURO SIGN}12.3 k"),
        (950.0, "CHF", "", True, "+CHF 950"),
        (14.2, "USD/ride", "", False, "$14.20"),
        (0.0812, "1", "", False, "8.1 %"),
        (-0.0812, "1", "", True, "\N{MINUS SIGN}8.1 pts"),
        (0.961, "1", "number", False, "0.961"),
        (4.618, "min", "", False, "4.62 min"),
        (412200.0, "rides", "count", False, "412,200"),
        (float("nan"), "min", "", False, "\N{EN DASH}"),
    ],
)
def test_a_figure_is_written_by_its_unit_or_as_its_owner_says(value, unit, written, signed, text):
    assert figure(value, unit, written, signed=signed) == text


def test_a_unit_that_only_begins_like_a_currency_is_none():
    assert currency("USD/h") == "USD"
    assert currency("USDX/h") is None
    assert currency("MWh/h") is None
    assert currency("ride/h") is None


def test_amounts_of_an_objective_are_money_or_numbers_with_their_unit():
    assert amount(-1234.4, "USD") == "\N{MINUS SIGN}$1,234"
    assert amount(0.2, "USD", signed=True) == "$0"
    assert amount(1234.4, "orders", signed=True) == "+1,234 orders"
    assert amount(1.5, "t") == "1.5 t"


def test_a_price_is_told_in_the_units_of_limit_and_objective():
    told = price_words(2.5, "<=", "EUR", "profit", "EUR")
    assert told == "one euro more allowed adds \N{EURO SIGN}2.50 of profit"
    told = price_words(-300.0, ">=", "1", "orders", "orders")
    assert told == "one percentage point less required adds 3 orders of orders"
    assert step_of("parcel") == "parcel"


def test_what_a_declaration_says_of_reading_reaches_the_page():
    shifts = Quantity(
        "extra_shifts",
        (Dim("depot"), HOUR),
        "worker-hour/h",
        aggregation={"hour": "sum", "depot": "sum"},
        better="lower",
    )
    reading = Reading.of(shifts)
    assert (reading.title, reading.total_unit, reading.better) == (
        "Extra shifts",
        "worker-hours",
        "lower",
    )
    assert reading.figure(1234.0) == "1,234"


def test_titles_and_lists_inside_a_sentence():
    assert [words(title) for title in ("Pickup ETA", "ETA", "Rides")] == [
        "pickup ETA",
        "ETA",
        "rides",
    ]
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
