"""Selecting by the values of another tensor."""

import numpy as np
import pytest
import torch
from tensor_cases import HOURS, REGIONS

from dagcast_core.tensor import IndexTensor, LabelError, hour_of_week


def test_parameters_are_gathered_by_local_hour_of_week(rides):
    zones = {"SFO": "America/Los_Angeles", "LAX": "America/Los_Angeles", "SEA": "UTC"}
    how = hour_of_week(HOURS, zones, dims=("region", "hour"))
    base = IndexTensor(
        np.arange(3 * 168.0).reshape(3, 168), {"region": REGIONS[::-1], "hour_of_week": range(168)}
    ).requires_grad_()
    got = base.sel(hour_of_week=how)
    assert got.dims == ("region", "hour")
    for region in REGIONS:
        for hour in HOURS:
            label = how.sel(region=region, hour=hour).item()
            expected = base.sel(region=region, hour_of_week=label).item()
            assert got.sel(region=region, hour=hour).item() == expected
    got.sum().backward()
    assert base.grad.sum().item() == 18
    shared = base.sel(region="SFO").sel(hour_of_week=how)
    assert shared.dims == ("region", "hour")
    with_type = base.expand(kind=["a", "b"]).sel(hour_of_week=how)
    assert with_type.dims == ("region", "hour", "kind")
    torch.testing.assert_close(with_type.sel(kind="b").tensor, got.tensor)


def test_gathering_notices_changed_and_unknown_labels():
    base = IndexTensor([1.0, 2.0], {"kind": [5, 7]}, "base")
    by = IndexTensor(torch.tensor([5, 7, 5]), {"n": [1, 2, 3]}, "by")
    assert base.sel(kind=by).tolist() == [1.0, 2.0, 1.0]
    by.tensor[0] = 7
    assert base.sel(kind=by).tolist() == [2.0, 2.0, 1.0]
    by.tensor[1] = 6
    with pytest.raises(LabelError, match="1 of 3 values are no labels, such as 6"):
        base.sel(kind=by)
    offset = IndexTensor([1.0, 2.0], {"kind": [5, 6]})
    with pytest.raises(LabelError, match="such as 7"):
        offset.sel(kind=by)
