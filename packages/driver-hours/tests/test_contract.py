"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_driver_hours import DriverHours, EarningsResponse, driver_hours_collection
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestDriverHoursContract(ModelContract):
    """DriverHours obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return DriverHours(REGIONS)


class TestEarningsContract(ModelContract):
    """EarningsResponse obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return EarningsResponse()

    @pytest.fixture
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {"region": REGIONS}


class TestCollectionContract(ModelContract):
    """The collection of the driver-hours team obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return driver_hours_collection(REGIONS)
