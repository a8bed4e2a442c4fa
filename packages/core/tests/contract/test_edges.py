"""What both ends of an edge have to agree on."""

from dataclasses import replace

import pytest
from assembled import DRIVER_HOURS, ETA, REGION, lines, make

from dagcast_core.contract import Contract, Dim, Input, Quantity, Registration, Weighted
from dagcast_core.dims import HOUR

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
