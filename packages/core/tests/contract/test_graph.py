"""Cycles are shown as paths; loops that are lagged are legal."""

import pytest
from assembled import REGION, lines, make

from dagcast_core.contract import Input, Quantity, assemble
from dagcast_core.dims import HOUR


def test_cycle_is_shown_as_a_path():
    a = make("a", reads=["z"], makes=["x"])
    b = make("b", reads=["x"], makes=["y"])
    c = make("c", reads=["y"], makes=["z"])
    (line,) = lines(a, b, c)
    assert line.startswith("DC101 [b <- a] cycle 'a'")
    assert "found a -> x -> b -> y -> c -> z -> a. fix:" in line


def test_model_that_reads_what_it_makes_is_a_cycle():
    (line,) = lines(make("a", reads=["x"], makes=["x"]))
    assert line.startswith("DC101")
    assert "found a -> x -> a." in line


def test_loop_that_is_lagged_is_legal_and_ordered():
    x = Quantity("x", (REGION, HOUR), "1")
    a = make("a", reads=[Input(Quantity("y", (REGION, HOUR), "1"), lag=1)], makes=[x])
    b = make("b", reads=[x], makes=["y"])
    assembly = assemble([b, a], externals=())
    assert assembly.problems == ()
    assert assembly.order == ("a", "b")


@pytest.mark.parametrize(("look_ahead", "legal"), [(0, True), (23, True), (24, False), (30, False)])
def test_lag_of_a_loop_has_to_exceed_its_look_ahead(look_ahead, legal):
    a = make("a", reads=[Input(Quantity("y", (REGION, HOUR), "1"), lag=24)], makes=["x"])
    b = make("b", reads=["x"], makes=["y"], look_ahead=look_ahead)
    held = lines(a, b)
    assert bool(held) is not legal
    if not legal:
        assert held[0].startswith("DC111 [b <- a] lag 'a'")
        assert f"found lag 24 and look-ahead {look_ahead} along a -> x -> b -> y -> a" in held[0]


def test_two_loops_are_two_problems():
    first = [make("a", reads=["y"], makes=["x"]), make("b", reads=["x"], makes=["y"])]
    second = [make("c", reads=["w", "x"], makes=["v"]), make("d", reads=["v"], makes=["w"])]
    assert [line[:5] for line in lines(*first, *second)] == ["DC101", "DC101"]
