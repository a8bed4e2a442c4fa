"""Three small worlds of the causal check, with bounds that small worlds can hold.

Five regions and nine weeks hold a quarter of the data of the full check, so what is asserted here
is that the figures are made as promised and point the right way; `nox -s worlds -- causal` judges
the targets themselves.
"""

import math
import statistics
from dataclasses import replace

import causal
import pytest
from _market import Spec


@pytest.fixture(scope="module")
def found():
    scenario = tuple(causal.SCENARIO.items())
    return [causal.measure(Spec(seed, 5, 9, scenario)) for seed in (100, 101, 102)]


def test_history_alone_misleads(found):
    assert statistics.median(item.naive for item in found) > 0.5


def test_a_held_out_effect_is_foreseen_better_than_history_says(found):
    errors = [abs(item.held_out.error) for item in found]
    assert statistics.median(errors) < 0.3
    assert statistics.median(errors) < 0.5 * statistics.median(abs(item.naive) for item in found)
    for item in found:
        z = (item.held_out.effect - item.held_out.truth) / item.held_out.spread
        assert abs(z) < 3.5
        assert 0.02 < item.held_out.spread / item.held_out.truth < 0.6


def test_experiments_left_out_are_within_reach(found):
    z = [left.z for item in found for left in item.left_out]
    assert len(z) >= 6
    assert statistics.fmean(abs(value) < 1.96 for value in z) >= 0.75
    assert all(math.isfinite(value) for value in z)


def test_the_joint_fit_moves_towards_what_was_measured(found):
    for item in found:
        ends = item.end_to_end
        assert ends.joint != ends.alone
        uncertain = max(ends.uncertainty, key=lambda team: ends.uncertainty[team])
        moved = {team: abs(move) for team, move in ends.movement.items()}
        assert uncertain == "pricing"
        assert moved[uncertain] == max(moved.values())


def test_slopes_and_forecasts_are_of_the_right_size(found):
    for item in found:
        for slope in item.slopes.values():
            assert slope["model"] < 0
            assert slope["model"] == pytest.approx(slope["truth"], rel=0.5)
        assert set(item.mase) == set(causal.FORECASTS)
        assert item.converged
    for quantity in causal.FORECASTS:
        assert statistics.fmean(item.mase[quantity] for item in found) < 1.0


def test_a_wrong_answer_is_missed(found, capsys):
    wrong = [
        replace(
            item,
            naive=0.1,
            held_out=replace(item.held_out, effect=2 * item.held_out.truth),
            mase={**item.mase, "rides": 1.2},
            slopes={k: {**v, "model": -v["truth"]} for k, v in item.slopes.items()},
        )
        for item in found
    ]
    missed = {row.case for row in causal.rows(wrong) if row.held is False}
    assert {
        "naive, region x hour of week: abs. relative error",
        "held out: abs. relative error",
        "dETA/dhours, tight hours: relative error",
        "one week ahead: MASE of rides",
    } <= missed


def test_figures_survive_a_killed_run(found, tmp_path):
    import json
    from dataclasses import asdict

    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"a": asdict(found[0])}))
    assert causal._read(path) == {"a": found[0]}
    assert causal._read(tmp_path / "nothing.json") == {}
