"""Declarations survive JSON and pickle, and say what is wrong with them."""

import json
import math
import pickle
import subprocess
import sys

import pytest
from measured import experiment

from dagcast_core.contract import (
    Arm,
    Cells,
    Change,
    Contract,
    ContractError,
    Dim,
    Effect,
    ExperimentSet,
    Input,
    Problem,
    Quantity,
    Weighted,
)
from dagcast_core.dims import HOUR, HOUR_OF_WEEK

INCENTIVE = Dim("incentive")
REGION = Dim("region")
ETA = Quantity("eta", (REGION, HOUR), "min")


def through_json(value):
    return type(value).from_json(json.loads(json.dumps(value.to_json())))


DECLARATIONS = [
    REGION,
    HOUR,
    HOUR_OF_WEEK,
    Quantity(
        "eta",
        (REGION, HOUR),
        "min",
        aggregation={"region": Weighted("sessions"), "hour": "sum"},
        bounds=(0, 60),
        nullable=True,
        typical=(2, 9),
    ),
    Input(ETA, required=False, default=3.0, lag=24),
    Effect("sessions", ETA, "+", evidence="eta-supply-2", differentiable=False),
    Contract("eta", inputs=(ETA,), outputs=(Quantity("wait", (REGION,), "min"),), look_ahead=3),
    Change("incentive_spend", "add", 5, {"incentive": ("streak",)}),
    experiment(group="same week"),
    ExperimentSet((experiment(group="g"),), {"g": ((0.01,),)}),
    Problem("DC105", "unit", "eta", "a", "b", "min", "s", "convert"),
]


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda value: type(value).__name__)
def test_declarations_survive_json_and_pickle(declared):
    assert through_json(declared) == declared
    assert pickle.loads(pickle.dumps(declared)) == declared
    assert hash(through_json(declared)) == hash(declared)


def test_unequal_declarations_stay_unequal_through_json():
    assert through_json(Input(ETA, lag=1)) != Input(ETA, lag=2)


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda value: type(value).__name__)
def test_unknown_json_keys_are_refused(declared):
    with pytest.raises(ContractError, match="has unknown key 'surprise'; known keys are"):
        type(declared).from_json({**declared.to_json(), "surprise": 1})


def test_descriptions_are_no_part_of_the_promise():
    assert Quantity("eta", (REGION, HOUR), "min", description="pickup time") == ETA
    assert Dim("region", description="a place") == Dim("region")


def test_mean_is_the_default_aggregation_however_it_is_written():
    assert Quantity("eta", (REGION, HOUR), "min", aggregation={"hour": "mean"}) == ETA
    assert ETA.aggregated("hour") == "mean"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dim("Region"), "expected a lower-case identifier"),
        (lambda: Dim("hour", kind="time"), "needs a frequency and a zone"),
        (lambda: Dim("region", zone="UTC"), "only kind 'time' has a frequency"),
        (lambda: Dim("region", vocabulary="region"), "expected NAME/vN such as 'region/v1'"),
        (lambda: Dim("region", kind="place"), "expected one of 'label', 'time', 'int'"),
        (lambda: Quantity("eta", (REGION, REGION), "min"), "repeat: region, region"),
        (lambda: Quantity("eta", ("region",), "min"), "expected Dim objects"),
        (lambda: Quantity("eta", (REGION,), ""), "has no unit; write '1'"),
        (lambda: Quantity("eta", (REGION,), "min", dtype="float16"), "dtype of Quantity 'eta'"),
        (
            lambda: Quantity("eta", (REGION,), "min", aggregation={"hour": "sum"}),
            "none of its dims",
        ),
        (lambda: Quantity("eta", (REGION,), "min", aggregation={"region": "max"}), "'sum', 'mean'"),
        (lambda: Quantity("eta", (REGION,), "min", bounds=(2, 1)), "is reversed: 2 > 1"),
        (lambda: Quantity("eta", (REGION,), "min", bounds=(0, math.inf)), "a number or None"),
        (
            lambda: Quantity("eta", (REGION,), "min", bounds=(0, 1), typical=(0, 2)),
            "leaves its bounds",
        ),
        (lambda: Input(ETA, default=1.0), "is required and has a default"),
        (
            lambda: Input(
                Quantity("share", (REGION,), "1", bounds=(0, None)), required=False, default=-1.0
            ),
            "the default of Input 'share' is -1, outside the bounds",
        ),
        (lambda: Input(ETA, required=False), "give the finite number that stands in for it"),
        (lambda: Input(ETA, lag=-1), "expected 0 or more steps"),
        (lambda: Input(Quantity("fare", (REGION,), "USD"), lag=1), "no time dim to count it along"),
        (lambda: Effect("eta", "rides", sign="down"), "sign of the Effect of eta"),
        (lambda: Contract("eta", outputs=()), "has no outputs"),
        (lambda: Contract("eta", version="1.0", outputs=(ETA,)), "MAJOR.MINOR.PATCH"),
        (lambda: Contract("eta", inputs=(ETA, Input(ETA)), outputs=(ETA,)), "repeat 'eta'"),
        (
            lambda: Contract("eta", outputs=(ETA,), effects=(Effect("sessions", ETA),)),
            "'sessions' is none of its inputs",
        ),
        (
            lambda: Contract("eta", inputs=(ETA,), outputs=(ETA,), effects=(Effect(ETA, "rides"),)),
            "'rides' is none of its outputs",
        ),
        (lambda: Contract("eta", outputs=(ETA,), look_ahead=-1), "expected 0 or more steps"),
        (lambda: Contract("eta", outputs=(ETA,), plugin_api="one"), "expected text such as '1'"),
        (lambda: Change("spend", value=math.nan), "expected a finite number"),
        (lambda: Change("spend", where={"incentive": "streak"}), "a tuple of at least one label"),
        (
            lambda: Cells((), "2026-01-05T00:00Z", "2026-01-05T00:00Z", dim="region"),
            "at least one label",
        ),
        (
            lambda: Cells(("a",), "2026-01-05T00:00", "2026-01-06T00:00Z", dim="region"),
            "an instant in UTC",
        ),
        (
            lambda: Cells(("a",), "2026-01-05T00:30Z", "2026-01-06T00:00Z", dim="region"),
            "the start of an hour",
        ),
        (
            lambda: Cells(("a",), "2026-01-07T00:00Z", "2026-01-06T00:00Z", dim="region"),
            "before they start",
        ),
        (
            lambda: Cells(("a",), "last week", "2026-01-06T00:00Z", dim="region"),
            "expected an ISO 8601 hour",
        ),
        (
            lambda: Cells(("a",), "2026-01-05T00:00Z", "2026-01-06T00:00Z", (24,), dim="region"),
            "expected hours from 0 to 23",
        ),
        (lambda: experiment(standard_error=0.0), "expected a positive number"),
        (lambda: experiment(estimate=math.nan), "expected a finite number"),
        (lambda: experiment(levers=("sessions",)), "changes 'driver_hours', which is none of its"),
        (lambda: experiment(levers=("driver_hours", "eta")), "which neither arm changes"),
        (lambda: experiment(treatment=Arm("same")), "both arms|neither arm changes"),
        (lambda: experiment(scale="percent"), "'absolute', 'ratio', 'elasticity'"),
        (lambda: ExperimentSet((experiment(), experiment())), "two experiments are called"),
        (lambda: ExperimentSet((experiment(),), {"g": ((0.01,),)}), "belongs to no experiment"),
    ],
)
def test_wrong_declarations_say_what_was_expected(make, message):
    with pytest.raises(ContractError, match=message):
        make()


def test_contract_layer_imports_neither_torch_nor_pandas():
    code = (
        "import sys, dagcast_core.contract, dagcast_core.hooks, dagcast_core.dims;"
        "print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_incentive_dim_has_a_versioned_vocabulary():
    assert INCENTIVE.vocabulary == "incentive/v1"
