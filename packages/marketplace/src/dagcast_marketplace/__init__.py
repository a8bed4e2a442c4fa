"""A ride-hailing marketplace's data and vocabulary; the teams bring the models."""

from dagcast_marketplace._regions import read_regions
from dagcast_marketplace._tables import PROFIT, TABLES

__all__ = ["PROFIT", "TABLES", "read_regions"]
