"""A small market's calendar and quantities, shared by the tests."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core import IndexTensor

torch.set_num_threads(1)

REGIONS = ("SFO", "LAX", "CHI")


@pytest.fixture
def hours() -> pd.DatetimeIndex:
    return pd.date_range("2026-01-05", periods=8 * 168, freq="h", tz="UTC")


@pytest.fixture
def hour_of_week(hours: pd.DatetimeIndex) -> IndexTensor:
    # The regions' clocks differ, so a column of the calendar is not one hour of the week.
    local = [(np.arange(len(hours)) - 3 * k) % 168 for k in range(len(REGIONS))]
    return IndexTensor(np.stack(local), {"region": REGIONS, "hour": hours}, "hour_of_week")


@pytest.fixture
def constant(hours: pd.DatetimeIndex) -> Callable[[str, float], IndexTensor]:
    def make(name: str, value: float) -> IndexTensor:
        shape = (len(REGIONS), len(hours))
        return IndexTensor(np.full(shape, value), {"region": REGIONS, "hour": hours}, name)

    return make
