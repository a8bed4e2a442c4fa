"""Series by hour."""

import numpy as np
import pandas as pd

from dagcast_core.tensor import IndexTensor

HOURS = pd.date_range("2025-01-06", periods=24, freq="h", tz="UTC")


def series(values, hours=HOURS, regions=("SFO",), name="rides"):
    """Hourly values by region."""
    array = np.asarray(values, dtype=float).reshape(len(regions), -1)
    return IndexTensor(array, {"region": list(regions), "hour": hours[: array.shape[1]]}, name)
