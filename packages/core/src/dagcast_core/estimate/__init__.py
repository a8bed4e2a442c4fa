"""Effects of randomised trials, from their raw rows: numpy and pandas, no model.

`measure_rows` takes the rows of a switchback, geo or user-split trial to an estimate with a
cluster-robust standard error, its degrees of freedom and a randomisation test; the estimators it
uses are here as well. `planned_switchback` says before a trial is run what it would find.
"""

from dagcast_core.estimate._effects import (
    Effect,
    EstimationError,
    difference_in_differences,
    fixed_effects_difference,
    split_ratio,
    wald_elasticity,
)
from dagcast_core.estimate._planned import PlannedTrial, SwitchbackPlan, planned_switchback
from dagcast_core.estimate._randomisation import RandomisationTest, randomisation_test
from dagcast_core.estimate._rows import Measurement, RawTrial, measure_rows

__all__ = [
    "Effect",
    "EstimationError",
    "Measurement",
    "PlannedTrial",
    "RandomisationTest",
    "RawTrial",
    "SwitchbackPlan",
    "difference_in_differences",
    "fixed_effects_difference",
    "measure_rows",
    "planned_switchback",
    "randomisation_test",
    "split_ratio",
    "wald_elasticity",
]
