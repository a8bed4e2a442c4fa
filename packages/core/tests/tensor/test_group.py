"""Groups of labels."""

import numpy as np
import torch
from tensor_cases import HOURS, REGIONS

from dagcast_core.tensor import IndexTensor


def test_groups_by_values_differ_between_regions(rides):
    how = IndexTensor(
        np.array([[0, 0, 1, 1, 2, 2], [2, 2, 1, 1, 0, 0], [0, 1, 0, 1, 0, 1]]),
        {"region": REGIONS, "hour": HOURS},
    )
    got = rides.groupby("hour", how.isel(region=[2, 0, 1]), into="slot", labels=[0, 1, 2])
    assert got.sum().sel(region="SFO").tolist() == [1.0, 5.0, 9.0]
    assert got.sum().sel(region="LAX").tolist() == [21.0, 17.0, 13.0]
    assert got.mean().sel(region="SEA").tolist()[:2] == [14.0, 15.0]
    assert np.isnan(got.mean().sel(region="SEA", slot=2).item())
    spread = rides.groupby("hour", how).transform(lambda group: group.sum())
    assert spread.layout is rides.layout
    assert spread.sel(region="SFO").tolist() == [1.0, 1.0, 5.0, 5.0, 9.0, 9.0]


def test_grouped_gradients_count_each_label_once(rides):
    leaf = rides.clone().requires_grad_()
    groups = leaf.groupby("hour", lambda hour: hour.hour // 4)
    (groups.sum() + groups.max() + groups.mean() * groups.std()).sum().backward()
    assert np.isfinite(leaf.grad.numpy()).all()
    assert torch.autograd.gradcheck(
        lambda t: rides.with_tensor(t).groupby("hour", lambda h: h.hour // 4).std().tensor,
        (rides.tensor.clone().requires_grad_(),),
    )


def test_groups_keep_the_order_of_first_appearance():
    a = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS})
    assert a.groupby("region", {"SFO": "z", "LAX": "a", "SEA": "z"}).groups.tolist() == ["z", "a"]
