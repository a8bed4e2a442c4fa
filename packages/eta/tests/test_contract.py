"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_eta import EtaFromIdleHours
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestEtaContract(ModelContract):
    """EtaFromIdleHours obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return EtaFromIdleHours(REGIONS)
