"""Labels that the tests of the algebra share."""

import numpy as np
import pandas as pd

from dagcast_core.tensor import IndexTensor

HOURS = pd.date_range("2024-01-01", periods=6, freq="h", tz="UTC")
REGIONS = ["SFO", "LAX", "SEA"]


def along(labels, values=None, dim="n", name=None):
    index = labels if isinstance(labels, pd.Index) else pd.Index(labels)
    values = np.arange(1.0, len(index) + 1) if values is None else values
    return IndexTensor(values, {dim: index}, name)


def hours(start, count, zone="UTC", unit="us"):
    return pd.date_range(start, periods=count, freq="h", tz=zone).as_unit(unit)
