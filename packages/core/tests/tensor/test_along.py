"""Values moved along a dim."""

import pandas as pd
import pytest
import torch
from tensor_cases import HOURS

from dagcast_core.tensor import IndexTensor


def test_shifts_by_time_respect_gaps():
    a = IndexTensor([1.0, 2.0, 4.0], {"hour": HOURS[[0, 1, 3]]})
    assert a.shift(hour=1, fill=0.0).tolist() == [0.0, 1.0, 2.0]
    assert a.shift(hour=pd.Timedelta("1h"), fill=0.0).tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(TypeError, match="cannot hold NaN"):
        a.to(torch.int64).shift(hour=1)
    assert a.to(torch.int64).shift(hour=1, fill=0).dtype == torch.int64
