"""Contracts of a small market, and a way to the modules that tests share."""

import sys
from pathlib import Path

import pytest

from dagcast_core.contract import Contract, Effect, Input

sys.path.insert(0, str(Path(__file__).parent))
from assembled import DRIVER_HOURS, ETA, SESSIONS


@pytest.fixture
def demand() -> Contract:
    return Contract("demand", outputs=(SESSIONS,))


@pytest.fixture
def supply() -> Contract:
    return Contract("supply", outputs=(DRIVER_HOURS,))


@pytest.fixture
def pickup() -> Contract:
    return Contract(
        "pickup",
        inputs=(SESSIONS, Input(DRIVER_HOURS)),
        outputs=(ETA,),
        effects=(Effect(SESSIONS, ETA, "+"), Effect(DRIVER_HOURS, ETA, "-")),
    )
