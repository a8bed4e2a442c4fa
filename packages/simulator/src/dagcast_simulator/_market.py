"""What one world stands on: its regions, surroundings, the operator's habits, and an engine."""

from dataclasses import dataclass

import pandas as pd

from dagcast_simulator._engine import Engine
from dagcast_simulator._environment import Environment, make_environment
from dagcast_simulator._levers import Levers
from dagcast_simulator._operator import operator_levers
from dagcast_simulator._regions import make_regions
from dagcast_simulator._scenario import Scenario


@dataclass(frozen=True)
class Market:
    """The part of a world that follows from scenario, size and seed alone.

    Args:
        scenario: parameters.
        weeks: of the history with which the world begins.
        seed: of all random numbers.
        environment: what no plan can change, with the regions.
        habits: what the operator decides by rule, over the whole horizon.
        engine: runs the market under any levers.
    """

    scenario: Scenario
    weeks: int
    seed: int
    environment: Environment
    habits: Levers
    engine: Engine

    @property
    def region_names(self) -> tuple[str, ...]:
        """Labels along ``region``."""
        return tuple(region.name for region in self.environment.regions)

    @property
    def hours(self) -> pd.DatetimeIndex:
        """All hours of the history and the weeks ahead, UTC."""
        return self.environment.hours


def make_market(
    scenario: Scenario, regions: int, weeks: int, seed: int, further: int = 0
) -> Market:
    """Draw what a world stands on; equal arguments give equal markets.

    Args:
        scenario: parameters.
        regions: number of regions.
        weeks: of the history with which the world begins.
        seed: of all random numbers.
        further: weeks that it went on since; the hours before are the same for any number.
    """
    made = make_regions(scenario, regions, weeks, seed)
    environment = make_environment(scenario, made, weeks, seed, further)
    habits = operator_levers(scenario, environment, seed)
    return Market(scenario, weeks, seed, environment, habits, Engine(scenario, environment, seed))
