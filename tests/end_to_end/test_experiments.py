"""Measured effects are registered from figures or from raw rows, listed and shown."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dagcast import cli, workflow
from dagcast.errors import UsageError
from dagcast.plugins import load_plugins
from dagcast.project import create_project, open_project
from dagcast.vocabulary import first_config
from dagcast.workflow.common._assembled import experiments
from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.estimate import RawTrial, measure_rows

PAGE = Path(__file__).parents[2] / "docs/how-to/register-an-experiment.md"
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory, same_events):
    """A project with the events of three regions."""
    folder = tmp_path_factory.mktemp("experiments") / "north"
    project = create_project(folder, first_config(load_plugins()))
    shutil.copytree(same_events, project.events / "history")
    workflow.ingest(project)
    return folder


@pytest.fixture
def north(tmp_path, ingested, monkeypatch):
    """A copy of it, and the page's files beside it."""
    shutil.copytree(ingested, tmp_path / "north")
    project = open_project(tmp_path / "north", environment={})
    monkeypatch.chdir(tmp_path)
    toml, counted = blocks("toml")
    (tmp_path / "boost.toml").write_text(toml)
    (tmp_path / "streak.toml").write_text(counted)
    rng = np.random.default_rng(1)
    rows = [
        (region, window // 2, window, hour, (window + k) % 2)
        for k, region in enumerate(("NYC", "LAX"))
        for window in range(12)
        for hour in range(6)
    ]
    frame = pd.DataFrame(rows, columns=["region", "pair", "window", "since", "treated"])
    frame["incremental_driver_hours"] = 2.0 * frame["treated"] + 0.2 * rng.normal(size=len(rows))
    frame.to_csv(tmp_path / "streak.csv", index=False)
    return project


def test_page_registers_from_figures_and_from_rows(north, capsys):
    (console,) = blocks("console")
    for line in console.splitlines():
        assert cli.run(line.removeprefix("$ dagcast ").split()) == 0, capsys.readouterr().err
    assert "boost-hours" in capsys.readouterr().out
    found = {item.name: item for item in workflow.list_experiments(north).items}
    assert found["boost-hours"].estimate == 1.4
    rows = pd.read_csv("streak.csv")
    trial = RawTrial(
        "switchback", "incremental_driver_hours", "treated", ("region", "window"),
        pairs=("region", "pair"), groups=("region", "window"), since="since", washout=3.0,
    )  # fmt: skip
    same = measure_rows(rows, trial)
    streak = found["streak-hours"]
    assert (streak.estimate, streak.standard_error, streak.degrees_of_freedom) == (
        same.estimate, same.standard_error, same.degrees_of_freedom,
    )  # fmt: skip
    assert "CR2 clustered by region, pair" in streak.provenance
    assert "randomisation test p = " in streak.provenance
    entry = north.journal.entries()[-1]
    assert (entry.event, entry.details["experiments"]) == ("registered", ["streak-hours"])
    assert entry.details["rows"]["streak-hours"][0] == "streak.csv"


def test_what_is_registered_is_what_the_models_are_held_to(north):
    workflow.add_experiments(north, Path("boost.toml"), who="ana", why="trial of January")
    again = open_project(north.folder, environment={})
    shown = workflow.show_experiment(again, "boost-hours")
    facts = dict(shown.facts)
    assert facts["treatment"] == "set incentive_spend (incentive boost) to 4"
    assert facts["regions"] == "NYC, LAX"
    assert facts["expected without it"] == "not validated yet"
    assert workflow.ingest(again).experiments == 1
    with pytest.raises(UsageError, match="Did you mean 'boost-hours'"):
        workflow.show_experiment(again, "bost-hours")


def changed(old, new):
    path = Path("boost.toml")
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value = 4.0", "value = -4.0", "incentive_spend within its bounds"),
        ('"LAX"', '"lax"', "labels of region in boost-hours that the store knows"),
        ('outcome = "incremental', 'outcome = "incidental', "experiments about what models say"),
        ("standard_error = 0.3", "standard_error = 0.0", "expected a positive number"),
        ("estimate = 1.4 ", "# ", "no 'estimate'"),
        ("estimate = 1.4", "estimate = ", "Invalid value"),
        ("2026-01-12T03", "2026-01-12T00", "before they start"),
    ],
)
def test_wrong_experiment_is_refused_and_nothing_is_kept(north, old, new, words):
    if "T00" in new:
        changed("2026-01-12T00", "2026-01-12T02")
        changed("2026-01-12T03", "2026-01-12T01")
    else:
        changed(old, new)
    before = sorted(north.folder.rglob("*")), len(north.journal.entries())
    with pytest.raises(UsageError, match=words):
        workflow.add_experiments(north, Path("boost.toml"))
    assert (sorted(north.folder.rglob("*")), len(north.journal.entries())) == before


def test_what_was_registered_is_not_replaced(north, capsys):
    workflow.add_experiments(north, Path("boost.toml"))
    with pytest.raises(UsageError, match="'boost-hours', which is"):
        workflow.add_experiments(north, Path("boost.toml"))
    assert cli.run(["experiments", "add", "boost.toml", "--project", "north"]) == 2
    assert capsys.readouterr().err.startswith("dagcast: expected an experiment that is not")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('file = "streak.csv"', 'file = "other.csv"', "cannot be read"),
        ('since = "since"', 'since = "hours"', "no column 'hours'"),
        ("washout = 3.0", "wash = 3.0", "rows with 'wash'; they know before"),
        ('design = "switchback"', 'design = "switchback"\nestimate = 1.0', "both raw rows and"),
    ],
)
def test_wrong_rows_are_refused_in_one_paragraph(north, old, new, words):
    path = Path("streak.toml")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UsageError, match=words):
        workflow.add_experiments(north, path)


def test_a_set_keeps_its_covariances_and_json_is_json(north, capsys):
    workflow.add_experiments(north, Path("boost.toml"))
    (item,) = workflow.list_experiments(north).items
    one = Experiment.from_json({**item.to_json(), "name": "twin-a", "group": "twins"})
    other = Experiment.from_json({**one.to_json(), "name": "twin-b", "outcome": "driver_hours"})
    twins = ExperimentSet((one, other), {"twins": [[0.09, 0.05], [0.05, 0.09]]})
    Path("set.json").write_text(json.dumps(twins.to_json()))
    added = workflow.add_experiments(north, Path("set.json"))
    assert [item.name for item in added.items] == ["twin-a", "twin-b"]
    assert experiments(north).covariances == twins.covariances
    capsys.readouterr()
    assert cli.run(["experiments", "list", "--project", "north", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {item["name"] for item in found["experiments"]} == {"boost-hours", "twin-a", "twin-b"}
