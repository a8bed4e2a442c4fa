"""Problems are one line each."""

from dagcast_core.contract import Problem


def test_problem_is_one_line_whatever_it_quotes():
    problem = Problem.of(
        "DC201", "x", expected="a module", found="Error: a\n  b", fix="mend it", producer="p 1.0"
    )
    assert str(problem) == (
        "DC201 [- <- p 1.0] import of 'x': expected a module; found Error: a b. fix: mend it"
    )
