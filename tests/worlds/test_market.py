"""The helpers themselves, fed right and wrong answers."""

import math

import pytest
from _market import Spec, judged, over_worlds, report


def test_a_missed_target_is_shown_and_fails(capsys):
    rows = [
        judged("kept", [0.1, 0.2, 0.3], at_most=0.2),
        judged("broken", [0.1, 0.2, 0.3], at_most=0.19),
    ]
    assert report("title", rows) == 1
    shown = capsys.readouterr()
    assert "1 of 2 targets held" in shown.out
    assert "missed: broken" in shown.err
    assert report("title", rows[:1]) == 0


def test_no_number_is_no_success():
    assert judged("case", [math.nan], at_most=1.0).held is False
    assert judged("case", [math.nan], at_least=1.0, at_most=2.0).held is False
    assert judged("case", [1.0]).held is None


def test_a_figure_that_is_no_number_in_one_world_is_reported_and_missed(capsys):
    row = judged("ratio", [1.0, float("nan"), 1.2], at_most=1.3)
    assert report("a table", [row]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_the_interval_is_students():
    # Mean 2, standard deviation 1, three values: 2 -+ 4.3027 / sqrt(3).
    mean, low, high = judged("case", [1.0, 2.0, 3.0]).interval
    assert (mean, low, high) == pytest.approx((2.0, -0.48414, 4.48414), abs=1e-4)


def _reciprocal(spec):
    return 1 / spec.seed


def test_results_keep_the_order_of_worlds(capsys):
    assert over_worlds(_reciprocal, [Spec(4), Spec(2)], processes=1) == [0.25, 0.5]
    assert "[2/2]" in capsys.readouterr().err


def test_a_failing_world_is_named_after_the_others_ran(capsys):
    with pytest.raises(RuntimeError, match="12x16-seed0: ZeroDivisionError"):
        over_worlds(_reciprocal, [Spec(0), Spec(2)], processes=1)
    assert "12x16-seed2" in capsys.readouterr().err
