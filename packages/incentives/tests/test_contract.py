"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_incentives import IncentiveResponse
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestIncentiveContract(ModelContract):
    """IncentiveResponse obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return IncentiveResponse(("guarantee", "boost"), REGIONS)
