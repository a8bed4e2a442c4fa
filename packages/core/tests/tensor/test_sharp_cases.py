"""Cases in which label algebra goes wrong in silence, one test each."""

import gc
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.tensor import (
    AlignmentError,
    IndexTensor,
    LabelError,
    align,
    audit,
    hour_of_week,
    local_time,
)
from dagcast_core.tensor._index import _AXES, _SEEN
from dagcast_core.tensor._layout import _LAYOUTS


def along(labels, values=None, dim="n", name=None):
    index = labels if isinstance(labels, pd.Index) else pd.Index(labels)
    values = np.arange(1.0, len(index) + 1) if values is None else values
    return IndexTensor(values, {dim: index}, name)


def hours(start, count, zone="UTC", unit="us"):
    return pd.date_range(start, periods=count, freq="h", tz=zone).as_unit(unit)


# Sizes that happen to fit


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


# Times


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles"])
@pytest.mark.parametrize(("day", "length"), [("2024-03-10", 23), ("2024-11-03", 25)])
def test_a_day_on_which_clocks_change_keeps_every_hour(zone, day, length):
    start = pd.Timestamp(day, tz=zone).tz_convert("UTC")
    instants = pd.date_range(start, periods=72, freq="h")
    a = along(instants, np.ones(72), "hour")
    by_day = a.resample(hour="D", zone=zone).sum()
    assert by_day.tolist()[0] == length
    assert by_day.sum().item() == 72
    assert by_day.index("hour")[1] == pd.Timestamp(day, tz=zone) + pd.Timedelta(length, "h")
    assert str(by_day.index("hour").tz) == "UTC"
    local = local_time(instants, {"here": zone}, lambda t: t.hour)
    on_the_day = local.isel(hour=slice(0, length)).tolist()[0]
    expected = list(range(24))
    if length == 23:
        expected.remove(2)
    else:
        expected.insert(1, 1)
    assert on_the_day == expected
    week = hour_of_week(instants, {"here": zone}).tolist()[0]
    assert week[0] == 6 * 24
    assert week[length] == 0


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


# Labels that look alike


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


# Duplicates


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


# Tuples


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


def test_tuples_are_selected_whole():
    x = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["letter", "digit"])
    assert along(x).sel(n=("b", 1)).item() == 3.0
    assert along(x).sel(n=[("b", 1), ("a", 2)]).tolist() == [3.0, 2.0]
    with pytest.raises(LabelError):
        along(x).sel(n=("b", 3))


# Caches


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


def test_an_index_whose_id_is_used_again_is_not_mistaken():
    for round_ in range(300):
        index = pd.Index([f"{round_}-{k}" for k in range(3)])
        assert along(index).index("n").tolist() == list(index)
        del index


def test_a_mutated_name_of_an_index_does_no_harm():
    index = pd.Index(["a", "b"], name="other")
    a = along(index)
    index.name = "changed"
    assert a.index("n").name == "n"
    assert along(index).layout is a.layout


def test_a_list_of_another_type_is_not_mistaken_for_a_remembered_one():
    a = along(["a", "b"])
    assert a.sel(n=["a"]).tolist() == [1.0]
    assert a.sel(n=("a",)).tolist() == [1.0]
    assert a.sel(n=slice("a", "a")).tolist() == [1.0]
    assert a.sel(n=slice("a", "b")).tolist() == [1.0, 2.0]


def test_many_label_sets_leave_no_trace():
    def use(count):
        for number in range(count):
            a = along(pd.Index(np.arange(number, number + 3)))
            b = along(pd.Index(np.arange(number + 1, number + 4)))
            (a + b).sel(n=number + 1)

    use(1200)  # fills the bounded caches
    gc.collect()
    before = len(_AXES), len(_SEEN), len(_LAYOUTS)
    use(2500)
    gc.collect()
    after = len(_AXES), len(_SEEN), len(_LAYOUTS)
    # 2,500 rounds make 10,000 axes and layouts; what stays is what the bound lets in.
    assert all(now <= then + 1000 for now, then in zip(after, before, strict=True))


def test_another_process_reads_a_pickled_tensor():
    a = IndexTensor([[1.0, 2.0]], {"region": ["SFO"], "hour": hours("2024-01-01", 2)}, "rides")
    code = (
        "import pickle, sys; a = pickle.load(sys.stdin.buffer); b = a.sel(region=['SFO'])\n"
        "assert b.layout is a.layout; sys.stdout.write(repr((a + b).tolist()) + a.name)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], input=pickle.dumps(a), capture_output=True
    )
    assert done.stdout.decode() == "[[2.0, 4.0]]rides", done.stderr.decode()
    assert pickle.loads(pickle.dumps(a)).layout is a.layout


# Joins that lose nothing, and those that do


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


def test_the_audit_counts_every_drop_and_stops_with_its_block():
    a, b = along(["a", "b", "c"], name="rides"), along(["c", "d"], name="eta")
    with audit() as dropped:
        for _ in range(3):
            a * b
        a + a
    assert [(d.expression, d.dim, d.left, d.right) for d in dropped.drops] == [
        ("rides * eta", "n", 2, 1)
    ]
    assert dropped.total == 9
    a * b
    assert dropped.total == 9


def test_whole_numbers_filled_with_a_fraction_become_real():
    a, b = along(["a"], np.array([1])), along(["b"], np.array([2]))
    with align("outer", fill=0.5):
        assert (a + b).tolist() == [1.5, 2.5]
    with align("outer", fill=0):
        assert (a + b).dtype == torch.int64


# Names and scalars


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
