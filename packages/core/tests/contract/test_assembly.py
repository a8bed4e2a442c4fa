from dataclasses import replace

import pytest

from dagcast_core.contract import (
    Arm,
    AssemblyError,
    Cells,
    Change,
    Contract,
    Dim,
    Effect,
    Experiment,
    Input,
    Quantity,
    Registration,
    Weighted,
    assemble,
    union,
)
from dagcast_core.dims import HOUR, REGION

SESSIONS = Quantity(
    "sessions",
    dims=(REGION, HOUR),
    unit="session/h",
    aggregation={"region": "sum", "hour": "sum"},
    bounds=(0, None),
)
DRIVER_HOURS = Quantity("driver_hours", dims=(REGION, HOUR), unit="driver-hour/h", bounds=(0, None))
ETA = Quantity(
    "eta",
    dims=(REGION, HOUR),
    unit="min",
    aggregation={"region": Weighted("sessions")},
    bounds=(0, 60),
)
TURNED = Quantity("rides", (REGION, HOUR), "ride/h")


def lines(*contracts, externals=(), **kwargs):
    return [str(p) for p in assemble(contracts, externals=externals, **kwargs).problems]


def make(name, reads=(), makes=(), **fields):
    def quantity(item):
        return item if isinstance(item, (Quantity, Input)) else Quantity(item, (REGION, HOUR), "1")

    return Contract(
        name, inputs=tuple(map(quantity, reads)), outputs=tuple(map(quantity, makes)), **fields
    )


def test_contracts_that_fit_have_no_problems_and_an_order(demand, supply, pickup):
    assembly = assemble([pickup, supply, demand], externals=())
    assert assembly.problems == ()
    assert assembly.order == ("supply", "demand", "pickup")
    assert [(e.producer, e.quantity, e.consumer) for e in assembly.edges] == [
        ("demand", "sessions", "pickup"),
        ("supply", "driver_hours", "pickup"),
    ]


# One row per attribute that both sides have to agree on: a change of the consumer's declaration
# that breaks, and one beside it that does not.
WAIT = replace(DRIVER_HOURS, bounds=(0, 50), nullable=False)
MISMATCHES = [
    (
        "DC104",
        {"dims": (HOUR, REGION, Dim("incentive"))},
        {"dims": (HOUR, REGION)},
        "[hour:time, region, incentive]",
        "[region, hour:time]",
    ),
    (
        "DC104",
        {"dims": (Dim("region", kind="int"), HOUR)},
        {},
        "[region:int, hour:time]",
        "[region, hour:time]",
    ),
    ("DC105", {"unit": "min"}, {"description": "hours"}, "min", "driver-hour/h"),
    (
        "DC106",
        {"aggregation": {"hour": "sum"}},
        {"aggregation": {"hour": "mean"}},
        "sum along hour",
        "mean along hour",
    ),
    (
        "DC106",
        {"aggregation": {"hour": Weighted("rides")}},
        {},
        "mean weighted by rides along hour",
        "mean along hour",
    ),
    (
        "DC107",
        {"dims": (REGION, replace(HOUR, frequency="15min"))},
        {},
        "hour every '15min'",
        "hour every 'h'",
    ),
    (
        "DC108",
        {"dims": (REGION, replace(HOUR, zone="America/New_York"))},
        {},
        "hour in America/New_York",
        "hour in UTC",
    ),
    (
        "DC109",
        {"dims": (replace(REGION, vocabulary="region/v2"), HOUR)},
        {},
        "region from region/v2",
        "region from region/v1",
    ),
    ("DC110", {"bounds": (0, 40)}, {"bounds": (-5, 60)}, "[0, 40]", "[0, 50]"),
    ("DC110", {"bounds": (1, 50)}, {"bounds": (0, None)}, "[1, 50]", "[0, 50]"),
    ("DC112", {"dtype": "int64"}, {"dtype": "float64"}, "int64", "float64"),
]


@pytest.mark.parametrize(("code", "breaking", "harmless", "expected", "found"), MISMATCHES)
def test_mismatch_along_an_edge_is_one_problem_and_its_twin_none(
    code, breaking, harmless, expected, found
):
    supply = Registration(Contract("supply", outputs=(WAIT,)), "dagcast-supply", "0.3.0")
    rides = Quantity("rides", (REGION, HOUR), "ride/h")
    for changes, problems in ((breaking, 1), (harmless, 0)):
        reader = Contract("pickup", inputs=(replace(WAIT, **changes),), outputs=(ETA,))
        held = lines(
            Registration(reader, "dagcast-eta", "0.4.1"), supply, externals=["sessions", rides]
        )
        assert len(held) == problems, held
        if problems:
            assert held[0].startswith(
                f"{code} [pickup (dagcast-eta 0.4.1) <- supply (dagcast-supply 0.3.0)] "
            )
            assert f"'driver_hours': expected {expected}; found {found}. fix: " in held[0]


def test_missing_cells_are_refused_by_a_reader_that_needs_every_one(pickup, demand):
    gaps = Contract("supply", outputs=(replace(DRIVER_HOURS, nullable=True),))
    assert [p[:5] for p in lines(pickup, demand, gaps)] == ["DC113"]
    tolerant = replace_input(pickup, Input(replace(DRIVER_HOURS, nullable=True)))
    assert lines(tolerant, demand, gaps) == []


def replace_input(contract, item):
    kept = tuple(i for i in contract.inputs if i.name != item.name)
    return Contract(
        contract.model, inputs=(*kept, item), outputs=contract.outputs, effects=contract.effects
    )


def test_external_quantities_are_checked_like_promises(pickup, demand):
    assert lines(pickup, demand, externals=[DRIVER_HOURS]) == []
    assert lines(pickup, demand, externals=["driver_hours"]) == []
    wrong = replace(DRIVER_HOURS, unit="driver")
    (line,) = lines(pickup, demand, externals=[wrong])
    assert line.startswith("DC105 [pickup <- project] unit 'driver_hours'")


def test_readers_of_an_external_name_agree_with_each_other():
    one = make("one", reads=[DRIVER_HOURS], makes=["a"])
    two = make("two", reads=[replace(DRIVER_HOURS, unit="h")], makes=["b"])
    (line,) = lines(one, two, externals=["driver_hours"])
    assert line.startswith(
        "DC105 [two <- one] unit 'driver_hours': expected h; found driver-hour/h"
    )


def test_producer_that_changed_is_one_problem_for_all_its_readers(demand, supply, pickup):
    other = make("other", reads=[DRIVER_HOURS], makes=["b"])
    changed = Contract("supply", outputs=(replace(DRIVER_HOURS, unit="h"),))
    (line,) = lines(demand, changed, pickup, other)
    assert line.startswith("DC105 [pickup, other <- supply]")


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
        "DC102 [eta (dagcast-eta 0.4.1) <- -] missing quantity 'open_hours': expected a model or "
        "the project to provide it; found nothing that does; nearest is 'open_driver_hours' from "
        "supply (dagcast-driver-hours 0.3.0). fix: write 'open_driver_hours' if that is meant, or "
        "install or enable a package that produces 'open_hours'"
    )


def test_missing_quantity_is_one_problem_for_all_its_readers(demand, pickup):
    other = make("other", reads=[DRIVER_HOURS], makes=["b"])
    (line,) = lines(demand, pickup, other)
    assert line.startswith("DC102 [pickup, other <- -] missing quantity 'driver_hours'")


def test_what_the_project_asks_for_has_to_be_produced(demand):
    assert lines(demand, required=["sessions"]) == []
    (line,) = lines(demand, required=["session"])
    assert line.startswith("DC102 [project <- -] missing quantity 'session'")
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
    assert line.startswith("DC102 [reader <- -] missing quantity 'precipitaton'")


def test_missing_weight_of_an_average_is_a_missing_quantity(supply):
    pickup = Contract("pickup", inputs=(DRIVER_HOURS,), outputs=(ETA,))
    (line,) = lines(supply, pickup)
    assert line.startswith("DC102 [pickup <- -] missing quantity 'sessions'")
    assert lines(supply, pickup, externals=["sessions"]) == []


def test_without_externals_whatever_nobody_makes_is_an_input_of_the_whole(pickup):
    assembly = assemble([pickup], externals=None)
    assert assembly.problems == ()
    assert [item.name for item in assembly.externals] == ["sessions", "driver_hours"]


def test_cycle_is_shown_as_a_path():
    a = make("a", reads=["z"], makes=["x"])
    b = make("b", reads=["x"], makes=["y"])
    c = make("c", reads=["y"], makes=["z"])
    (line,) = lines(a, b, c)
    assert line.startswith("DC101 [b <- a] cycle 'a'")
    assert "found a -> x -> b -> y -> c -> z -> a. fix:" in line


def test_model_that_reads_what_it_makes_is_a_cycle():
    (line,) = lines(make("a", reads=["x"], makes=["x"]))
    assert line.startswith("DC101")
    assert "found a -> x -> a." in line


def test_loop_that_is_lagged_is_legal_and_ordered():
    x = Quantity("x", (REGION, HOUR), "1")
    a = make("a", reads=[Input(Quantity("y", (REGION, HOUR), "1"), lag=1)], makes=[x])
    b = make("b", reads=[x], makes=["y"])
    assembly = assemble([b, a], externals=())
    assert assembly.problems == ()
    assert assembly.order == ("a", "b")


@pytest.mark.parametrize(("look_ahead", "legal"), [(0, True), (23, True), (24, False), (30, False)])
def test_lag_of_a_loop_has_to_exceed_its_look_ahead(look_ahead, legal):
    a = make("a", reads=[Input(Quantity("y", (REGION, HOUR), "1"), lag=24)], makes=["x"])
    b = make("b", reads=["x"], makes=["y"], look_ahead=look_ahead)
    held = lines(a, b)
    assert bool(held) is not legal
    if not legal:
        assert held[0].startswith("DC111 [b <- a] lag 'a'")
        assert f"found lag 24 and look-ahead {look_ahead} along a -> x -> b -> y -> a" in held[0]


def test_two_loops_are_two_problems():
    first = [make("a", reads=["y"], makes=["x"]), make("b", reads=["x"], makes=["y"])]
    second = [make("c", reads=["w", "x"], makes=["v"]), make("d", reads=["v"], makes=["w"])]
    assert [line[:5] for line in lines(*first, *second)] == ["DC101", "DC101"]


def test_two_producers_are_named_and_compared_no_further(demand, supply, pickup):
    rival = Registration(
        Contract("rival", outputs=(replace(DRIVER_HOURS, unit="h"),)), "my-supply", "2.0.0"
    )
    (line,) = lines(demand, Registration(supply, "dagcast-supply", "0.3.0"), rival, pickup)
    assert line.startswith(
        "DC103 [- <- supply (dagcast-supply 0.3.0), rival (my-supply 2.0.0)] two producers of "
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
    assert line.startswith("DC117 [project <- -] choice for 'driver_hours'")
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
    assert line.startswith("DC116 [- <- demand, demand (other 1.0.0)] model name 'demand'")


def test_effect_that_a_reader_does_not_claim_is_lost(demand, supply, pickup):
    assert (
        lines(demand, pickup, externals=["driver_hours"], levers=["driver_hours"], required=["eta"])
        == []
    )
    silent = Contract("pickup", inputs=pickup.inputs, outputs=(ETA,), effects=pickup.effects[:1])
    (line,) = lines(
        demand, silent, externals=["driver_hours"], levers=["driver_hours"], required=["eta"]
    )
    assert line.startswith("DC118 [pickup <- -] lost effect of 'driver_hours'")


def test_lever_that_no_model_reads_is_a_lost_effect(demand):
    (line,) = lines(demand, externals=["driver_hours"], levers=["driver_hours"])
    assert line.startswith(
        "DC118 [project <- -] lost effect of 'driver_hours': expected a model that reads"
    )


def test_required_quantity_that_no_lever_moves_is_a_lost_effect(demand, pickup):
    spend = Quantity("spend", (REGION, HOUR), "USD/h")
    hours = Input(DRIVER_HOURS, required=False, default=0.0)
    eta = Contract("pickup", inputs=(SESSIONS, hours), outputs=(ETA,), effects=pickup.effects)
    money = make(
        "money",
        reads=[spend, ETA],
        makes=["profit"],
        effects=(Effect("spend", "profit", "-"), Effect("eta", "profit", "-")),
    )
    answer = Contract(
        "answer", inputs=(spend,), outputs=(DRIVER_HOURS,), effects=(Effect("spend", DRIVER_HOURS),)
    )
    asked = {"externals": ["spend"], "levers": ["spend"], "required": ["profit", "eta"]}
    assert lines(demand, eta, money, answer, **asked) == []
    (line,) = lines(demand, eta, money, **asked)
    assert line.startswith(
        "DC118 [project <- -] lost effect of 'spend': expected a lever to move eta; found no "
        "path of differentiable effects between them; nothing makes 'driver_hours', "
        "which pickup reads where it is there."
    )


def trial(lever="driver_hours", outcome="eta"):
    return Experiment(
        "supply-2",
        (lever,),
        outcome,
        cells=Cells(("a",), "2026-01-05T00:00Z", "2026-01-05T05:00Z"),
        treatment=Arm("more", (Change(lever, "scale", 1.1),)),
        estimate=1.0,
        standard_error=0.1,
    )


def test_experiment_speaks_of_known_quantities_on_a_path(demand, supply, pickup):
    assert lines(demand, supply, pickup, experiments=[trial()]) == []
    (line,) = lines(demand, supply, pickup, experiments=[trial(lever="driver_hour")])
    assert line.startswith("DC114 [experiment supply-2 <- -] experiment 'driver_hour'")
    assert "fix: write 'driver_hours'" in line
    (line,) = lines(demand, supply, pickup, experiments=[trial("driver_hours", "sessions")])
    assert line.startswith("DC115 [experiment supply-2 <- -] experiment path 'driver_hours'")


def test_missing_package_is_one_problem_and_not_one_per_experiment(demand, pickup):
    held = lines(
        demand,
        pickup,
        experiments=[trial()],
        levers=["driver_hours"],
        required=["eta"],
    )
    assert [line[:5] for line in held] == ["DC102"]


def test_every_problem_is_raised_at_once(demand, pickup):
    wrong = Contract("supply", outputs=(replace(DRIVER_HOURS, unit="h", bounds=(None, None)),))
    with pytest.raises(
        AssemblyError, match=r"2 problems joining 3 models\n  DC105 .*\n  DC110 "
    ) as raised:
        assemble([demand, wrong, pickup], externals=()).raise_problems()
    assert [p.code for p in raised.value.problems] == ["DC105", "DC110"]


def test_union_is_what_the_members_ask_and_promise_together(demand, supply, pickup):
    whole = assemble([pickup, demand], externals=None).contract("market")
    assert whole.input_names == ("driver_hours",)
    assert set(whole.output_names) == {"sessions", "eta"}
    assert {(e.lever, e.outcome) for e in whole.effects} == {
        ("sessions", "eta"),
        ("driver_hours", "eta"),
    }


def test_union_needs_what_any_member_needs():
    optional = make(
        "a", reads=[Input(DRIVER_HOURS, required=False, default=2.0)], makes=["x"], look_ahead=2
    )
    needed = make("b", reads=[DRIVER_HOURS], makes=["y"], look_ahead=5)
    assert union("both", [optional, needed]).inputs == (Input(DRIVER_HOURS),)
    assert union("one", [optional]).inputs == (Input(DRIVER_HOURS, required=False, default=2.0),)
    assert union("both", [optional, needed]).look_ahead == 5


def test_assembly_as_json_holds_its_problems(demand, pickup):
    data = assemble([demand, pickup], externals=()).to_json()
    assert data["problems"][0]["code"] == "DC102"
    assert [m["model"] for m in data["models"]] == ["demand", "pickup"]


def test_look_aheads_of_a_union_add_up_along_a_path_and_lags_count_back():
    one = make("one", reads=["rate"], makes=["x"], look_ahead=3)
    two = make("two", reads=["x"], makes=["y"], look_ahead=2)
    beside = make("beside", reads=["rate"], makes=["z"], look_ahead=4)
    assert union("path", [one, two, beside]).look_ahead == 5
    late = Input(Quantity("x", (REGION, HOUR), "1"), lag=2)
    assert (
        union("late", [one, make("two", reads=[late], makes=["y"], look_ahead=2)]).look_ahead == 3
    )


def test_look_ahead_of_a_lagged_loop_is_finite():
    a = make("a", reads=[Input(Quantity("y", (REGION, HOUR), "1"), lag=24)], makes=["x"])
    b = make("b", reads=["x", "rate"], makes=["y"], look_ahead=3)
    assert union("loop", [a, b]).look_ahead == 3


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
