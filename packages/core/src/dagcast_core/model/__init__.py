"""Models, collections of them, their fit and their uncertainty."""

from dagcast_core.model._calendar import CalendarStart, calendar_start, since_opening
from dagcast_core.model._certainty import Certainty
from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._conflicts import Conflict, conflicts_among
from dagcast_core.model._debug import DebugReport, Direction, UnitDebug, debug
from dagcast_core.model._draws import ParameterDraws
from dagcast_core.model._effect import ExperimentalEffect, effect_of
from dagcast_core.model._errors import ExperimentError, ModelError, NonFiniteError
from dagcast_core.model._evidence import Evidence
from dagcast_core.model._fit import fit
from dagcast_core.model._interference import interference
from dagcast_core.model._left_out import LeftOut, Verdict
from dagcast_core.model._loss import (
    ExperimentAgreement,
    FitnessTerm,
    LossTerm,
    NegativeBinomial,
    Poisson,
    SquaredError,
)
from dagcast_core.model._model import Model
from dagcast_core.model._optimizer import Minimum, OptimizerSpec
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._persist import load_draws, load_model, save_model
from dagcast_core.model._posterior import draws, left_out
from dagcast_core.model._predictive import effect_draws, predict_draws
from dagcast_core.model._regularisation import PartialPooling, Ridge, Smoothness
from dagcast_core.model._remade import HyperparameterError, hyperparameters_of, remade
from dagcast_core.model._report import ExperimentFit, FitReport, MemberFit, Movement
from dagcast_core.model._residual import Residual, Residuals
from dagcast_core.model._student import Deviation
from dagcast_core.model._transform import Interval, Transform
from dagcast_core.model._widening import Widening, WideningFactors
from dagcast_core.model._wiring import Wiring

__all__ = [
    "CalendarStart",
    "Certainty",
    "Conflict",
    "DebugReport",
    "Deviation",
    "Direction",
    "Evidence",
    "ExperimentAgreement",
    "ExperimentError",
    "ExperimentFit",
    "ExperimentalEffect",
    "FitReport",
    "FitnessTerm",
    "HyperparameterError",
    "Interval",
    "LabelledParameter",
    "LeftOut",
    "LossTerm",
    "MemberFit",
    "Minimum",
    "Model",
    "ModelCollection",
    "ModelError",
    "Movement",
    "NegativeBinomial",
    "NonFiniteError",
    "OptimizerSpec",
    "ParameterDraws",
    "PartialPooling",
    "Poisson",
    "Residual",
    "Residuals",
    "Ridge",
    "Smoothness",
    "SquaredError",
    "Transform",
    "UnitDebug",
    "Verdict",
    "Widening",
    "WideningFactors",
    "Wiring",
    "calendar_start",
    "conflicts_among",
    "debug",
    "draws",
    "effect_draws",
    "effect_of",
    "fit",
    "hyperparameters_of",
    "interference",
    "left_out",
    "load_draws",
    "load_model",
    "predict_draws",
    "remade",
    "save_model",
    "since_opening",
]
