"""Three small worlds of the causal check, with bounds that small worlds can hold.

Four regions and eight weeks hold a sixth of the data of the full check, so what is asserted here
is that the figures are made as promised and point the right way; `nox -s worlds -- causal` judges
the targets themselves.
"""

import math
import statistics
from dataclasses import replace
from functools import partial

import causal
import pytest
from _market import Spec, over_worlds
from scipy.stats import binom


@pytest.fixture(scope="module")
def found():
    scenario = tuple(causal.SCENARIO.items())
    specs = [Spec(seed, 4, 8, scenario) for seed in (100, 101, 102)]
    # In this process: where all sessions run, another has the other core, and a process of its own
    # would spend as long on imports as on half a world.
    return over_worlds(partial(causal.measure, thorough=False), specs, processes=1)


def test_history_alone_misleads(found):
    assert statistics.median(item.naive for item in found) > 0.25


def test_intervals_know_how_little_a_small_world_says(found):
    """Three regions in a trial leave errors of a third; the intervals have to say so."""
    z = [abs(item.held_out.effect - item.held_out.truth) / item.held_out.spread for item in found]
    assert max(z) < 3.5
    assert statistics.median(z) < 2.0
    for item in found:
        assert 0.02 < item.held_out.spread / item.held_out.truth < 0.6


def test_experiments_left_out_are_within_reach(found):
    z = [left.z for item in found for left in item.left_out]
    assert len(z) >= 4
    # As many beyond 95 % as chance leaves one time in a hundred, and none far beyond.
    beyond = sum(abs(value) > 1.96 for value in z)
    assert binom.sf(beyond - 1, len(z), 0.05) > 0.01
    assert max(map(abs, z)) < 3.0
    assert all(math.isfinite(value) for value in z)


def test_the_joint_fit_moves_the_team_that_was_least_certain(found):
    """Over all worlds: in one, errors shared with other experiments can turn a single move."""
    moved = {"least": 0.0, "most": 0.0}
    for item in found:
        ends = item.end_to_end
        assert ends.joint != ends.alone
        certain = min(ends.uncertainty, key=lambda team: ends.uncertainty[team])
        uncertain = max(ends.uncertainty, key=lambda team: ends.uncertainty[team])
        assert uncertain == "pricing"
        moved["least"] += abs(ends.movement[certain])
        moved["most"] += abs(ends.movement[uncertain])
    assert moved["least"] < 0.5 * moved["most"]


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
