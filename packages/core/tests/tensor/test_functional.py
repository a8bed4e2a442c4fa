"""torch's functional transforms and compiler on functions of labelled tensors."""

import warnings

import pandas as pd
import pytest
import torch

from dagcast_core.tensor import (
    AlignmentError,
    IndexTensor,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vmap,
)

REGIONS = ["SFO", "LAX", "SEA"]


@pytest.fixture
def spend():
    return IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS}, "spend")


@pytest.fixture
def effect():
    return IndexTensor(
        [[0.5, 2.0], [1.0, 3.0]], {"region": ["SEA", "SFO"], "hour": [0, 1]}, "effect"
    )


def profit(spend, effect):
    """Joins two of three regions and broadcasts over hours."""
    return ((spend * effect).exp() / 10 + spend.square()).sum()


def test_grad_agrees_with_backward(spend, effect):
    leaf = spend.clone().requires_grad_()
    profit(leaf, effect).backward()
    for got in (
        grad(profit)(spend, effect),
        value_and_grad(profit)(spend, effect)[1],
        torch.func.grad(lambda s: profit(s, effect).tensor)(spend),
    ):
        assert got.layout is spend.layout
        torch.testing.assert_close(got.tensor, leaf.grad.tensor)
    by_effect = grad(profit, argnum=1)(spend, effect)
    assert by_effect.layout is effect.layout


def test_hessians_agree_with_torch_and_with_products(spend, effect):
    second = hessian(profit)(spend, effect)
    assert second.dims == ("region", "d_region")
    raw = torch.func.hessian(lambda t: profit(spend.with_tensor(t), effect).tensor)(spend.tensor)
    torch.testing.assert_close(second.tensor, raw)
    direction = IndexTensor([1.0, -1.0, 2.0], {"region": REGIONS[::-1]})
    product = hvp(lambda s: profit(s, effect), spend, direction)
    expected = raw @ direction.reindex_like(spend).tensor
    torch.testing.assert_close(product.tensor, expected)


def test_jvp_is_the_jacobian_in_one_direction(spend, effect):
    def revenue(s):
        return (s * effect).exp()

    value, change = jvp(revenue, (spend,), (spend.ones_like(),))
    slopes = jacobian(revenue)(spend)
    assert slopes.dims == ("region", "hour", "d_region")
    assert slopes.layout is jacobian(revenue, mode="forward")(spend).layout
    torch.testing.assert_close(slopes.tensor, jacobian(revenue, mode="forward")(spend).tensor)
    torch.testing.assert_close(change.tensor, slopes.sum("d_region").tensor)
    assert value.layout is change.layout
    assert slopes.sel(region="SFO", d_region="LAX").tolist() == [0.0, 0.0]
    with warnings.catch_warnings():
        # torch warns of its own use of torch.jit while it loads forward derivatives.
        warnings.simplefilter("ignore", DeprecationWarning)
        _, plain = torch.func.jvp(revenue, (spend,), (spend.ones_like(),))
    torch.testing.assert_close(plain.tensor, change.tensor)


def test_vmap_runs_over_a_named_dim(spend, effect):
    def share(e, s):
        return e / e.sum() * s

    got = vmap(share, "hour")(effect, spend)
    assert got.dims == ("hour", "region")
    for hour in (0, 1):
        expected = share(effect.sel(hour=hour), spend)
        torch.testing.assert_close(got.sel(hour=hour).tensor, expected.tensor)
    with pytest.raises(AlignmentError, match="no argument has that dim"):
        vmap(share, "day")(effect, spend)
    raw = torch.func.vmap(lambda row: spend.with_tensor(row).cumsum("region").tensor)
    rows = torch.rand(4, 3, dtype=torch.float64)
    torch.testing.assert_close(raw(rows), rows.cumsum(1))


def test_gradients_over_vmap(spend, effect):
    per_hour = vmap(grad(lambda e: (e * spend).exp().sum()), "hour")(effect)
    expected = ((effect * spend).exp() * spend).transpose("hour", "region")
    torch.testing.assert_close(per_hour.tensor, expected.tensor)


def test_gradcheck_passes_on_the_public_functions(spend, effect):
    def function(s, e):
        return profit(spend.with_tensor(s), effect.with_tensor(e)).tensor

    leaves = (spend.tensor.clone().requires_grad_(), effect.tensor.clone().requires_grad_())
    assert torch.autograd.gradcheck(function, leaves)


def test_a_gradient_needs_one_number(spend, effect):
    with pytest.raises(AlignmentError, match="Reduce it first, or use jacobian"):
        grad(lambda s: s * effect)(spend)
    with pytest.raises(TypeError, match="an IndexTensor is needed"):
        grad(lambda s: s)(torch.ones(2))


def chain(a, b):
    out = a
    for _ in range(4):
        out = (out * b + a).exp()
        out = out / (out + b)
    return out


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compilation_needs_no_graph_break_and_no_second_graph_for_equal_indexes():
    counters = torch._dynamo.utils.counters
    torch._dynamo.reset()
    counters.clear()

    def fresh(seed):
        torch.manual_seed(seed)
        indexes = {
            "region": pd.Index(list("abc")),
            "hour": pd.date_range("2024-01-01", periods=4, freq="h", tz="UTC"),
        }
        return IndexTensor(torch.rand(3, 4, dtype=torch.float64), indexes, "x")

    # The compiler's own backends need a C++ compiler; tracing is what labels could break.
    compiled = torch.compile(chain, fullgraph=True, backend="eager")
    for seed in range(3):
        a, b = fresh(seed), fresh(seed + 10)
        got, expected = compiled(a, b), chain(a, b)
        assert got.layout is expected.layout
        torch.testing.assert_close(got.tensor, expected.tensor)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_functions_may_reduce_and_choose():
    torch._dynamo.reset()
    a = IndexTensor(torch.rand(3, 2, dtype=torch.float64), {"n": [1, 2, 3], "m": [1, 2]}, "a")

    def function(a):
        return (a * 2.0 - 1).clamp(min=0.1).log().where(a > 0.2, 0.0).mean("n")

    expected = function(a)
    got = torch.compile(function, fullgraph=True, backend="eager")(a)
    torch.testing.assert_close(got.tensor, expected.tensor)
    assert got.layout is expected.layout
    torch._dynamo.reset()
