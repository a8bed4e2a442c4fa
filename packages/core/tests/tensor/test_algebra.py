"""The algebra against xarray, an independent implementation of joining by label.

Documented differences are normalised: we keep the left order, raise where nothing is shared, and
do not skip NaN. xarray's derivatives are taken by complex steps, which are exact to rounding.
"""

import operator
import os
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dagcast_core.tensor import AlignmentError, IndexTensor, align, concat, dot, where

POOLS = {
    "region": ["SFO", "LAX", "SEA", "NYC", "BOS"],
    "hour": list(pd.date_range("2024-03-10T08:00Z", periods=5, freq="h")),
    "kind": [30, 10, 20, 40],
}
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv]


# The first of them suffice where the libraries below are tried, not the algebra.
EXAMPLES = int(os.environ.get("DAGCAST_TEST_EXAMPLES", "200"))


def holds_for(*strategies):
    """Run a test on 200 examples that are the same every time."""
    chosen = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    return lambda test: chosen(given(*strategies)(test))


@st.composite
def tensors(draw, dims=("region", "hour", "kind"), least=0, positive=True, nan=False):
    """A tensor over some of the dims, in any order, with some of the labels, in any order."""
    chosen = draw(st.permutations(dims))
    chosen = chosen[: draw(st.integers(least, len(dims)))]
    indexes = {}
    for dim in chosen:
        labels = draw(st.permutations(POOLS[dim]))
        indexes[dim] = labels[: draw(st.integers(1, len(labels)))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.uniform(0.5 if positive else -2.0, 2.0, [len(v) for v in indexes.values()])
    if nan:
        values = np.where(random.uniform(size=values.shape) < 0.3, np.nan, values)
    return IndexTensor(values, indexes, draw(st.sampled_from(["a", "b", None])))


def meet(*operands):
    """Whether every dim that several operands have has labels that all of them share."""
    for dim in POOLS:
        having = [set(t.index(dim)) for t in operands if dim in t.dims]
        if having and not set.intersection(*having):
            return False
    return True


def same(ours, theirs):
    """Assert equal labels up to order, and equal values."""
    assert set(ours.dims) == set(theirs.dims)
    for dim in ours.dims:
        assert set(ours.index(dim)) == set(theirs.indexes[dim])
    theirs = theirs.sel({dim: ours.index(dim) for dim in ours.dims}).transpose(*ours.dims)
    np.testing.assert_allclose(ours.numpy(), theirs.values, rtol=1e-12, atol=1e-12)


def shuffled(tensor, seed):
    """The same tensor with the labels of every dim in another order."""
    random = np.random.default_rng(seed)
    return tensor.isel({dim: random.permutation(size) for dim, size in tensor.sizes.items()})


def test_the_comparison_notices_wrong_labels_and_values():
    a = IndexTensor([1.0, 2.0], {"kind": [10, 20]})
    same(a, a.isel(kind=[1, 0]).to_xarray())
    for wrong in (a + 1e-9, a.relabel(kind=[10, 30]), a.isel(kind=[0]), a.rename(kind="hour")):
        with pytest.raises(AssertionError):
            same(a, wrong.to_xarray())


@holds_for(tensors(), tensors(), st.sampled_from(OPERATORS))
def test_operators_agree_with_xarray(a, b, function):
    if not meet(a, b):
        with pytest.raises(AlignmentError, match="no shared labels"):
            function(a, b)
        return
    ours = function(a, b)
    same(ours, function(a.to_xarray(), b.to_xarray()))
    assert ours.dims == (*a.dims, *(dim for dim in b.dims if dim not in a.dims))
    for dim in ours.dims:
        lead = a if dim in a.dims else b
        kept = set(ours.index(dim))
        assert ours.index(dim).tolist() == [x for x in lead.index(dim) if x in kept]


@holds_for(tensors(least=1), tensors(least=1))
def test_an_outer_join_agrees_with_xarray(a, b):
    with align("outer", fill=0.0):
        ours = a + b
    shared = [dim for dim in a.dims if dim in b.dims]
    xa, xb = xr.align(a.to_xarray(), b.to_xarray(), join="outer", fill_value=0.0)
    same(ours, xa + xb)
    for dim in shared:
        assert ours.index(dim)[: len(a.index(dim))].equals(a.index(dim))


@holds_for(tensors(least=1), tensors(least=1))
def test_a_left_join_agrees_with_xarray(a, b):
    ours = a.add(b, join="left", fill=0.5)
    shared = {dim: a.index(dim) for dim in b.dims if dim in a.dims}
    same(ours, a.to_xarray() + b.to_xarray().reindex(shared, fill_value=0.5))


@holds_for(tensors(), tensors())
def test_addition_and_multiplication_commute_up_to_layout(a, b):
    assume(meet(a, b))
    for function in (operator.add, operator.mul):
        left, right = function(a, b), function(b, a)
        torch.testing.assert_close(left.tensor, right.reindex_like(left).values(*left.dims))


@holds_for(tensors(), tensors(), tensors())
def test_layouts_associate(a, b, c):
    assume(meet(a, b, c))
    left, right = (a + b) + c, a + (b + c)
    assert left.layout is right.layout
    torch.testing.assert_close(left.tensor, right.tensor)


@holds_for(tensors(least=1), tensors(least=1))
def test_renaming_labels_on_both_sides_changes_only_labels(a, b):
    assume(meet(a, b))
    change = {"region": str.lower, "hour": lambda t: t + pd.Timedelta("1D"), "kind": lambda k: -k}

    def relabelled(tensor):
        return tensor.relabel({dim: change[dim] for dim in tensor.dims})

    assert (relabelled(a) * relabelled(b)).layout is relabelled(a * b).layout
    assert (relabelled(a) * relabelled(b)).tolist() == (a * b).tolist()


@holds_for(tensors(least=1), tensors(least=1), st.integers(0, 9), st.booleans())
def test_the_order_of_an_operands_labels_does_not_matter(a, b, seed, which):
    assume(meet(a, b))
    plain = a * b + a
    left, right = (shuffled(a, seed), b) if which else (a, shuffled(b, seed))
    again = left * right + left
    torch.testing.assert_close(plain.tensor, again.reindex_like(plain).values(*plain.dims))


@holds_for(tensors(), tensors(), tensors())
def test_where_agrees_with_xarray(a, b, c):
    assume(meet(a, b, c))
    condition = a > 1.2
    arrays = xr.align(*(t.to_xarray() for t in (condition, b, c)), join="inner")
    same(where(condition, b, c), xr.where(*arrays))


@holds_for(tensors(), tensors(), tensors())
def test_dot_agrees_with_xarray(a, b, c):
    assume(meet(a, b, c))
    same(dot(a, b), xr.dot(a.to_xarray(), b.to_xarray(), dim=[d for d in a.dims if d in b.dims]))
    dims = a.dims[:1]
    same(dot(a, b, c, dims=dims), xr.dot(a.to_xarray(), b.to_xarray(), c.to_xarray(), dim=dims))


@holds_for(tensors(least=1, nan=True), st.booleans(), st.data())
def test_reductions_agree_with_xarray(a, skipna, data):
    dims = data.draw(st.lists(st.sampled_from(a.dims), unique=True, min_size=1))
    x = a.to_xarray()
    for ours, theirs in (
        (a.sum(*dims, skipna=skipna), x.sum(dims, skipna=skipna)),
        (a.mean(*dims, skipna=skipna), _quietly(lambda: x.mean(dims, skipna=skipna))),
        (a.min(dims, skipna=skipna), _quietly(lambda: x.min(dims, skipna=skipna))),
        (a.max(dims, skipna=skipna), _quietly(lambda: x.max(dims, skipna=skipna))),
        (
            a.std(*dims, correction=0, skipna=skipna),
            _quietly(lambda: x.std(dims, skipna=skipna, ddof=0)),
        ),
        (
            a.quantile(0.3, *dims, skipna=skipna),
            _quietly(lambda: x.quantile(0.3, dims, skipna=skipna).drop_vars("quantile")),
        ),
        (a.count(*dims), x.count(dims)),
    ):
        same(ours, theirs)


def _quietly(compute):
    # numpy warns of slices without a value, for which both sides give NaN.
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return compute()


@holds_for(tensors(least=1), tensors(least=1), st.booleans())
def test_weighted_means_agree_with_xarray(a, b, nan):
    shared = [dim for dim in b.dims if dim in a.dims]
    assume(meet(a, b) and len(shared) == len(b.dims))
    if nan:
        a = a.where(a < 1.5)
    xa, xb = xr.align(a.to_xarray(), b.to_xarray(), join="inner")
    same(a.weighted_mean(b, *a.dims, skipna=True), xa.weighted(xb).mean(a.dims))


@holds_for(tensors(least=1), st.data())
def test_lists_and_positions_select_as_xarray_does(a, data):
    chosen = {
        dim: data.draw(st.lists(st.sampled_from(list(a.index(dim))), unique=True)) for dim in a.dims
    }
    same(a.sel(chosen), a.to_xarray().sel(chosen))
    positions = {dim: data.draw(st.integers(0, n - 1)) for dim, n in a.sizes.items()}
    same(a.isel(positions), a.to_xarray().isel(positions))


@holds_for(tensors(dims=("region", "hour", "kind"), least=3), st.integers(0, 99), st.data())
def test_vectorised_selection_agrees_with_xarray(a, seed, data):
    random = np.random.default_rng(seed)
    shared = data.draw(st.lists(st.sampled_from(["region", "hour"]), unique=True))
    labels = {dim: list(random.permutation(POOLS[dim])) for dim in shared}
    labels["day"] = [1, 2, 3]
    kinds = a.index("kind").to_numpy()
    chosen = random.choice(kinds, [len(v) for v in labels.values()])
    by = IndexTensor(chosen, labels)
    ours = a.sel(kind=by)
    aligned, index = xr.align(a.to_xarray(), by.to_xarray(), join="inner", exclude=["kind", "day"])
    same(ours, aligned.sel(kind=index).drop_vars("kind"))


@holds_for(tensors(least=1), st.integers(-3, 3), st.integers(1, 4))
def test_moves_along_a_dim_agree_with_xarray(a, step, length):
    dim, x = a.dims[0], a.to_xarray()
    same(a.shift({dim: step}, fill=0.0), x.shift({dim: step}, fill_value=0.0))
    same(a.cumsum(dim), x.cumsum(dim))
    if length < a.sizes[dim]:
        change = (x - x.shift({dim: length})).isel({dim: slice(length, None)})
        same(a.diff({dim: length}), change)
    window = x.rolling({dim: length}, min_periods=1)
    if length <= a.sizes[dim]:
        ours = a.rolling({dim: length}, min_periods=1)
        same(ours.mean(), window.mean())
        same(ours.sum(), window.sum())
        same(ours.max(), window.max())
        same(a.rolling({dim: length}).min(), x.rolling({dim: length}).min())


@holds_for(tensors(dims=("region", "kind"), least=2, nan=True))
def test_groups_agree_with_xarray(a):
    groups = {10: 0, 20: 1, 30: 0, 40: 2}
    keys = xr.DataArray([groups[k] for k in a.index("kind")], dims="kind", name="group")
    x = a.to_xarray().assign_coords(group=keys).drop_indexes("kind").drop_vars("kind")
    for name in ("sum", "mean"):
        ours = getattr(a.groupby("kind", groups, into="group"), name)(skipna=False)
        same(ours, getattr(x.groupby("group"), name)(skipna=False))
    ours = a.groupby("kind", groups, into="group").sum(skipna=True)
    same(ours, x.groupby("group").sum(skipna=True))


@holds_for(st.integers(1, 40), st.sampled_from(["3h", "D"]))
def test_resampling_agrees_with_xarray(count, rule):
    hours = pd.date_range("2024-03-10T05:00Z", periods=count, freq="h")
    a = IndexTensor(np.arange(count, dtype=float), {"hour": hours})
    same(a.resample(hour=rule).sum(), a.to_xarray().resample(hour=rule).sum())


@holds_for(tensors(least=1), st.data())
def test_concatenation_undoes_selection(a, data):
    dim = data.draw(st.sampled_from(a.dims))
    cut = data.draw(st.integers(0, a.sizes[dim]))
    parts = [a.isel({dim: slice(0, cut)}), a.isel({dim: slice(cut, None)})]
    assert concat(parts, dim).layout is a.layout
    assert concat(parts, dim).tolist() == a.tolist()


# Gradients


def formula(a, b, c, exp):
    """Joins, broadcasts and reuse, in terms that both sides understand."""
    return (a * b + c) * a + exp(-b * c) / (a + 3.0)


@holds_for(tensors(), tensors(), tensors(), st.integers(0, 99))
def test_gradients_agree_with_complex_steps_through_xarray(a, b, c, seed):
    assume(meet(a, b, c))
    operands = [t.clone().requires_grad_() for t in (a, b, c)]
    formula(*operands, lambda t: t.exp()).sum().backward()
    step = 1e-200
    for which, operand in enumerate(operands):
        flat = operand.tensor.detach().reshape(-1).numpy()
        # One cell of each operand, or 200 examples would take minutes.
        cell = seed % flat.size
        bent = flat.astype(complex)
        bent[cell] += step * 1j
        arrays = [t.detach().to_xarray() for t in operands]
        arrays[which] = arrays[which].copy(data=bent.reshape(tuple(operand.shape)))
        slope = float(formula(*arrays, np.exp).sum().imag) / step
        found = operand.grad.tensor.reshape(-1)[cell].item()
        np.testing.assert_allclose(found, slope, rtol=1e-10, atol=1e-12)


@holds_for(tensors(least=1), tensors(least=1))
def test_the_gradient_is_exactly_zero_on_dropped_labels(a, b):
    assume(meet(a, b))
    a = a.clone().requires_grad_()
    (a * b).sum().backward()
    assert a.grad.layout is a.layout
    for dim in a.dims:
        if dim in b.dims:
            lost = [label for label in a.index(dim) if label not in set(b.index(dim))]
            assert (a.grad.sel({dim: lost}).numpy() == 0.0).all()


@holds_for(tensors(), tensors())
def test_gradients_pass_gradcheck_twice(a, b):
    assume(meet(a, b) and a.numel() * b.numel() <= 60)

    def function(x, y):
        joined = (a.with_tensor(x) * b.with_tensor(y) + a.with_tensor(x)).log()
        return joined.tensor

    leaves = tuple(t.tensor.clone().requires_grad_() for t in (a, b))
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@holds_for(tensors(least=1, nan=True), st.sampled_from(["sum", "mean", "max", "std", "quantile"]))
def test_a_skipped_nan_does_not_poison_the_gradient(a, name):
    leaf = a.clone().requires_grad_()
    if name == "quantile":
        result = leaf.quantile(0.4, a.dims[0], skipna=True)
    elif name == "std":
        # The square root of a variance of 0 has no derivative.
        result = leaf.var(a.dims[0], correction=0, skipna=True)
    else:
        result = getattr(leaf, name)(a.dims[0], skipna=True)
    result.nan_to_num(0.0).sum().backward()
    gradient = leaf.grad.numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[np.isnan(a.numpy())] == 0).all()
