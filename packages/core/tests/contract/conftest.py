import pytest

from dagcast_core.contract import Contract, Dim, Effect, Input, Quantity, Weighted
from dagcast_core.dims import HOUR

REGION = Dim("region")

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
