"""What packages declare together: who claims what twice, what is known ahead, first settings."""

import pluggy
import pytest

from dagcast.assembly import check_assembly
from dagcast.plugins import Plugin, Plugins
from dagcast.vocabulary import (
    claims,
    decided,
    first_config,
    first_setting_problems,
    known_ahead,
)
from dagcast_core import hooks
from dagcast_core.contract import AssemblyError, Calendar, Contract, Dim, Effect, Quantity
from dagcast_core.data import Column, EventTable, LinearMetric, MetricSpec, Sum
from dagcast_core.dims import HOUR

SITE = Dim("site")
ORDERS = Quantity("orders", (SITE, HOUR), "order/h")
SHIFTS = Quantity("shifts", (SITE, HOUR), "shift/h")
RAIN = Quantity("rain", (SITE, HOUR), "mm/h")
OPEN = Calendar("open", lambda hours, zone: hours.hour)


def table(name, metric, unit="order/h", **fields):
    return EventTable(
        name=name,
        columns=(
            Column("site", "text"),
            Column("hour", "instant"),
            Column("known_at", "instant"),
            Column("value", "number"),
        ),
        time="hour",
        known_at="known_at",
        dims={"site": "site"},
        sums=(Sum("value", "value"),),
        metrics=(MetricSpec(metric, "value", unit),),
        **fields,
    )


WEATHER = table("weather", "rain", "mm/h", foreseeable=True)


def plugins(**packages) -> Plugins:
    """Packages by name, each with what a Plugin holds."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    made = tuple(
        Plugin(name, f"dagcast-{name}", "1.0", object(), **fields)
        for name, fields in packages.items()
    )
    return Plugins(manager, made, ())


def model(name, *inputs, makes):
    effects = tuple(Effect(item, makes, "?") for item in inputs)
    return Contract(name, inputs=inputs, outputs=(makes,), effects=effects)


def lines(found):
    return [str(problem) for problem in found]


def test_packages_that_keep_apart_claim_nothing_twice():
    found = plugins(
        one={"tables": (table("orders", "orders"),), "contracts": (model("m", makes=ORDERS),)},
        two={"tables": (WEATHER,), "calendars": (OPEN,)},
    )
    assert claims(found) == ()


def test_two_packages_that_claim_a_table_are_one_problem():
    found = plugins(
        one={"tables": (table("orders", "orders"),)}, two={"tables": (table("orders", "orders"),)}
    )
    assert lines(claims(found)) == [
        "DC210 [project <- one (dagcast-one 1.0), two (dagcast-two 1.0)] two declarations of "
        "'table orders': expected one; found 2, of which only one could be read. fix: rename one "
        "of them, or disable a package"
    ]


def test_tables_whose_names_differ_in_case_are_one():
    """A file of the second would be read as one of the first."""
    found = plugins(
        one={"tables": (table("orders", "orders"),)}, two={"tables": (table("Orders", "calls"),)}
    )
    (problem,) = claims(found)
    assert (problem.code, problem.name) == ("DC210", "table orders and Orders")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tables": (table("other", "orders"),)}, "metric orders"),
        ({"metrics": (LinearMetric("orders", "order/h", {"calls": 1.0}),)}, "metric orders"),
        ({"calendars": (OPEN,)}, "calendar open"),
    ],
)
def test_a_metric_or_calendar_has_one_source(fields, name):
    one = {"tables": (table("orders", "orders"),), "calendars": (OPEN,)}
    (problem,) = claims(plugins(one=one, two=fields))
    assert (problem.code, problem.name) == ("DC210", name)


def test_a_metric_in_another_unit_than_the_models_names_both_sides():
    found = plugins(
        data={"tables": (table("orders", "orders", "kilo-order/h"),)},
        team={"contracts": (model("m", makes=ORDERS), model("n", ORDERS, makes=SHIFTS))},
    )
    assert lines(claims(found)) == [
        "DC211 [m (dagcast-team 1.0), n (dagcast-team 1.0) <- data (dagcast-data 1.0)] metric "
        "'orders': expected the unit of the model, order/h; found kilo-order/h. fix: measure it "
        "with that unit, or give the metric another name"
    ]


def test_a_metric_with_other_dims_than_the_models_is_a_problem():
    orders = Quantity("orders", (HOUR,), "order/h")
    found = plugins(
        data={"tables": (table("orders", "orders"),)},
        team={"contracts": (model("m", makes=orders),)},
    )
    (line,) = lines(claims(found))
    assert "expected the dims of the model, [hour]; found [site, hour]" in line


def test_known_ahead_is_what_a_table_foresees_or_a_clock_tells():
    prices = table("prices", "price", "EUR/order", foreseeable=True, decided=True)
    sums = (
        LinearMetric("wet", "mm/h", {"rain": 2.0}),
        LinearMetric("both", "order/h", {"orders": 1.0, "rain": 1.0}),
    )
    tables = (table("orders", "orders"), WEATHER, prices)
    found = plugins(one={"tables": tables, "metrics": sums, "calendars": (OPEN,)})
    assert known_ahead(found) == {"rain", "price", "wet", "open"}
    assert decided(found) == {"price"}


def checked(contracts, tables, **asked):
    found = plugins(data={"tables": tables}, team={"contracts": contracts})
    return lines(check_assembly(found, **asked).problems)


def test_an_exogenous_input_is_known_ahead_or_a_problem():
    reader = model("m", RAIN, makes=ORDERS)
    assert checked((reader,), (WEATHER,)) == []
    (line,) = checked((reader,), ())
    assert "DC102" in line
    assert "declare a table or a calendar that knows it ahead" in line


def test_an_observed_outcome_whose_team_is_missing_is_not_exogenous():
    (line,) = checked((model("m", SHIFTS, makes=ORDERS),), (table("log", "shifts", "shift/h"),))
    assert line == (
        "DC102 [m (dagcast-team 1.0) <-] missing quantity 'shifts': expected a model or the "
        "project to provide it; found observations in table 'log' alone, which end where the "
        "forecast begins. fix: install or enable a package that forecasts 'shifts'; a stand-in "
        "would lose its effect in silence"
    )


def test_a_model_may_make_what_a_table_foresees():
    forecaster = Contract("forecaster", outputs=(RAIN,))
    assert checked((forecaster, model("m", RAIN, makes=ORDERS)), (WEATHER,)) == []


def test_a_lever_that_is_read_needs_no_second_mention():
    reader = model("m", SHIFTS, makes=ORDERS)
    assert checked((reader,), (), levers=["shifts"], required=["orders"]) == []


def test_the_weight_of_a_limit_is_there_but_need_not_be_moved():
    reader = model("m", SHIFTS, makes=ORDERS)
    calls = Contract("calls", outputs=(Quantity("calls", (SITE, HOUR), "call/h"),))
    asked = {"levers": ["shifts"], "required": ["orders"], "weights": ["calls"]}
    assert checked((reader, calls), (), **asked) == []
    (line,) = checked((reader,), (), **asked)
    assert line.startswith("DC102 [project <-] missing quantity 'calls'")


SETTINGS = {
    "levers": {"shifts": {"upper": 9.0}},
    "objective": {"weights": {"orders": 1.0}},
    "budgets": [{"limit": 5.0}],
    "display": {"first": ["orders"]},
}


def test_first_settings_of_several_packages_are_united():
    more = {
        "objective": {"weights": {"rain": 2.0}},
        "display": {"first": ["orders", "rain"]},
        "data": {"heartbeat": "orders"},
    }
    config = first_config(plugins(one={"project": SETTINGS}, two={"project": more}), name="mine")
    assert config.name == "mine"
    assert config.objective.weights == {"orders": 1.0, "rain": 2.0}
    assert config.display.first == ("orders", "rain")
    assert config.data.heartbeat == "orders"
    assert config.budgets[0].lever == "shifts"
    # What the packages hold is theirs and stays as it was.
    assert SETTINGS["display"]["first"] == ["orders"]
    assert SETTINGS["objective"]["weights"] == {"orders": 1.0}


def test_first_settings_that_contradict_each_other_are_named():
    other = {"levers": {"shifts": {"upper": 4.0}}}
    found = plugins(one={"project": SETTINGS}, two={"project": other})
    with pytest.raises(AssemblyError) as caught:
        first_config(found)
    (problem,) = caught.value.problems
    assert str(problem) == (
        "DC212 [project <- one (dagcast-one 1.0), two (dagcast-two 1.0)] first setting "
        "'levers.shifts.upper': expected one value, such as 9.0; found 4.0 too. fix: let one of "
        "the two packages say it, or disable one"
    )
    assert problem in check_assembly(found).problems


def test_a_value_where_another_package_has_a_table_is_a_contradiction():
    found = plugins(one={"project": SETTINGS}, two={"project": {"levers": "shifts"}})
    with pytest.raises(AssemblyError, match=r"one \(dagcast-one 1.0\), two .* 'levers'"):
        first_config(found)


def test_first_settings_that_no_project_could_have_name_their_package():
    found = plugins(one={"project": {"levers": {"shifts": {"uper": 1.0, "upper": 1.0}}}})
    with pytest.raises(AssemblyError, match=r"one \(dagcast-one 1.0\)\] .*'levers.shifts.uper'"):
        first_config(found)
    # Contracts alone load no pydantic and leave it to whoever reads settings.
    assert check_assembly(found).problems == ()
    (problem,) = first_setting_problems(found)
    assert problem.code == "DC212"


def test_without_any_package_the_first_settings_are_empty_and_valid():
    config = first_config(plugins())
    assert (config.levers, config.objective.weights, config.guardrails) == ({}, {}, ())
