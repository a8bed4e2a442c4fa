"""Regions of a world: names, zones, borders, sizes."""

from dataclasses import dataclass

import numpy as np

from dagcast_simulator._random import generator
from dagcast_simulator._scenario import Scenario

_CITIES = (
    ("SFO", "America/Los_Angeles"),
    ("OAK", "America/Los_Angeles"),
    ("NYC", "America/New_York"),
    ("EWR", "America/New_York"),
    ("CHI", "America/Chicago"),
    ("DEN", "America/Denver"),
    ("LAX", "America/Los_Angeles"),
    ("PHX", "America/Phoenix"),
    ("DFW", "America/Chicago"),
    ("SEA", "America/Los_Angeles"),
    ("BOS", "America/New_York"),
    ("AUS", "America/Chicago"),
)
_ZONES = ("America/Los_Angeles", "America/New_York", "America/Chicago", "America/Denver")
# Neighbouring pairs by position; worlds above twelve regions repeat the pattern.
_BORDERS = ((0, 1), (2, 3))
_PERIOD = len(_CITIES)


@dataclass(frozen=True)
class Region:
    """One region: a market with its own riders and drivers.

    Args:
        name: label along ``region``.
        zone: IANA time zone.
        neighbours: names of the regions with which it shares a border.
        size: sessions per hour, mean over a week at the start.
        opened_hour: hour of the history at which it opened; 0 or less for before the start.
        climate: regions with the same number share their weather.
    """

    name: str
    zone: str
    neighbours: tuple[str, ...]
    size: float
    opened_hour: int
    climate: int


def make_regions(scenario: Scenario, regions: int, weeks: int, seed: int) -> tuple[Region, ...]:
    """The regions of a world, the same for any number of weeks except for the late opening."""
    names = [_city(i) for i in range(regions)]
    neighbours: list[list[int]] = [[] for _ in range(regions)]
    for block in range(0, regions, _PERIOD):
        for a, b in _BORDERS:
            if block + b < regions:
                neighbours[block + a].append(block + b)
                neighbours[block + b].append(block + a)
    result = []
    for i, (name, zone) in enumerate(names):
        log_size = generator(seed, "size", i).normal()
        size = scenario.sessions_per_hour * float(
            np.exp(scenario.size_spread * log_size - scenario.size_spread**2 / 2)
        )
        # The last region is a late-comer with about a third of the history.
        late = scenario.new_region and regions >= 4 and weeks >= 3 and i == regions - 1
        opened = 168 * (weeks - max(2, weeks // 3)) if late else 0
        if scenario.opening_week and regions >= 2 and i == regions - 1:
            opened = 168 * scenario.opening_week
        result.append(
            Region(
                name=name,
                zone=zone,
                neighbours=tuple(names[j][0] for j in neighbours[i]),
                size=size,
                opened_hour=opened,
                climate=min([i, *neighbours[i]]),
            )
        )
    return tuple(result)


def _city(index: int) -> tuple[str, str]:
    if index < _PERIOD:
        return _CITIES[index]
    return f"R{index:03d}", _ZONES[(index % _PERIOD) % len(_ZONES)]
