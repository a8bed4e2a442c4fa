"""Which labels are the same: cases in which that goes wrong in silence, one test each."""

import numpy as np
import pandas as pd
import pytest
from tensor_cases import along, hours

from dagcast_core.tensor import AlignmentError, LabelError, align


def test_zones_join_by_instant_and_keep_the_left_zone():
    a = along(hours("2024-03-10", 3))
    b = a.relabel(n=a.index("n").tz_convert("America/New_York"))
    assert (a + b).tolist() == [2.0, 4.0, 6.0]
    assert str((b + a).index("n").tz) == "America/New_York"


def test_naive_times_do_not_meet_aware_ones():
    a, b = along(hours("2024-01-01", 2), name="a"), along(hours("2024-01-01", 2, None), name="b")
    with pytest.raises(AlignmentError, match=r"(?s)aware time against naive time.*tz_localize"):
        a + b
    with pytest.raises(AlignmentError, match="naive.*Say which instant is meant"):
        a.sel(n="2024-01-01T00:00")
    with pytest.raises(AlignmentError, match="aware.*Leave out its zone"):
        b.sel(n="2024-01-01T00:00Z")


def test_units_of_time_do_not_matter():
    a = along(hours("2024-01-01", 3, unit="ns"))
    b = along(hours("2024-01-01", 3, unit="us"))
    assert (a + b).tolist() == [2.0, 4.0, 6.0]
    assert (a + b).index("n").dtype == a.index("n").dtype
    assert (b + a).index("n").dtype == b.index("n").dtype


def test_a_freq_and_a_range_are_equal_to_their_labels():
    daily = pd.date_range("2024-01-01", periods=3, freq="D", tz="UTC")
    assert along(daily).layout is along(pd.DatetimeIndex(list(daily))).layout
    assert along(pd.RangeIndex(3)).layout is along(np.array([0, 1, 2])).layout


@pytest.mark.parametrize("index", [pd.RangeIndex(5, 0, -1), hours("2024-01-01", 5)[::-1]])
def test_descending_labels_keep_their_order(index):
    a = along(index)
    assert (a + a.flip("n")).tolist() == (a + a).tolist()
    assert (a + a.flip("n")).index("n").equals(index)
    assert a.sel(n=slice(index[1], index[3])).tolist() == [2.0, 3.0, 4.0]


def test_text_does_not_meet_numbers():
    with pytest.raises(AlignmentError, match="str against int"):
        along(["1", "2"]) + along([1, 2])


def test_whole_numbers_meet_equal_floats_and_no_others():
    assert (along([1, 2]) + along([1.0, 2.0])).tolist() == [2.0, 4.0]
    with pytest.raises(AlignmentError, match="float labels differ"):
        along([1, 2]) + along([1.0, 2.5])


def test_float_ranges_of_two_precisions_need_a_tolerance():
    wide, narrow = np.linspace(0, 1, 11), np.linspace(0, 1, 11).astype(np.float32)
    a, b = along(pd.Index(wide)), along(pd.Index(narrow))
    with pytest.raises(AlignmentError, match="Pass a tolerance"):
        a + b
    with align(tolerance=1e-6):
        assert (a + b).tolist() == (2 * a).tolist()
        assert (a + b).index("n").dtype == np.float64
    exact = a.add(b, tolerance=0.0)
    assert 0 < exact.sizes["n"] < 11


def test_a_tolerance_that_matches_twice_raises():
    with pytest.raises(AlignmentError, match="several labels"):
        along([1.0, 1.1]).add(along([1.05]), tolerance=0.2)


def test_negative_zero_is_zero():
    a = along(pd.Index([-0.0, 1.0]))
    assert a.layout is along(pd.Index([0.0, 1.0])).layout


def test_booleans_are_not_numbers():
    with pytest.raises(AlignmentError, match="bool against int"):
        along([True, False]) + along([1, 0])
    numbers = along([1, 2])
    assert numbers.sel(n=1).item() == 1.0
    with pytest.raises(LabelError):
        numbers.sel(n=True)
    assert numbers.sel(n=[True, False]).tolist() == [1.0]
    assert numbers.sel(n=[1]).tolist() == [1.0]


def test_categories_join_as_their_labels_and_stay_categories():
    a = along(pd.CategoricalIndex(["b", "a"], categories=["a", "b", "c"]))
    total = a + along(["a", "b"])
    assert total.tolist() == [3.0, 3.0]
    assert isinstance(total.index("n"), pd.CategoricalIndex)
    partial = a + along(["a"])
    assert partial.index("n").tolist() == ["a"]


def test_mixed_and_missing_labels_are_refused():
    with pytest.raises(AlignmentError, match=r"mixed kinds \(int, str\)"):
        along(pd.Index(["a", 1], dtype=object))
    for index in ([1.0, np.nan], [None, "a"], [pd.NaT, pd.Timestamp("2024-01-01")]):
        with pytest.raises(AlignmentError, match="missing"):
            along(pd.Index(index))
    levels = pd.MultiIndex.from_arrays([["a", None], [1, 2]], names=["x", "y"])
    with pytest.raises(AlignmentError, match="missing"):
        along(levels)


def test_duplicates_are_fine_while_layouts_are_identical():
    a = along(["a", "a", "b"])
    assert (a + along(["a", "a", "b"])).tolist() == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("other", [["b"], ["b", "a"], ["b", "c", "d"]])
def test_duplicates_raise_in_a_join_even_outside_the_intersection(other):
    with pytest.raises(AlignmentError, match="occur more than once"):
        along(["a", "a", "b"]) + along(other)
    with pytest.raises(AlignmentError, match="occur more than once"):
        along(other) + along(["a", "a", "b"])


def test_duplicates_raise_when_selected_or_reindexed():
    a = along(["a", "a", "b"])
    for select in (
        lambda: a.sel(n="a"),
        lambda: a.sel(n=["b"]),
        lambda: a.reindex(n=["b"]),
        lambda: a.sel(n=["b"]),
    ):
        with pytest.raises(AlignmentError, match="more than once"):
            select()


def test_levels_of_other_names_do_not_meet():
    x = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["letter", "digit"])
    y = x.set_names(["letter", "number"])
    swapped = pd.MultiIndex.from_product([[1, 2], ["a", "b"]], names=["digit", "letter"])
    for other in (y, swapped):
        with pytest.raises(AlignmentError, match="cannot be compared"):
            along(x) + along(other)
    back = along(x) + along(x[::-1])
    assert back.tolist() == [5.0] * 4
    assert back.index("n").names == ["letter", "digit"]
