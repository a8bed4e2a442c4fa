"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_sessions import (
    CouponSessions,
    OrganicSessions,
    SessionsTotal,
    WeatherSessions,
    sessions_collection,
)
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestOrganicContract(ModelContract):
    """OrganicSessions obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return OrganicSessions(REGIONS)


class TestWeatherContract(ModelContract):
    """WeatherSessions obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return WeatherSessions()

    @pytest.fixture
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {"region": REGIONS}


class TestCouponContract(ModelContract):
    """CouponSessions obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return CouponSessions(REGIONS)


class TestTotalContract(ModelContract):
    """SessionsTotal obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return SessionsTotal()

    @pytest.fixture
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {"region": REGIONS}


class TestCollectionContract(ModelContract):
    """The collection of sessions obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return sessions_collection(REGIONS)
