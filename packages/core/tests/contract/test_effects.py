"""Effects that get lost on their way, and experiments that speak of none."""

from assembled import DRIVER_HOURS, ETA, REGION, SESSIONS, lines, make

from dagcast_core.contract import Arm, Cells, Change, Contract, Effect, Experiment, Input, Quantity
from dagcast_core.dims import HOUR


def test_effect_that_a_reader_does_not_claim_is_lost(demand, supply, pickup):
    assert (
        lines(demand, pickup, externals=["driver_hours"], levers=["driver_hours"], required=["eta"])
        == []
    )
    silent = Contract("pickup", inputs=pickup.inputs, outputs=(ETA,), effects=pickup.effects[:1])
    (line,) = lines(
        demand, silent, externals=["driver_hours"], levers=["driver_hours"], required=["eta"]
    )
    assert line.startswith("DC118 [pickup <-] lost effect of 'driver_hours'")


def test_lever_that_no_model_reads_is_a_lost_effect(demand):
    (line,) = lines(demand, externals=["driver_hours"], levers=["driver_hours"])
    assert line.startswith(
        "DC118 [project <-] lost effect of 'driver_hours': expected a model that reads"
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
        "DC118 [project <-] lost effect of 'spend': expected a lever to move eta; found no "
        "path of differentiable effects between them; nothing makes 'driver_hours', "
        "which pickup reads where it is there."
    )


def trial(lever="driver_hours", outcome="eta"):
    return Experiment(
        "supply-2",
        (lever,),
        outcome,
        cells=Cells(("a",), "2026-01-05T00:00Z", "2026-01-05T05:00Z", dim="region"),
        treatment=Arm("more", (Change(lever, "scale", 1.1),)),
        estimate=1.0,
        standard_error=0.1,
    )


def test_experiment_speaks_of_known_quantities_on_a_path(demand, supply, pickup):
    assert lines(demand, supply, pickup, experiments=[trial()]) == []
    (line,) = lines(demand, supply, pickup, experiments=[trial(lever="driver_hour")])
    assert line.startswith("DC114 [experiment supply-2 <-] experiment 'driver_hour'")
    assert "fix: write 'driver_hours'" in line
    (line,) = lines(demand, supply, pickup, experiments=[trial("driver_hours", "sessions")])
    assert line.startswith("DC115 [experiment supply-2 <-] experiment path 'driver_hours'")


def test_missing_package_is_one_problem_and_not_one_per_experiment(demand, pickup):
    held = lines(
        demand,
        pickup,
        experiments=[trial()],
        levers=["driver_hours"],
        required=["eta"],
    )
    assert [line[:5] for line in held] == ["DC102"]
