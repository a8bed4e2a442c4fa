"""The promises of one small world, and the table fed right and wrong answers.

Two regions and five weeks say next to nothing, so what is asserted of the world is that figures are
made as promised; `nox -s worlds -- promises` judges the targets themselves.
"""

import math
from argparse import Namespace
from dataclasses import replace

import promises
import pytest
from _coverage import Coverage
from _market import Spec
from promises import Findings, Gain


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    spec = Spec(100, 2, 5, cache=tmp_path_factory.mktemp("worlds"))
    return spec, promises.measure(spec, thorough=False)


def test_a_world_says_what_was_promised_and_what_was_true(world):
    _, found = world
    assert set(found.gains) == {"none", "current"}
    for gain in found.gains.values():
        assert gain.low <= gain.promised <= gain.high
        assert math.isfinite(gain.truth)
    # Both compare the same plan, so the arms differ alike by replay whatever was promised.
    assert found.gains["none"].truth != found.gains["current"].truth
    assert set(found.outcomes["cells"]) == set(promises.QUANTITIES)
    for kind, count in (("cells", 2 * 168), ("region-weeks", 2), ("market-weeks", 1)):
        for name, covered in found.outcomes[kind].items():
            assert covered.count <= count, name
            assert covered.inside + covered.below + covered.above == pytest.approx(1.0)
    assert found.outcomes["cells"]["rides"].inside > 0.2
    assert found.status == "optimal"


def test_figures_survive_a_killed_run(world, tmp_path):
    spec, found = world
    assert promises.load(tmp_path, spec) is None
    promises.save(tmp_path, spec, found)
    assert promises.load(tmp_path, spec) == found
    assert [path.name for path in tmp_path.iterdir()] == [f"{spec.name}.json"]


def test_what_is_kept_is_not_measured_again(world, tmp_path, monkeypatch, capsys):
    spec, found = world
    promises.save(tmp_path, spec, found)
    monkeypatch.setattr(promises, "measure", lambda spec, tested: pytest.fail("measured again"))
    options = "--laws unchanged --regions 2 --weeks 5 --seeds 1 --first-seed 100 --processes 1"
    code = promises.main([*options.split(), "--results", str(tmp_path)])
    shown = capsys.readouterr().out
    assert code in (0, 1)
    assert "unchanged, 2 regions x 5 weeks, 1 worlds" in shown
    assert "gain over no spend: truth inside the 90 % interval" in shown
    assert "seed 100: over no spend" in shown


def _sound(shift=0.0):
    """A world whose every promise holds."""
    cells = Coverage(0.9, 0.05, 0.05, shift, 500)
    weeks = Coverage(1.0, 0.0, 0.0, shift, 1)
    return Findings(
        gains={"none": Gain(10.0, 5.0, 15.0, 9.8), "current": Gain(2.0, 1.0, 3.0, 2.1)},
        operator=1.5,
        effect=Gain(7.0, 5.0, 9.0, 6.9),
        z=0.0,
        outcomes={
            kind: dict.fromkeys(promises.QUANTITIES, covered)
            for kind, covered in (
                ("cells", cells),
                ("region-weeks", cells),
                ("market-weeks", weeks),
            )
        },
        warnings=(),
        status="optimal",
        converged=True,
        origins=0,
    )


def _worlds():
    """Twenty worlds, in two of which the truth lies outside: what 90 % intervals promise."""
    sound = _sound()
    outside = replace(
        sound,
        gains={
            "none": Gain(10.0, 5.0, 15.0, 16.0),
            "current": Gain(2.0, 1.0, 3.0, 3.5),
        },
        effect=Gain(7.0, 5.0, 9.0, 9.5),
        warnings=("evidence is weak",),
    )
    worlds = [sound] * 18 + [outside] * 2
    return [replace(w, z=(-1.0) ** i) for i, w in enumerate(worlds)]


def _missed(found, law="unchanged", size=(12, 16)):
    return [row.case for row in promises.rows(found, law, size) if row.held is False]


def test_promises_that_hold_are_held():
    assert _missed(_worlds()) == []
    assert _missed(_worlds(), "borders") == []


@pytest.mark.parametrize(
    ("wrong", "case"),
    [
        (
            {"gains": {"none": Gain(10.0, 8.0, 15.0, 7.0), "current": Gain(2.0, 1.0, 3.0, 2.1)}},
            "gain over no spend: truth inside the 90 % interval",
        ),
        (
            {"gains": {"none": Gain(10.0, 1.0, 15.0, 4.0), "current": Gain(2.0, 1.0, 3.0, 2.1)}},
            "gain over no spend: promised / true",
        ),
        (
            {"gains": {"none": Gain(10.0, 5.0, 15.0, 9.0), "current": Gain(2.0, 1.0, 3.0, -1.0)}},
            "gain over the current plan: truth inside the 90 % interval",
        ),
        ({"operator": -0.1}, "plan's true gain over the operator's rule, USD"),
        ({"effect": Gain(7.0, 5.0, 9.0, 9.1)}, "held-out effect: 90 % interval covers"),
        ({"effect": Gain(7.0, 5.0, 9.0, 6.0)}, "held-out effect: abs. relative error"),
        ({"effect": Gain(7.0, 5.0, 9.0, 6.0)}, "held-out effect: bias"),
        ({"warnings": ("hold on",)}, "a warning where the promise holds"),
    ],
)
def test_a_wrong_answer_is_missed(wrong, case):
    assert case in _missed([replace(item, **wrong) for item in _worlds()])


def test_a_promise_twice_the_truth_is_missed_under_changed_laws_even_inside():
    lucky = {"none": Gain(10.0, 1.0, 15.0, 4.9), "current": Gain(2.0, 1.0, 3.0, 2.1)}
    found = [replace(item, gains=lucky) if i == 0 else item for i, item in enumerate(_worlds())]
    assert "gain over no spend: truth below half the promise" in _missed(found, "borders")


def test_z_of_the_wrong_spread_is_missed():
    found = [replace(item, z=3 * item.z) for item in _worlds()]
    assert "held-out experiment: sd of z" in _missed(found)


@pytest.mark.parametrize(
    ("covered", "words"),
    [
        (Coverage(0.6, 0.2, 0.2, 0.0, 500), "too narrow"),
        (Coverage(0.99, 0.005, 0.005, 0.0, 500), "too wide"),
        (Coverage(0.8, 0.2, 0.0, -0.8, 500), "too narrow, shifted"),
    ],
)
def test_outcomes_name_what_is_wrong_with_their_intervals(covered, words):
    found = [
        replace(item, outcomes={**item.outcomes, "cells": {"eta": covered}}) for item in _worlds()
    ]
    assert _missed(found) == [f"cells, eta: inside 90 % ({words})"]


def test_a_silent_miss_is_a_miss():
    found = [replace(item, warnings=()) for item in _worlds()]
    assert "a warning where the promise misses" in _missed(found)


def test_the_programme_is_that_of_the_targets():
    nothing = Namespace(laws=None, regions=None, weeks=None, seeds=None)
    blocks = promises.programme(nothing)
    assert blocks[:3] == [("unchanged", 4, 12, 20), ("unchanged", 12, 16, 20),
                          ("unchanged", 24, 26, 6)]  # fmt: skip
    assert {(r, w, seeds) for law, r, w, seeds in blocks if law != "unchanged"} == {
        (4, 12, 6),
        (12, 16, 3),
    }
    chosen = Namespace(laws="borders,all", regions=4, weeks=12, seeds=2)
    assert promises.programme(chosen) == [("borders", 4, 12, 2), ("all", 4, 12, 2)]
    with pytest.raises(SystemExit, match="no law 'gravity'; there are unchanged, thresholds"):
        promises.programme(Namespace(laws="gravity", regions=None, weeks=None, seeds=None))


def test_every_law_is_a_scenario_of_the_simulator():
    from dagcast_simulator import Scenario

    usual = Scenario()
    for name, fields in promises.laws(12).items():
        scenario = Scenario.from_mapping(fields)
        assert (scenario == usual) == (name == "unchanged")
    assert promises.laws(12)["all"]["break_week"] == 10
