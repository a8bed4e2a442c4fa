"""A project counts in the units of its quantities, or says what one is worth of the other."""

import pytest

from dagcast.config import Config
from dagcast.units import scale, unit_problems
from dagcast_core.contract import Contract, Dim, Quantity, Registration
from dagcast_core.dims import HOUR

REGION = Dim("region")
SUM = {"region": "sum", "hour": "sum"}
SPEND = Quantity("spend", (REGION, HOUR), "USD/h", aggregation=SUM)
FARE = Quantity("fare", (REGION, HOUR), "USD/ride")
PROFIT = Quantity("profit", (REGION, HOUR), "cent/h", aggregation=SUM)
MARGIN = Quantity("margin", (REGION, HOUR), "USD/h", aggregation=SUM)
WAIT = Quantity("wait", (REGION, HOUR), "min")
TRIPS = Quantity("trips", (REGION, HOUR), "ride/h", aggregation=SUM)
MONEY = Registration(
    Contract("money", inputs=(SPEND, FARE), outputs=(PROFIT, MARGIN, WAIT, TRIPS)),
    "acme-money",
    "0.2.0",
)


def problems(**tables):
    levers = {"spend": {"upper": 5.0}, "fare": {"upper": 9.0}}
    config = Config.model_validate({"levers": levers, **tables})
    return [str(problem) for problem in unit_problems(config, [MONEY])]


def test_cents_beside_dollars_are_refused_with_the_weight_that_adds_up():
    (line,) = problems(objective={"weights": {"profit": 1.0, "margin": 1.0}, "unit": "USD"})
    assert line == (
        "DC105 [project <- money (acme-money 0.2.0)] unit 'profit': expected USD over the horizon, "
        "as [objective] counts; found cent with the weight 1, which adds cent to USD. fix: write "
        "profit = 0.01 in the weights of [objective], or count in cent"
    )


@pytest.mark.parametrize(
    "weights",
    [
        {"profit": 0.01, "margin": 1.0},
        # A dollar per ride is what somebody says a ride is worth.
        {"margin": 1.0, "trips": 1.0},
        {"profit": 0.02, "margin": -1.0},
    ],
)
def test_weights_that_say_what_a_unit_is_worth_pass(weights):
    assert problems(objective={"weights": weights, "unit": "USD"}) == []


def test_cents_taken_away_from_dollars_are_refused_too():
    (line,) = problems(objective={"weights": {"profit": -1.0, "margin": 1.0}, "unit": "USD"})
    assert "write profit = -0.01 in the weights" in line


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"guardrails": [{"quantity": "wait", "limit": 300, "unit": "s"}]}, "times 0.016"),
        ({"guardrails": [{"quantity": "wait", "limit": 5, "unit": "min"}]}, None),
        (
            {"guardrails": [{"quantity": "trips", "limit": 5, "reduce": "sum", "unit": "ride/h"}]},
            "write the limit in ride and unit = 'ride'",
        ),
        ({"guardrails": [{"quantity": "trips", "limit": 5, "unit": "ride/h"}]}, None),
        ({"budgets": [{"lever": "spend", "limit": 5, "unit": "USD/h"}]}, "limit in USD and unit"),
        ({"budgets": [{"lever": "spend", "limit": 5, "unit": "cent"}]}, "times 0.01"),
        ({"budgets": [{"lever": "spend", "limit": 5, "unit": "USD"}]}, None),
        ({"budgets": [{"lever": "spend", "limit": 5}]}, None),
        ({"levers": {"fare": {"upper": 9.0, "unit": "USD"}}}, "[levers.fare] says"),
        ({"ramps": [{"lever": "fare", "limit": 1.0, "unit": "cent"}]}, "[[ramps]] says"),
        ({"ramps": [{"lever": "fare", "limit": 1.0, "unit": "USD/ride"}]}, None),
        ({"levers": {"fare": {"upper": 9.0, "unit": "USD/ride"}}}, None),
    ],
)
def test_limit_in_another_unit_than_it_counts_is_refused(tables, expected):
    lines = problems(**tables)
    if expected is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("DC105 [project <-")
        assert expected in line


def test_units_of_one_kind_are_a_matter_of_scale():
    assert scale("cent", "USD") == 0.01
    assert scale("USD", "cent") == 100
    assert scale("h", "min") == 60
    assert scale("ride", "USD") is None
    assert scale("USD", "EUR") is None
