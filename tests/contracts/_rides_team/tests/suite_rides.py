"""What the team runs: the model contract on its model."""

import pytest
from dagcast_rides.model import Rides

from dagcast_testing import ModelContract


class TestRidesContract(ModelContract):
    """Rides obeys the model contract."""

    @pytest.fixture
    def model(self) -> Rides:
        return Rides(("north", "south", "west"))
