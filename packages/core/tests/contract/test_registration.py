"""What assembling yields: the union of contracts, and problems as JSON."""

from assembled import DRIVER_HOURS, REGION, make

from dagcast_core.contract import Input, Quantity, assemble, union
from dagcast_core.dims import HOUR


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
