"""Worlds shared by the tests; each is simulated once."""

import pytest

from dagcast_simulator import MarketWorlds


@pytest.fixture(scope="session")
def world():
    """Four regions and six weeks, with every fault and surprise that a default world has."""
    return MarketWorlds().create(4, 6, 3, {"duplicate_share": 0.002, "corrupt_share": 0.001})


@pytest.fixture(scope="session")
def calm():
    """Two neighbouring regions and two weeks without faults, surprises or experiments."""
    return MarketWorlds().create(2, 2, 5, {"base": "calm"})


@pytest.fixture(scope="session")
def calm_plan(calm):
    return calm.operator_decisions()
