"""The conformance suite on the models of this package."""

import pytest

from dagcast_core import Model
from dagcast_pricing import (
    Conversion,
    MarketLoad,
    Money,
    PrimeTime,
    QuoteAppeal,
    Rides,
    pricing_collection,
)
from dagcast_testing import ModelContract

REGIONS = ("SFO", "LAX")


class TestMarketLoadContract(ModelContract):
    """MarketLoad obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return MarketLoad(REGIONS)


class TestPrimeTimeContract(ModelContract):
    """PrimeTime obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return PrimeTime(REGIONS)


class TestQuoteAppealContract(ModelContract):
    """QuoteAppeal obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return QuoteAppeal(REGIONS)


class TestConversionContract(ModelContract):
    """Conversion obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return Conversion(REGIONS)


class TestRidesContract(ModelContract):
    """Rides obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return Rides(REGIONS)


class TestMoneyContract(ModelContract):
    """Money obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return Money(REGIONS)

    @pytest.fixture
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {"region": REGIONS, "incentive": ("guarantee", "boost")}


class TestCollectionContract(ModelContract):
    """The collection of pricing obeys the model contract."""

    @pytest.fixture
    def model(self) -> Model:
        return pricing_collection(REGIONS)

    @pytest.fixture
    def labels(self) -> dict[str, tuple[str, ...]]:
        return {"region": REGIONS, "incentive": ("guarantee", "boost")}
