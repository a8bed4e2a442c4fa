"""Operators: names, scalars, dtypes, and other operands."""

import numpy as np
import pandas as pd
import pytest
import torch
from tensor_cases import REGIONS, along

from dagcast_core.tensor import AlignmentError, IndexTensor


def test_in_place_changes_keep_the_layout(rides):
    layout, tensor = rides.layout, rides.tensor
    level = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS[::-1]})
    expected = (rides + level.reindex_like(rides)) * 2
    rides.add_(level).mul_(2.0)
    assert rides.layout is layout
    assert rides.tensor is tensor
    torch.testing.assert_close(rides.tensor, expected.tensor)
    with pytest.raises(AlignmentError, match="besides"):
        rides.add_(rides.expand(kind=[1]))
    before = rides
    rides += 1.0
    assert rides is not before


def test_names_stay_where_both_sides_agree():
    a, b = along(["a"], name="x"), along(["a"], name="y")
    assert (a + a).name == "x"
    assert (a + b).name is None
    assert (a * 2).name == (2 * a).name == (a + b.sum()).name == (b.sum() + a).name == "x"
    assert (a + torch.tensor(1.0)).name == (torch.tensor(1.0) + a).name == "x"
    assert (a.sum() + b.sum()).name is None
    other = IndexTensor([1.0], {"m": [1]}, "y")
    assert (a + other).name is None


def test_scalars_of_every_kind_broadcast():
    a = along(["a", "b"])
    for scalar in (2, 2.0, np.float64(2), np.int64(2), np.array(2.0), torch.tensor(2.0)):
        expected = [float(scalar) - 1.0, float(scalar) - 2.0]
        assert (scalar - a).tolist() == expected
        assert (a - scalar).tolist() == [-x for x in expected]


@pytest.mark.parametrize("bare", [np.ones(2), torch.ones(2), [1.0, 2.0], pd.Series([1.0, 2.0])])
def test_a_bare_array_raises_on_either_side(bare):
    a = along(["a", "b"], name="rides")
    with pytest.raises(AlignmentError, match="without labels"):
        a + bare
    if not isinstance(bare, list):
        with pytest.raises((AlignmentError, TypeError)):
            bare + a


def test_unknown_operands_get_their_turn():
    class Other:
        def __rmul__(self, left):
            return "mine"

    assert along(["a"]) * Other() == "mine"
    with pytest.raises(TypeError):
        along(["a"]) + object()


def test_dtypes_follow_torch():
    whole, real = along(["a"], np.array([1])), along(["a"], np.array([2.5], dtype=np.float32))
    assert (whole + real).dtype == torch.float32
    assert (whole / 2).dtype == torch.get_default_dtype()
    assert whole.mean().dtype == torch.float64
    assert (whole > 0).sum().dtype == torch.int64
