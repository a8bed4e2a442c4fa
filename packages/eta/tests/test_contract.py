"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_eta import PickupStretch, StretchedEta, eta_collection
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestStretchContract(ModelContract):
    """PickupStretch obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return PickupStretch(REGIONS)


class TestLevelContract(ModelContract):
    """StretchedEta obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return StretchedEta(REGIONS)


class TestCollectionContract(ModelContract):
    """The collection of the ETA team obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return eta_collection(REGIONS)
