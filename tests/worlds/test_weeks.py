"""The table of weeks, fed right and wrong answers; worlds are for `nox -s worlds -- weeks`."""

from dataclasses import replace

import weeks

from dagcast.workflow import LoopWeek

GOOD = LoopWeek(
    "2026-03-02T00:00:00+00:00", "approved", "plan-0001", "plan",
    {"plan": 190.0, "operator": 140.0, "static": 170.0, "none": 100.0, "best": 195.0},
    (90.0, 70.0, 110.0), 8, (9, 10),
)  # fmt: skip


def held(world):
    return [row.held for row in weeks.rows([world])]


def test_what_is_true_is_held():
    # Of twelve weeks nine are judged; one in nine intervals does not hold the truth.
    world = [GOOD] * 11 + [replace(GOOD, promised=(90.0, 91.0, 110.0))]
    assert held(world) == [True, True, True, True, None]


def test_what_is_off_is_missed():
    poor = replace(GOOD, worth={**GOOD.worth, "best": 300.0})
    assert held([poor] * 12)[0] is False
    boast = replace(GOOD, promised=(120.0, 70.0, 130.0))
    assert held([boast] * 12)[1] is False
    narrow = replace(GOOD, promised=(90.0, 95.0, 99.0))
    assert held([narrow] * 12)[2] is False
    assert held([replace(GOOD, kept=(5, 10))] * 12)[3] is False


def test_the_first_weeks_are_not_judged_by_their_promises():
    early = replace(GOOD, promised=(900.0, 800.0, 1000.0))
    assert held([early] * 3 + [GOOD] * 9)[1] is True
