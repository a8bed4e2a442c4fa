"""A slope that is not finite, at a cell whose value nobody uses, is no trap."""

import pytest
import torch

from dagcast_core.tensor import IndexTensor, where


def gradient(function, values):
    a = IndexTensor(torch.tensor(values, dtype=torch.float64), {"n": range(len(values))})
    a.requires_grad_()
    where(a > 0, function(a), a).sum().backward()
    return a.grad.tolist()


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda a: a.sqrt(), 0.25),
        (torch.sqrt, 0.25),
        (torch.rsqrt, -1 / 16),
        (lambda a: a**0.5, 0.25),
        (lambda a: a.pow(0.5), 0.25),
        (lambda a: a.log(), 0.25),
        (lambda a: (a - 1.0).log1p(), 0.25),
        (lambda a: a.reciprocal(), -1 / 16),
        (lambda a: 1.0 / a, -1 / 16),
    ],
)
def test_the_other_value_has_its_own_gradient_where_it_is_chosen(function, slope):
    assert gradient(function, [-1.0, 0.0, 4.0]) == pytest.approx([1.0, 1.0, slope])


def test_a_value_that_is_used_keeps_its_slope():
    a = IndexTensor([0.0, 4.0], {"n": [1, 2]}).requires_grad_()
    a.sqrt().sum().backward()
    assert a.grad.tolist() == [float("inf"), 0.25]
