"""Methods in order of preference, and which problems they take."""

import pytest
import torch

from dagcast_core.decide import LinearSet, Options, SmoothProblem
from dagcast_core.solver import DecisionError, Stopping, method_named, preferred


def wide(cells):
    one = torch.ones(cells, dtype=torch.float64)
    none = torch.zeros(0, dtype=torch.float64)
    return SmoothProblem(lambda x: ((x - 0.5 * x * x).sum(), none), LinearSet(0 * one, 3 * one))


def test_the_first_method_that_accepts_a_problem_is_preferred():
    for cells in (10, 5000):
        assert preferred(wide(cells)) is method_named("separable")


def test_a_method_refuses_what_it_does_not_accept():
    slsqp = method_named("slsqp")
    assert slsqp.accepts(wide(600))
    assert not slsqp.accepts(wide(601))
    with pytest.raises(DecisionError, match="up to 600 cells; this problem has 601"):
        slsqp.solve(wide(601), Options(), None, Stopping())


def test_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(DecisionError, match="no method 'adam'; use 'separable' or 'slsqp'"):
        method_named("adam")
