"""Several tensors made into one."""

import pytest
import torch

from dagcast_core.tensor import AlignmentError, IndexTensor, concat, dot


def test_concatenation_joins_the_other_dims(rides):
    first, second = rides.isel(hour=slice(0, 2)), rides.isel(hour=slice(2, 4), region=[2, 1])
    whole = concat([first, second.transpose()], "hour")
    assert whole.index("region").tolist() == ["LAX", "SEA"]
    torch.testing.assert_close(
        whole.tensor, rides.isel(hour=slice(0, 4)).sel(region=["LAX", "SEA"]).tensor
    )
    with pytest.raises(AlignmentError, match="dims differ"):
        concat([first, second.sum("region")], "hour")


def test_sums_of_products_do_not_build_the_products():
    a = IndexTensor(torch.rand(3, 4, dtype=torch.float64), {"x": range(3), "y": range(4)})
    b = IndexTensor(torch.rand(4, 2, dtype=torch.float64), {"y": [3, 2, 1, 0], "z": range(2)})
    torch.testing.assert_close(dot(a, b).tensor, (a * b).sum("y").tensor)
    torch.testing.assert_close(dot(a, b, dims=["x", "z"]).tensor, (a * b).sum("x", "z").tensor)
