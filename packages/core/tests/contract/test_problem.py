"""Problems are one line each."""

import pytest

from dagcast_core.contract import Problem


def test_problem_is_one_line_whatever_it_quotes():
    problem = Problem.of(
        "DC201", "x", expected="a module", found="Error: a\n  b", fix="mend it", producer="p 1.0"
    )
    assert str(problem) == (
        "DC201 [<- p 1.0] import of 'x': expected a module; found Error: a b. fix: mend it"
    )


@pytest.mark.parametrize(
    ("sides", "shown"),
    [
        ({"consumer": "a", "producer": "b"}, "DC105 [a <- b] unit 'x': "),
        ({"producer": "b"}, "DC105 [<- b] unit 'x': "),
        ({"consumer": "a"}, "DC105 [a <-] unit 'x': "),
        ({}, "DC105 unit 'x': "),
    ],
)
def test_whoever_is_not_there_is_not_written(sides, shown):
    problem = Problem.of("DC105", "x", expected="min", found="s", fix="convert", **sides)
    assert str(problem).startswith(shown + "expected")


def test_a_text_of_its_own_full_stop_ends_in_one():
    problem = Problem.of(
        "DC401", "x", expected="one.", found="Error: two. Return a dict.", fix="'SFO', 'LAX', ..."
    )
    assert str(problem).endswith(
        "expected one; found Error: two. Return a dict. fix: 'SFO', 'LAX', ..."
    )
