"""From labels to flat cells and rows: one file per step, with its way there and its way back."""

from dagcast_core.decide.compile._compiled import Compiled, objective_value
from dagcast_core.decide.compile._non_finite import explain_non_finite, lay_out
from dagcast_core.decide.compile._price import ShadowPrice
from dagcast_core.decide.compile._rows import RowName
from dagcast_core.decide.compile._scenarios import Run, Scenarios

__all__ = [
    "Compiled",
    "RowName",
    "Run",
    "Scenarios",
    "ShadowPrice",
    "explain_non_finite",
    "lay_out",
    "objective_value",
]
