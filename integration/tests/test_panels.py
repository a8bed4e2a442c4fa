"""What packages add to the page of a plan is drawn as the page's own charts."""

from types import ModuleType

import numpy as np
import pytest

from dagcast.plans import Estimate, Outlook, Path3, Reading
from dagcast.plugins import Plugins
from dagcast.plugins._load import _manager
from dagcast.review.plan_page import TeamPanel
from dagcast.review.plan_page._teams import teams
from dagcast.workflow.common._panels import team_panels
from dagcast_core.contract import ReviewPanel
from dagcast_core.hooks import hookimpl
from dagcast_core.tensor import IndexTensor

RIDES = np.array([[4.0, 6.0, 8.0], [1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])


@pytest.fixture
def outlook():
    path = Path3(RIDES, RIDES - 1, RIDES + 1)
    return Outlook(
        "region", ("EWR", "SFO"), "hour",
        tuple(f"2026-03-02T0{hour}:00:00+00:00" for hour in range(3)),
        0.9, 8, 2, {"rides": Reading("Rides", "ride/h", "count", "higher", True, "")}, {},
        {"plan": {"rides": path}}, {"plan": {"rides": Estimate(18.0, 15.0, 21.0)}}, {}, {},
    )  # fmt: skip


def spend(outlook):
    axes = outlook.axes
    indexes = {"kind": ["boost", "streak"], "region": axes.rows, "hour": axes.hours}
    return {"spend": IndexTensor(np.ones((2, 2, 3)) * 2.0, indexes, "spend")}


def installed(*panels, fails=False):
    module = ModuleType("acme_plugin")

    def dagcast_review_panels():
        if fails:
            raise RuntimeError("no table today")
        return list(panels)

    module.dagcast_review_panels = hookimpl(dagcast_review_panels)
    manager = _manager()
    manager.register(module, name="acme")
    return Plugins(manager, (), ())


def test_panel_is_made_of_levers_and_forecasts(outlook):
    def lines(known):
        return {"spend of a ride": known["spend"].sum("kind") / known["rides"]}

    panel = ReviewPanel("Price of a ride", "USD/ride", lines, note="Of boosts and streaks.")
    (drawn,) = team_panels(installed(panel), outlook, spend(outlook))
    assert drawn.failure == ""
    assert np.allclose(drawn.lines["spend of a ride"], 4.0 / RIDES[1:])
    section = teams((drawn,), outlook)
    ((chart,),) = section.blocks
    assert (chart.title, chart.unit, chart.how) == ("Price of a ride", "USD/ride", "mean")
    assert chart.note == "Of boosts and streaks. From acme."
    assert np.allclose(chart.lines[0].values[0], (4.0 / RIDES[1:]).mean(axis=0))
    assert np.allclose(chart.lines[0].values[1:], 4.0 / RIDES[1:])


def test_lines_may_be_added_up_or_shared_by_all_rows(outlook):
    def lines(known):
        return {"each": known["rides"], "all": known["rides"].sum("region")}

    panel = ReviewPanel("Rides", "ride/h", lines, how="sum")
    (drawn,) = team_panels(installed(panel), outlook, {})
    ((chart,),) = teams((drawn,), outlook).blocks
    each, shared = (line.values for line in chart.lines)
    assert np.allclose(each[0], RIDES[0])
    assert np.allclose(shared[0], RIDES[0])
    assert np.isnan(shared[1:]).all()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (lambda known: known["fares"], "KeyError: 'fares'"),
        (lambda known: {"spend": known["spend"]}, "found 'kind', 'region', 'hour'"),
        (lambda known: {}, "expected 1 to 5 lines; found 0"),
        (lambda known: {str(k): known["rides"] for k in range(6)}, "found 6"),
        (None, "TypeError"),
    ],
)
def test_panel_that_fails_is_named_and_the_others_stay(outlook, lines, said):
    good = ReviewPanel("Rides", "ride/h", lambda known: {"rides": known["rides"]})
    found = team_panels(installed(ReviewPanel("Bad", "1", lines), good), outlook, spend(outlook))
    assert said in found[0].failure
    assert found[1].failure == ""
    charts, text = teams(found, outlook).blocks
    assert len(charts) == 1
    assert text.text.startswith("The panel 'Bad' of acme could not be drawn: ")


def test_hook_that_fails_and_hook_that_is_missing(outlook):
    (found,) = team_panels(installed(fails=True), outlook, {})
    assert found == TeamPanel("acme", "", "", failure="RuntimeError: no table today")
    assert teams((), outlook) is None
    assert team_panels(Plugins(_manager(), (), ()), outlook, {}) == ()


def test_cells_that_nobody_knows_stay_unknown(outlook):
    lines = {"x": np.array([[np.nan, 1.0, np.nan], [np.nan, 3.0, 5.0]])}
    ((chart,),) = teams((TeamPanel("acme", "X", "1", lines),), outlook).blocks
    assert np.isnan(chart.lines[0].values[0][0])
    assert chart.lines[0].values[0][1:].tolist() == [2.0, 5.0]
