"""Error texts: what was attempted, both sides, and a way out."""

import pickle

import pytest

from dagcast_core.tensor import AlignmentError, IndexTensor, LabelError, Panel, concat

AIRPORTS = ["SFO", "LAX", "SEA", "NYC"]


def test_nothing_shared_shows_both_sides_and_a_rename():
    sessions = IndexTensor([1.0] * 4, {"region": AIRPORTS}, "sessions")
    conversion = sessions.relabel(region=str.lower).named("conversion")
    with pytest.raises(AlignmentError) as caught:
        sessions * conversion
    assert str(caught.value) == (
        "cannot compute sessions * conversion:\n"
        "no shared labels along 'region'.\n"
        "  sessions    4 labels: 'SFO', 'LAX', 'SEA', ...\n"
        "  conversion  4 labels: 'sfo', 'lax', 'sea', ...\n"
        "Labels match exactly. Rename one side: conversion.relabel(region=str.upper)."
    )
    assert caught.value.dim == "region"
    assert list(caught.value.left) == AIRPORTS
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.dim) == (str(caught.value), "region")


def test_an_exact_join_shows_what_each_side_lacks():
    a = IndexTensor([1.0] * 4, {"region": AIRPORTS}, "rides")
    b = IndexTensor([1.0] * 2, {"region": ["SFO", "BOS"]}, "rides")
    with pytest.raises(AlignmentError) as caught:
        a.sub(b, join="exact")
    assert str(caught.value) == (
        "cannot compute rides (left) - rides (right):\n"
        "labels differ along 'region', and the join is exact.\n"
        "  rides (left)        4 labels: 'SFO', 'LAX', 'SEA', ...\n"
        "  rides (right)       2 labels: 'SFO', 'BOS'\n"
        "  only rides (left)   3 labels: 'LAX', 'SEA', 'NYC'\n"
        "  only rides (right)  1 label: 'BOS'\n"
        'Select the shared labels first, or allow it: `with align("inner"):`.'
    )


def test_an_unknown_dim_names_those_there_are():
    a = IndexTensor([1.0] * 4, {"region": AIRPORTS}, "rides")
    with pytest.raises(LabelError) as caught:
        a.mean("regions")
    assert str(caught.value) == (
        "cannot reduce over 'regions': no dim 'regions'; the dims are 'region'."
    )


def test_a_shape_that_does_not_fit_names_both():
    with pytest.raises(AlignmentError) as caught:
        IndexTensor([1.0, 2.0], {"region": AIRPORTS}, "rides")
    assert str(caught.value) == (
        "cannot label rides of shape (2,) with indexes of sizes (region: 4): "
        "each dim needs one index of its own length, in order."
    )


@pytest.mark.parametrize(
    ("attempt", "kind", "text"),
    [
        (lambda a: IndexTensor([1.0], {"region": "SFO"}), AlignmentError, "labels are a list"),
        (lambda a: IndexTensor([1.0], [["SFO"]]), AlignmentError, "give a mapping"),
        (lambda a: IndexTensor(["x"], {"n": [1]}), TypeError, "values are numbers"),
        (lambda a: IndexTensor(a, a.indexes), TypeError, "label an IndexTensor again"),
        (lambda a: IndexTensor([1.0], {1: ["x"]}), AttributeError, "name"),
        (lambda a: a.rename(region="a", hour="a"), LabelError, "no dim 'hour'"),
        (lambda a: a.expand(region=["x"]), AlignmentError, "every dim has a unique name"),
        (lambda a: a.sel(region=["SFO", "XXX"]), LabelError, "1 of 2 labels do not exist"),
        (lambda a: a.sel(region=slice("SFO", "XXX")), LabelError, "no such label"),
        (lambda a: a.sel(region=slice(None, None, 2)), AlignmentError, "has no step"),
        (lambda a: a.isel(region=9), LabelError, "has 4 labels"),
        (lambda a: a.isel(region=1.5), TypeError, "whole numbers"),
        (lambda a: a.reindex(region=["XXX"]), LabelError, "do not exist"),
        (lambda a: a.item(), ValueError, "Reduce it first"),
        (lambda a: bool(a > 0), ValueError, "it has 4"),
        (lambda a: list(a), TypeError, "unbind"),
        (lambda a: a.backward(), AlignmentError, "Reduce it first"),
        (lambda a: a.values("hour"), AlignmentError, "its dims are"),
        (lambda a: a.with_tensor(a.tensor[:2]), AlignmentError, "shape"),
        (lambda a: a.quantile(1.5), ValueError, "between 0 and 1"),
        (lambda a: a.squeeze("region"), AlignmentError, "it has 4 labels"),
        (lambda a: a.relabel(region=["x"]), AlignmentError, "1 labels for 4 values"),
        (lambda a: a.unstack("region"), AlignmentError, "not tuples"),
        (lambda a: a.rolling(region=0), ValueError, "min_periods <= window"),
        (lambda a: a.resample(region="D"), AlignmentError, "not times"),
        (lambda a: a.groupby("region", {"SFO": 1}), AlignmentError, "3 labels have no group"),
        (lambda a: a.groupby("region", "x"), TypeError, "give a function"),
        (lambda a: a.weighted_mean(2.0), TypeError, "weights are an IndexTensor"),
        (lambda a: a.add(a, join="middle"), ValueError, "the joins are inner"),
        (lambda a: a.add(a, tolerance=-1.0), ValueError, "at least 0"),
        (lambda a: a.copy_(a.isel(region=[0])), AlignmentError, "missing on one side"),
        (lambda a: concat([a, a], "region"), AlignmentError, "occur twice"),
        (lambda a: concat([], "region"), ValueError, "no tensors"),
        (lambda a: a.sel(region=a), AlignmentError, "whole numbers"),
        (lambda a: a.shift(region="1h"), TypeError, "whole numbers of positions"),
        (lambda a: Panel([a.named(None)]), AlignmentError, "without a name"),
        (lambda a: Panel([a, a]), AlignmentError, "two tensors named 'rides'"),
        (lambda a: Panel([a])["eta"], LabelError, "it holds"),
        (lambda a: Panel(rides=1.0), TypeError, "its members are IndexTensors"),
        (lambda a: Panel([a]).sel(hour=1), LabelError, "no member of the panel has it"),
    ],
)
def test_misuse_says_what_to_do(attempt, kind, text):
    a = IndexTensor([1.0] * 4, {"region": AIRPORTS}, "rides")
    with pytest.raises(kind, match=text):
        attempt(a)
