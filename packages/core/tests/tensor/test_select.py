"""Selecting by label: slices, masks, lists, tuples, and what is remembered of them."""

import numpy as np
import pandas as pd
import pytest
from tensor_cases import HOURS, REGIONS, along

from dagcast_core.tensor import AlignmentError, IndexTensor, LabelError


class Region:
    """A dim declared as an object, as contracts do."""

    name = "region"


def test_a_slice_of_times_needs_no_exact_ends(rides):
    got = rides.sel(hour=slice("2024-01-01T00:30Z", "2024-01-01T02:30Z"))
    assert got.index("hour").tolist() == list(HOURS[1:3])
    assert rides.sel(hour=slice(None, HOURS[1])).sizes["hour"] == 2
    assert rides.sel(hour=slice("2025-01-01T00:00Z", None)).sizes["hour"] == 0


def test_dims_may_be_objects(rides):
    assert rides.sel({Region: "SFO"}).dims == ("hour",)
    assert rides.sum(Region).dims == ("hour",)
    assert rides.index(Region).tolist() == REGIONS
    assert IndexTensor([1.0], {Region: ["SFO"]}).dims == ("region",)


def test_a_repeated_selection_is_the_same_and_differentiable(rides):
    leaf = rides.clone().requires_grad_()
    for _ in range(3):
        leaf.grad = None
        total = leaf.sel(region="LAX").sum() + leaf.sel(hour=slice(HOURS[0], HOURS[1])).sum()
        (total + leaf.sel(region=["SEA", "SFO"]).sum()).backward()
        expected = np.zeros((3, 6))
        expected[1] += 1
        expected[:, :2] += 1
        expected[[0, 2]] += 1
        np.testing.assert_array_equal(leaf.grad.numpy(), expected)


def test_masks_select_by_label(rides):
    mask = rides.sum("hour") > 20
    assert rides.sel(region=mask.isel(region=[2, 1, 0])).index("region").tolist() == ["LAX", "SEA"]
    assert rides.sel(region=np.array([True, False, True])).sizes["region"] == 2
    assert rides.sel(region=pd.Series([False, True, True], REGIONS)).sizes["region"] == 2
    with pytest.raises(AlignmentError, match="Use where"):
        rides.sel(region=rides > 3)
    with pytest.raises(AlignmentError):
        rides.sel(region=mask.sel(region=["SFO"]))


def test_tuples_are_selected_whole():
    x = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["letter", "digit"])
    assert along(x).sel(n=("b", 1)).item() == 3.0
    assert along(x).sel(n=[("b", 1), ("a", 2)]).tolist() == [3.0, 2.0]
    with pytest.raises(LabelError):
        along(x).sel(n=("b", 3))


def test_a_list_of_another_type_is_not_mistaken_for_a_remembered_one():
    a = along(["a", "b"])
    assert a.sel(n=["a"]).tolist() == [1.0]
    assert a.sel(n=("a",)).tolist() == [1.0]
    assert a.sel(n=slice("a", "a")).tolist() == [1.0]
    assert a.sel(n=slice("a", "b")).tolist() == [1.0, 2.0]
