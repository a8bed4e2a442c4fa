"""Models that lack something in the store stand aside, and so does what depends on them."""

import pytest

from dagcast.assembly import check_assembly, lost_quantities
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast.standing import Held, standing_aside
from dagcast_core.contract import Calendar, Contract, Dim, Input, Quantity
from dagcast_core.data import Column, EventTable, MetricSpec, Sum
from dagcast_core.dims import HOUR

SITE = Dim("site")


def quantity(name):
    return Quantity(name, dims=(SITE, HOUR), unit="1/h")


CLOCK, HEAT, PRICE = quantity("clock"), quantity("heat"), quantity("price")
HIDDEN, ORDERS, COST = quantity("hidden"), quantity("orders"), quantity("cost")


def contract(model, reads, makes, optional=()):
    inputs = (*reads, *(Input(item, required=False, default=0.0) for item in optional))
    return Contract(model=model, version="1.0.0", inputs=inputs, outputs=makes)


def table(name, *metrics, foreseeable=False):
    return EventTable(
        name=name,
        columns=(
            Column("site", "text"), Column("at", "instant"), Column("known_at", "instant"),
            *(Column(metric, "number") for metric in metrics),
        ),
        time="at",
        known_at="known_at",
        dims={"site": "site"},
        foreseeable=foreseeable,
        sums=tuple(Sum(metric, metric) for metric in metrics),
        metrics=tuple(MetricSpec(metric, metric, "1/h") for metric in metrics),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plugins():
    """Hidden demand of the clock makes orders, with the heat; orders and a price make the cost."""
    contracts = (
        contract("demand", (CLOCK,), (HIDDEN,)),
        contract("shop", (HIDDEN,), (ORDERS,), optional=(HEAT,)),
        contract("till", (ORDERS, PRICE), (COST,)),
    )
    plugin = Plugin(
        "shop", "dagcast-shop", "1.0", None, contracts,
        tables=(table("orders", "orders"), table("costs", "cost"),
                table("ahead", "heat", "price", foreseeable=True)),
        calendars=(Calendar("clock", lambda hours, zone: hours.hour),),
    )  # fmt: skip
    return Plugins(load_plugins(path=[]).manager, (plugin,), ())


ALL = frozenset({"orders", "cost", "heat", "price"})


def aside(plugins, metrics, clocks=("clock",), levers=()):
    return standing_aside(plugins, Held(frozenset(metrics), frozenset(clocks)), levers)


def test_nobody_stands_aside_where_everything_is_there(plugins):
    assert aside(plugins, ALL) == ()
    # What is optional may be absent.
    assert aside(plugins, ALL - {"heat"}) == ()


def test_without_a_price_the_till_stands_aside(plugins):
    (till,) = aside(plugins, ALL - {"price"})
    assert (till.model, till.lacks, till.makes) == ("till", ("price",), ("cost",))
    assert till.declare == "a source of price (1/h, by site) or a file ahead"


def test_a_lever_counts_where_the_store_holds_it(plugins):
    assert [item.model for item in aside(plugins, ALL - {"price"}, levers=["price"])] == ["till"]


def test_an_outcome_that_was_never_measured_is_not_made_up(plugins):
    (till,) = aside(plugins, ALL - {"cost"})
    assert till.why == "cost, its own outcome"


def test_what_depends_on_it_stands_aside_too_and_all_is_said_at_once(plugins):
    demand, shop, till = aside(plugins, ALL - {"orders", "price"})
    assert demand.why == "anything observed that follows from hidden"
    assert shop.why == "hidden, which demand would make; orders, its own outcome"
    assert till.why == "orders, which shop would make; price"


def test_clocks_are_asked_for_where_nobody_says_them(plugins):
    demand, *_ = aside(plugins, ALL, clocks=())
    assert demand.why == "clock: nobody says the zone of every label"
    assert demand.declare == "zone in [labels.site]"


def test_what_the_project_asks_of_them_stands_aside_with_them(plugins):
    out = aside(plugins, ALL - {"price"})
    assert lost_quantities(plugins, out) == {"cost"}
    asked = {"required": {"cost": "", "orders": ""}, "levers": ["price"], "weights": ["cost"]}
    assembly = check_assembly(plugins, aside=out, **asked)
    assert assembly.problems == ()
    assert assembly.order == ("demand", "shop")
    assert check_assembly(plugins, **asked).order == ("demand", "shop", "till")
