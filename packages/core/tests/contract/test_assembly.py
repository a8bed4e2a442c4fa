"""Joining contracts by quantity name, and everything that can be wrong with it."""

from dataclasses import replace

import pytest
from assembled import DRIVER_HOURS, ETA, REGION, SESSIONS, lines, make

from dagcast_core.contract import AssemblyError, Contract, Input, Quantity, Registration, assemble
from dagcast_core.dims import HOUR

TURNED = Quantity("rides", (REGION, HOUR), "ride/h")


def test_contracts_that_fit_have_no_problems_and_an_order(demand, supply, pickup):
    assembly = assemble([pickup, supply, demand], externals=())
    assert assembly.problems == ()
    assert assembly.order == ("supply", "demand", "pickup")
    assert [(e.producer, e.quantity, e.consumer) for e in assembly.edges] == [
        ("demand", "sessions", "pickup"),
        ("supply", "driver_hours", "pickup"),
    ]


def test_missing_input_names_the_closest_quantity_and_where_it_comes_from(demand):
    supply = Registration(
        make("supply", makes=["open_driver_hours"]), "dagcast-driver-hours", "0.3.0"
    )
    reader = Registration(
        make("eta", reads=["sessions", "open_hours"], makes=["wait"]), "dagcast-eta", "0.4.1"
    )
    sessions = make("demand", makes=["sessions"])
    (line,) = lines(sessions, supply, reader)
    assert line == (
        "DC102 [eta (dagcast-eta 0.4.1) <-] missing quantity 'open_hours': expected a model or "
        "the project to provide it; found nothing that does; nearest is 'open_driver_hours' from "
        "supply (dagcast-driver-hours 0.3.0). fix: write 'open_driver_hours' if that is meant, or "
        "install or enable a package that produces 'open_hours'"
    )


def test_missing_quantity_is_one_problem_for_all_its_readers(demand, pickup):
    other = make("other", reads=[DRIVER_HOURS], makes=["b"])
    (line,) = lines(demand, pickup, other)
    assert line.startswith("DC102 [pickup, other <-] missing quantity 'driver_hours'")


def test_what_the_project_asks_for_has_to_be_produced(demand):
    assert lines(demand, required=["sessions"]) == []
    (line,) = lines(demand, required=["session"])
    assert line.startswith("DC102 [project <-] missing quantity 'session'")
    assert "nearest is 'sessions' from demand" in line


def test_optional_input_may_be_missing_but_not_misspelt():
    def reader(name):
        return make(
            "reader",
            reads=[Input(Quantity(name, (REGION, HOUR), "1"), required=False, default=0.0)],
            makes=["b"],
        )

    assert lines(reader("rainfall"), externals=["precipitation"]) == []
    (line,) = lines(reader("precipitaton"), externals=["precipitation"])
    assert line.startswith("DC102 [reader <-] missing quantity 'precipitaton'")


def test_what_follows_from_a_model_is_no_misspelling_of_what_it_reads():
    """`incremental_driver_hours` has the words of `driver_hours`, which is made from it."""
    name = "incremental_driver_hours"
    added = Input(Quantity(name, (REGION, HOUR), "1"), required=False, default=0.0)
    first = make("first", reads=[added], makes=["gained"])
    last = make("last", reads=["gained"], makes=["driver_hours"])
    assert lines(first, last) == []
    (line,) = lines(first, make("other", makes=["driver_hours"]))
    assert line.startswith(f"DC102 [first <-] missing quantity '{name}'")


def test_missing_weight_of_an_average_is_a_missing_quantity(supply):
    pickup = Contract("pickup", inputs=(DRIVER_HOURS,), outputs=(ETA,))
    (line,) = lines(supply, pickup)
    assert line.startswith("DC102 [pickup <-] missing quantity 'sessions'")
    assert lines(supply, pickup, externals=["sessions"]) == []


def test_without_externals_whatever_nobody_makes_is_an_input_of_the_whole(pickup):
    assembly = assemble([pickup], externals=None)
    assert assembly.problems == ()
    assert [item.name for item in assembly.externals] == ["sessions", "driver_hours"]


def test_two_producers_are_named_and_compared_no_further(demand, supply, pickup):
    rival = Registration(
        Contract("rival", outputs=(replace(DRIVER_HOURS, unit="h"),)), "my-supply", "2.0.0"
    )
    (line,) = lines(demand, Registration(supply, "dagcast-supply", "0.3.0"), rival, pickup)
    assert line.startswith(
        "DC103 [<- supply (dagcast-supply 0.3.0), rival (my-supply 2.0.0)] two producers of "
        "'driver_hours': expected one producer; found 2. fix: choose one of dagcast-supply, "
        "my-supply"
    )


def test_model_that_makes_what_the_project_provides_is_a_second_producer(demand):
    (line,) = lines(demand, externals=["sessions"])
    assert line.startswith("DC103 [project <- demand] two producers of 'sessions'")


def test_choice_settles_two_producers(demand, supply, pickup):
    rival = Registration(Contract("rival", outputs=(DRIVER_HOURS,)), "my-supply", "2.0.0")
    ours = Registration(supply, "dagcast-supply", "0.3.0")
    for choice, kept, left in (("my-supply", "rival", ours), ("supply", "supply", rival)):
        assembly = assemble(
            [demand, ours, rival, pickup], externals=(), serving={"driver_hours": choice}
        )
        assert assembly.problems == ()
        assert set(assembly.order) == {"demand", kept, "pickup"}
        assert assembly.inactive == (left,)


def test_choice_that_cannot_serve_is_refused(demand, supply, pickup):
    (line,) = lines(demand, supply, pickup, serving={"driver_hours": "my-supply"})
    assert line.startswith("DC117 [project <-] choice for 'driver_hours'")
    (line,) = lines(demand, supply, pickup, serving={"drivr_hours": "my-supply"})
    assert "fix: write 'driver_hours'" in line


def test_inner_parts_of_a_swapped_collection_are_left_out(supply, pickup):
    parts = [
        Registration(make("organic", makes=["organic_sessions"]), "dagcast-sessions", "1"),
        Registration(
            Contract(
                "total",
                inputs=(Quantity("organic_sessions", (REGION, HOUR), "1"),),
                outputs=(SESSIONS,),
            ),
            "dagcast-sessions",
            "1",
        ),
    ]
    rival = Registration(Contract("rival", outputs=(SESSIONS,)), "my-sessions", "1")
    assembly = assemble(
        [*parts, rival, supply, pickup], externals=(), serving={"sessions": "my-sessions"}
    )
    assert assembly.problems == ()
    assert set(assembly.order) == {"rival", "supply", "pickup"}


def test_two_models_of_one_name_are_refused(demand):
    twin = Registration(Contract("demand", outputs=(TURNED,)), "other", "1.0.0")
    (line,) = lines(demand, twin)
    assert line.startswith("DC116 [<- demand, demand (other 1.0.0)] model name 'demand'")


def test_every_problem_is_raised_at_once(demand, pickup):
    wrong = Contract("supply", outputs=(replace(DRIVER_HOURS, unit="h", bounds=(None, None)),))
    with pytest.raises(
        AssemblyError, match=r"2 problems joining 3 models\n  DC105 .*\n  DC110 "
    ) as raised:
        assemble([demand, wrong, pickup], externals=()).raise_problems()
    assert [p.code for p in raised.value.problems] == ["DC105", "DC110"]


PROFIT = Quantity("profit", (REGION, HOUR), "cent/h", aggregation={"hour": "sum"})


def test_objective_in_another_unit_than_its_quantity_is_refused():
    money = Registration(
        Contract("money", outputs=(PROFIT, replace(ETA, aggregation={}))),
        "dagcast-pricing",
        "0.2.0",
    )
    (problem,) = assemble([money], externals=(), required={"profit": "USD", "eta": ""}).problems
    assert str(problem) == (
        "DC105 [project <- money (dagcast-pricing 0.2.0)] unit 'profit': expected USD over the "
        "horizon; found cent, from cent/h. fix: give 'profit' the weight that turns cent into USD, "
        "or count in cent"
    )
    for fits in ("cent", "cent/h", ""):
        assert assemble([money], externals=(), required={"profit": fits}).problems == ()


def test_mean_over_time_is_counted_in_its_own_unit():
    pickup = make("pickup", makes=(replace(ETA, aggregation={}, unit="min/h"),))
    assert lines(pickup, required={"eta": "min/h"}) == []
    (line,) = lines(pickup, required={"eta": "min"})
    assert "expected min over the horizon; found min/h" in line
