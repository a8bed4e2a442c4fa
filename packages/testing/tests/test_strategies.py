"""Drawn inputs keep to the contract, reach its extremes and shrink to ordinary ones."""

import pytest
import torch
from hypothesis import find, given, settings

from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_testing.strategies import panels

REGION = Dim("region")

torch.set_num_threads(1)

SHARE = Quantity("share", (REGION, HOUR), "1", bounds=(0, 1))
HOUR_OF_WEEK = Quantity("hour_of_week", (REGION, HOUR), "1", dtype="int64", bounds=(0, 167))
OUT = Quantity("odds", (REGION, HOUR), "1", bounds=(0, None))
REGIONS = ("north", "south", "west")


class Odds(Model):
    """odds = share / (1 - share): infinite at the upper bound of its input."""

    contract = Contract(
        "odds",
        inputs=(SHARE, HOUR_OF_WEEK),
        outputs=(OUT,),
        effects=(Effect(SHARE, OUT), Effect(HOUR_OF_WEEK, OUT, "?", differentiable=False)),
    )

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.parameter(REGION, labels=REGIONS, start=1.0)

    def forward(self, share, hour_of_week):
        return share / (1.0 - share) * self.scale


MODEL = Odds()


@settings(max_examples=30, deadline=None)
@given(panel=panels(MODEL))
def test_panels_hold_what_the_contract_declares(panel):
    assert list(panel) == ["share", "hour_of_week"]
    assert set(panel["share"].index("region")) == set(REGIONS)
    assert panel["share"].index("region").equals(panel["hour_of_week"].index("region"))
    assert 1 <= panel["share"].sizes["hour"] <= 72
    assert float(panel["share"].tensor.min()) >= 0
    assert float(panel["share"].tensor.max()) <= 1
    assert panel["hour_of_week"].dtype == torch.int64


def test_extremes_are_found_and_shrink_to_one_hour():
    def breaks(panel):
        return not bool(torch.isfinite(MODEL.predict(panel)["odds"].tensor).all())

    worst = find(panels(MODEL), breaks, settings=settings(max_examples=200, deadline=None))
    assert bool((worst["share"].tensor == 1).all())
    assert worst["share"].sizes["hour"] == 1
    assert tuple(worst["share"].index("region")) == REGIONS


def test_hours_keep_to_their_limits():
    with pytest.raises(Exception, match="No examples found"):
        find(
            panels(MODEL, least_hours=5, most_hours=6),
            lambda panel: panel["share"].sizes["hour"] not in (5, 6),
            settings=settings(max_examples=20, deadline=None),
        )
