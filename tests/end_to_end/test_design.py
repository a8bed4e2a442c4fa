"""A switchback is designed from the history of its outcome, as the page on it says."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dagcast import cli, workflow
from dagcast.errors import UsageError
from dagcast.project import open_project

DESIGN = Path(__file__).parents[2] / "docs/how-to/design-a-switchback.md"


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """A market of three regions and six weeks."""
    folder = tmp_path_factory.mktemp("design") / "north"
    workflow.simulate(folder, regions=3, weeks=6, seed=5)
    workflow.ingest(open_project(folder, environment={}))
    return folder


@pytest.fixture
def north(tmp_path, ingested, monkeypatch):
    """A copy of it, in the current folder."""
    shutil.copytree(ingested, tmp_path / "north")
    monkeypatch.chdir(tmp_path)
    return open_project(tmp_path / "north", environment={})


def test_page_on_design_runs_and_its_schedule_is_the_trial(north, capsys):
    consoles = re.findall(r"```console\n(.*?)```", DESIGN.read_text("utf-8"), re.DOTALL)
    for line in "".join(consoles).splitlines():
        assert cli.run(line.removeprefix("$ dagcast ").split()) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "found in 80 %" in shown
    assert "power at 3" in shown
    rows = pd.read_csv("trial.csv", parse_dates=["start", "counts_from", "end"])
    assert len(rows) == 12 * rows["region"].nunique()
    assert rows.groupby(["region", "pair"])["treated"].sum().eq(1).all()
    assert (rows["end"] - rows["start"] == pd.Timedelta(hours=28)).all()
    # As long as the bonus works on: the memory of the incentives' model.
    assert (rows["counts_from"] - rows["start"] == pd.Timedelta(hours=8)).all()
    first, second = (rows[rows["window"] == k].set_index("region") for k in (0, 1))
    assert (first["end"] == second["start"]).all()
    assert str(rows["start"].min()) == "2026-03-02 00:00:00+00:00"
    before = Path("trial.csv").read_bytes()
    with pytest.raises(UsageError, match="not there yet"):
        workflow.design(north, "driver_hours", windows=(28,), draws=50, schedule=Path("trial.csv"))
    assert Path("trial.csv").read_bytes() == before


def test_longer_trials_find_smaller_effects_and_more_washout_larger_ones(north):
    def least(**asked):
        (trial,) = workflow.design(north, "driver_hours", windows=(28,), draws=100, **asked).trials
        return trial.least_effect()

    usual = least(weeks=2)
    assert least(weeks=3) < usual
    assert least(weeks=2, washout=24) > usual


@pytest.mark.parametrize(
    ("outcome", "asked", "words"),
    [
        ("driver_hour", {}, "Did you mean 'driver_hours'"),
        ("incremental_driver_hours", {}, "which is not"),
        ("sessions", {"lever": "incentive_spend"}, "reaches according to the models"),
        ("driver_hours", {"lever": "incentives_spend"}, "Did you mean 'incentive_spend'"),
        ("driver_hours", {"labels": ("NCY",)}, r"observed in \(NYC, OAK, SFO\)"),
        ("driver_hours", {"weeks": 500}, "does not fit a history"),
        ("driver_hours", {"windows": (0,)}, "windows in pairs"),
        ("driver_hours", {"windows": (6,)}, "longer than their washout"),
        ("driver_hours", {"start": "soon"}, "a moment such as"),
        ("driver_hours", {"start": "2026-03-02T00:30"}, "a whole hour"),
        ("driver_hours", {"draws": 1}, "50 draws or more"),
        ("driver_hours", {"windows": (28,), "schedule": Path("no/where.csv")}, "can be written"),
    ],
)
def test_what_is_no_design_is_refused_in_words(north, outcome, asked, words):
    with pytest.raises(UsageError, match=words):
        workflow.design(north, outcome, **{"draws": 50, **asked})
    assert not list(Path().glob("*.csv*"))
