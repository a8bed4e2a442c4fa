"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_driver_hours import DriverHours
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestDriverHoursContract(ModelContract):
    """DriverHours obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return DriverHours(REGIONS)
