"""Which labels two sides share: cases in which a join goes wrong in silence, one test each."""

import numpy as np
import pandas as pd
import pytest
import torch
from tensor_cases import along, hours

from dagcast_core.tensor import AlignmentError, align


def test_a_single_label_does_not_stretch_over_others():
    many, one = along(["a", "b", "c"]), along(["b"], [10.0])
    assert (many + one).tolist() == [12.0]
    assert (one + many).tolist() == [12.0]
    with pytest.raises(AlignmentError, match="no shared labels"):
        many + along(["z"])


def test_hours_of_equal_number_but_shifted_join_by_time():
    a, b = along(hours("2024-01-01", 4)), along(hours("2024-01-01T02:00", 4))
    total = a + b
    assert total.tolist() == [3 + 1, 4 + 2]
    assert total.index("n").equals(a.index("n")[2:])


def test_dims_without_labels_stay_empty_and_do_not_raise():
    empty = along(pd.Index([], dtype="int64"), np.zeros(0))
    assert (empty + along([1, 2])).sizes == {"n": 0}
    assert (along([1, 2]) * empty).sum().item() == 0
    assert (empty + empty).sizes == {"n": 0}
    with align("outer", fill=0.0):
        assert (empty + along([1, 2])).tolist() == [1.0, 2.0]
    assert empty.isel(n=[]).sizes == {"n": 0}


def test_an_empty_intersection_can_be_allowed():
    with align(on_empty="allow"):
        assert (along([1]) + along([2])).sizes == {"n": 0}
    assert along([1]).add(along([2]), on_empty="allow").sizes == {"n": 0}


def test_a_remembered_plan_is_not_used_for_other_labels():
    a, b = along(["a", "b", "c"]), along(["b", "c", "d"])
    for _ in range(2):
        assert (a + b).tolist() == [3.0, 5.0]
    assert (a + along(["d", "a", "b"])).tolist() == [3.0, 5.0]
    assert (a + along(["c", "b", "a"])).tolist() == [4.0, 4.0, 4.0]
    with align("exact"), pytest.raises(AlignmentError):
        a + b
    with align("left", fill=0.0):
        assert (a + b).tolist() == [1.0, 3.0, 5.0]
    with align("left", fill=10.0):
        assert (a + b).tolist() == [11.0, 3.0, 5.0]
    assert (a + b).tolist() == [3.0, 5.0]


def test_exact_accepts_another_order_and_nothing_else():
    a = along(["a", "b"])
    with align("exact"):
        assert (a + along(["b", "a"])).tolist() == [3.0, 3.0]
        for other in (["a"], ["a", "b", "c"], ["a", "c"]):
            with pytest.raises(AlignmentError, match="the join is exact"):
                a + along(other)


@pytest.mark.parametrize("join", ["left", "outer"])
def test_missing_cells_need_a_fill_value(join):
    with align(join), pytest.raises(AlignmentError, match="no fill value"):
        along(["a", "b"]) + along(["b", "c"])
    with align(join):
        assert (along(["a", "b"]) + along(["b", "a"])).tolist() == [3.0, 3.0]


def test_whole_numbers_filled_with_a_fraction_become_real():
    a, b = along(["a"], np.array([1])), along(["b"], np.array([2]))
    with align("outer", fill=0.5):
        assert (a + b).tolist() == [1.5, 2.5]
    with align("outer", fill=0):
        assert (a + b).dtype == torch.int64
