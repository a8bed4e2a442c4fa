"""What is observed and made by nobody is forecast by what is usual, and counts for no plan."""

import pytest

from dagcast.assembly import check_assembly, lost_quantities
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast.standing import Held, standing_aside
from dagcast.usual import with_usual
from dagcast_core.contract import Calendar, Contract, Dim, Input, Quantity, Weighted
from dagcast_core.data import Column, EventTable, MetricSpec, Sum
from dagcast_core.dims import HOUR

SITE = Dim("site")


def quantity(name, **options):
    return Quantity(name, dims=(SITE, HOUR), unit="1/h", bounds=(0, None), **options)


CLOCK = Quantity("hour_of_week", dims=(SITE, HOUR), unit="1", dtype="int64", bounds=(0, 167))
HEAT, PRICE, ORDERS = quantity("heat"), quantity("price"), quantity("orders")
WAIT = quantity("wait", aggregation={"site": Weighted("visits")})
GAIN = Quantity("gain", dims=(SITE, HOUR), unit="1/h")
OBSERVED = ("orders", "wait", "gain", "visits")


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
    """A shop that needs a price and makes orders, a wait and a gain."""
    shop = Contract(
        model="shop", version="1.0.0", outputs=(ORDERS, WAIT, GAIN),
        inputs=(CLOCK, PRICE, Input(HEAT, required=False, default=0.0)),
    )  # fmt: skip
    plugin = Plugin(
        "shop", "dagcast-shop", "1.0", None, (shop,),
        tables=(table("counts", *OBSERVED), table("ahead", "heat", "price", foreseeable=True)),
        calendars=(Calendar("hour_of_week", lambda hours, zone: hours.hour),),
    )  # fmt: skip
    return Plugins(load_plugins(path=[]).manager, (plugin,), ())


def joined(plugins, metrics, clocks=("hour_of_week",)):
    held = Held(frozenset(metrics), frozenset(clocks))
    aside = standing_aside(plugins, held)
    return with_usual(plugins, held, aside), aside


def usual(plugins, *arguments, **options):
    found, _ = joined(plugins, *arguments, **options)
    return [item for item in found.registrations if item.entry_point == "usual"]


def test_what_is_observed_without_a_model_is_forecast_by_what_is_usual(plugins):
    orders, wait = usual(plugins, {"orders", "wait", "gain", "heat"})
    # What may be negative has no usual level in logs.
    assert [orders.contract.model, wait.contract.model] == ["usual-orders", "usual-wait"]
    assert orders.contract.input_names == ("hour_of_week", "heat")
    # Nothing is weighted by what nobody makes.
    (out,) = wait.contract.outputs
    assert out.aggregated("site") == "mean"


def test_nothing_is_usual_where_the_models_take_part_or_no_clock_is_known(plugins):
    assert usual(plugins, {"orders", "price"}) == []
    assert usual(plugins, {"orders"}, clocks=()) == []
    assert usual(plugins, {"heat"}) == []


def test_no_plan_counts_what_is_usual(plugins):
    found, aside = joined(plugins, {"orders", "heat"})
    assert lost_quantities(found, aside) == {"orders", "wait", "gain"}
    assembly = check_assembly(found, aside=aside, required={"orders": ""}, levers=["price"])
    assert assembly.problems == ()
    assert assembly.order == ("usual-orders",)
