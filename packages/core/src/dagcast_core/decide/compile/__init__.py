"""From labels to flat cells and rows: one file per step, with its way there and its way back."""

from dagcast_core.decide.compile._bounds import ends_of, fixed_values
from dagcast_core.decide.compile._compiled import Compiled, compile_problem
from dagcast_core.decide.compile._evaluation import Forecaster
from dagcast_core.decide.compile._goal import objective_value
from dagcast_core.decide.compile._linear import Linear
from dagcast_core.decide.compile._non_finite import explain_non_finite, lay_out
from dagcast_core.decide.compile._price import ShadowPrice
from dagcast_core.decide.compile._scenarios import Run, Scenarios, run_model, run_with

__all__ = [
    "Compiled",
    "Forecaster",
    "Linear",
    "Run",
    "Scenarios",
    "ShadowPrice",
    "compile_problem",
    "ends_of",
    "explain_non_finite",
    "fixed_values",
    "lay_out",
    "objective_value",
    "run_model",
    "run_with",
]
