"""Evaluation: backtests, scaled errors, causal validity and diagnosis."""

from dagcast_core.evaluate._backtest import BacktestReport, BacktestRow, backtest, rolling_origins
from dagcast_core.evaluate._baselines import hour_of_week_mean, seasonal_naive
from dagcast_core.evaluate._diagnosis import Diagnosis, ErrorShare, diagnose, partial_derivative
from dagcast_core.evaluate._disagreement import Disagreement, TrialRatio, disagreements
from dagcast_core.evaluate._interval import mean_interval
from dagcast_core.evaluate._measures import (
    ScaledError,
    coverage,
    crps,
    mase,
    seasonal_scale,
    summarise,
)
from dagcast_core.evaluate._pool import map_panels
from dagcast_core.evaluate._range import RangeCheck, in_sample_checks, range_check
from dagcast_core.evaluate._standing import (
    EvidenceRow,
    KnownDoses,
    Standing,
    evidence_of,
    known_doses,
)
from dagcast_core.evaluate._validity import CausalValidity, ValidityRow, causal_validity

__all__ = [
    "BacktestReport",
    "BacktestRow",
    "CausalValidity",
    "Diagnosis",
    "Disagreement",
    "ErrorShare",
    "EvidenceRow",
    "KnownDoses",
    "RangeCheck",
    "ScaledError",
    "Standing",
    "TrialRatio",
    "ValidityRow",
    "backtest",
    "causal_validity",
    "coverage",
    "crps",
    "diagnose",
    "disagreements",
    "evidence_of",
    "hour_of_week_mean",
    "in_sample_checks",
    "known_doses",
    "map_panels",
    "mase",
    "mean_interval",
    "partial_derivative",
    "range_check",
    "rolling_origins",
    "seasonal_naive",
    "seasonal_scale",
    "summarise",
]
