"""Weeks that are lived through one after another, and what they add up to."""

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from dagcast.config import Config
from dagcast.errors import GateError, ProjectError, UsageError
from dagcast.project import create_project, open_project
from dagcast.workflow import LoopResult, LoopWeek, _loop
from dagcast.workflow.common._position import Position
from dagcast.workflow.common._week_result import week_result

START = pd.Timestamp("2026-03-02T00:00Z")


def week_of(number, **changes):
    values = {
        "week": (START + pd.Timedelta(weeks=number)).isoformat(),
        "state": "approved",
        "plan": f"plan-{number + 1:04d}",
        "lived": "plan",
        "worth": {"plan": 180.0, "operator": 140.0, "static": 170.0, "none": 100.0, "best": 190.0},
        "promised": (60.0, 50.0, 85.0),
        "experiments": 8,
    }
    return LoopWeek(**{**values, **changes})


def test_a_week_says_how_much_of_the_way_was_gone():
    week = week_of(0)
    assert (week.lift, week.regret, week.closed) == (80.0, 10.0, 0.8)
    assert week.inside is True
    assert week_of(0, promised=(60.0, 50.0, 79.0)).inside is False
    # Where the operator's rule was lived, the plan's promise is no promise of what was done.
    refused = week_of(0, lived="operator", state="refused")
    assert (refused.lift, refused.closed, refused.inside) == (40.0, 0.0, None)
    even = {**week.worth, "best": 140.0}
    assert week_of(0, worth=even).closed is None


def test_weeks_add_up_and_are_drawn(tmp_path):
    weeks = (week_of(0), week_of(1, lived="operator", state="refused"), week_of(2))
    result = LoopResult(tmp_path, weeks, "USD", tmp_path / "loop.svg")
    assert result.closed() == pytest.approx((0.8 + 0.0 + 0.8) / 3)
    facts = dict(result.tables()[-1].rows)
    assert facts["way from the operator's rule to the truth known"] == "53%"
    assert facts["promised over true lift, mean"] == "0.75"
    assert facts["lifts inside their intervals"] == "3 of 3"
    assert facts["weeks without an approved plan"] == "1"
    found = result.to_json()["weeks"]
    assert [item["regret"] for item in found] == [10.0, 50.0, 10.0]
    json.dumps(found)
    from xml.etree import ElementTree

    from dagcast.workflow.common._loop_result import drawing

    svg = ElementTree.fromstring(drawing(weeks, "USD"))
    lines = [item for item in svg if item.tag.endswith("polyline")]
    assert len(lines) == 5
    # The highest line lies highest: y grows downwards.
    ends = [float(line.get("points").split()[-1].split(",")[1]) for line in lines]
    assert ends[-1] == min(ends)


class World:
    """A market of one cell: what is spent up to 3 is worth ten times as much."""

    carries_out = ("spend",)

    def operator_decisions(self):
        return frame(1.0)

    def best_decisions(self, weights, *, budget, start, evaluations):
        assert (dict(weights), budget, evaluations) == ({"profit": 1.0}, 4.0, 7)
        return frame(3.0)

    def worth(self, decisions, weights, *, replications):
        return float((10 * decisions["value"].clip(upper=3.0)).sum())


def frame(value, start=START):
    return pd.DataFrame({"lever": ["spend"], "hour": [start], "value": [value]})


@pytest.fixture
def market(monkeypatch, tmp_path):
    """A loop whose stages leave what the loop goes by; `killed` ends it before a play."""
    state = SimpleNamespace(number=0, refuse=set(), killed_at=None, asked=[])

    def simulate(folder, **options):
        config = Config.model_validate({"objective": {"weights": {"profit": 1.0}, "unit": "USD"}})
        create_project(folder, config)

    def lived(project):
        return len(list(project.events.glob("played-*")))

    def week(project, *, progress):
        number = lived(project)
        state.asked.append(number)
        start = (START + pd.Timedelta(weeks=number)).isoformat()
        found = Position("waiting", "approve", "", start, start, "fit", f"plan-{number + 1:04d}")
        return week_result(project.folder, found)

    def approve(project, plan, **given):
        if lived(project) in state.refuse:
            raise GateError("a", "b", "c")

    def play(project, *, instead=None, progress):
        number = lived(project)
        if number == state.killed_at:
            raise KeyboardInterrupt
        (project.events / f"played-{START + pd.Timedelta(weeks=number):%Y-%m-%d}").mkdir()

    fakes = {
        "simulate": simulate,
        "week": week,
        "approve": approve,
        "play": play,
        "_world": lambda project: World(),
        "_experiments": lambda project: 8,
        "ingest": lambda project, progress: None,
        "promises": lambda project, progress: SimpleNamespace(
            promises=[SimpleNamespace(plan="plan-0001", over="", held=True)]
        ),
        "promised_lift": lambda project, plan: (20.0, 10.0, 25.0),
        "whole_budget": lambda project, plan: 4.0,
        "load_decisions": lambda project, plan: frame(2.0),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(_loop, name, fake)
    state.run = lambda weeks=3, **more: _loop.loop(
        tmp_path / "p", weeks=weeks, evaluations=7, **more
    )
    return state


def test_each_week_is_judged_before_it_is_lived_through(market):
    market.refuse = {1}
    result = market.run()
    assert [week.lived for week in result.weeks] == ["plan", "operator", "plan"]
    assert [week.closed for week in result.weeks] == [0.5, 0.0, 0.5]
    assert [week.state for week in result.weeks] == ["approved", "refused", "approved"]
    assert result.weeks[0].worth == {
        "operator": 10.0, "plan": 20.0, "static": 20.0, "none": 0.0, "best": 30.0,
    }  # fmt: skip
    assert result.weeks[0].kept == (1, 1)
    assert result.figure.is_file()


def test_killed_loop_goes_on_and_judges_no_week_twice(market):
    market.killed_at = 1
    with pytest.raises(KeyboardInterrupt):
        market.run()
    market.killed_at = None
    result = market.run()
    assert [week.plan for week in result.weeks] == ["plan-0001", "plan-0002", "plan-0003"]
    assert market.asked == [0, 1, 2]
    # Nothing more is lived through, and further weeks may be asked for.
    assert len(market.run().weeks) == 3
    assert len(market.run(4).weeks) == 4
    assert market.asked == [0, 1, 2, 3]


def test_another_market_or_project_is_refused(market, tmp_path):
    market.run(1)
    with pytest.raises(UsageError, match=r"the market with which the loop .* \(seed 0\)"):
        market.run(1, seed=5)
    create_project(tmp_path / "other", Config())
    with pytest.raises(ProjectError, match="a missing or empty folder, or a loop"):
        _loop.loop(tmp_path / "other")


def test_market_that_judges_nothing_is_named(monkeypatch, tmp_path):
    monkeypatch.undo()
    project = create_project(tmp_path / "p", Config())
    factory = SimpleNamespace(name="coins")
    monkeypatch.setattr(_loop, "open_world", lambda project: (object(), factory, 0))
    with pytest.raises(ProjectError, match="found coins, which does not"):
        _loop._world(open_project(Path(project.folder), environment={}))
