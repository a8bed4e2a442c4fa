"""A measured effect with its raw cells, and sets of them whose errors are correlated."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Experiment, ExperimentSet

Array = NDArray[np.float64]

# Latent quantities are measured by the observed quantity that the lever moves them through.
MEASURED_AS = {"incremental_driver_hours": "driver_hours", "coupon_sessions": "sessions"}


@dataclass(frozen=True)
class Measured:
    """An experiment and the cells from which its estimate was computed.

    Args:
        experiment: as the models see it.
        cells: one row per region and hour (and arm, for user splits): arm, whether the analysis
            used the hour, and the outcome.
        influence: what each unit of randomisation contributed to the estimate's error; squares
            sum to its variance, products with another estimate of the same trial to the
            covariance.
    """

    experiment: Experiment
    cells: pd.DataFrame
    influence: Array

    @property
    def clusters(self) -> int:
        """Number of units of randomisation behind the standard error."""
        return len(self.influence)


def as_set(measured: tuple[Measured, ...]) -> ExperimentSet:
    """The experiments with the covariances of those that come from one trial's cells."""
    groups: dict[str, list[Array]] = {}
    for item in measured:
        if item.experiment.group is not None:
            groups.setdefault(item.experiment.group, []).append(item.influence)
    covariances = {}
    for group, influences in groups.items():
        stacked = np.stack(influences)
        covariances[group] = tuple(map(tuple, (stacked @ stacked.T).tolist()))
    return ExperimentSet(tuple(item.experiment for item in measured), covariances)
