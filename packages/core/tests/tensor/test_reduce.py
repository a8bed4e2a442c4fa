"""Reductions of values that are no floats."""

import numpy as np

from dagcast_core.tensor import IndexTensor


def test_whole_and_boolean_values_reduce_as_expected():
    a = IndexTensor(np.array([[1, 2], [3, 4]]), {"x": [0, 1], "y": [0, 1]})
    assert a.mean("x").tolist() == [2.0, 3.0]
    assert a.sum().item() == 10
    assert (a > 1).any("x").tolist() == [True, True]
    assert (a > 1).all().item() is False
    assert a.max("x", "y").item() == 4
    assert a.median().item() == 2.5
    assert a.prod().item() == 24
    assert a.idxmax("y").tolist() == [1, 1]
    for dims in ((), (["x", "y"],), ("x", "y"), (("y", "x"),)):
        assert a.mean(*dims).item() == a.mean(*dims).item() == 2.5
