"""A label that appears for the first time is set aside until somebody accepts it."""

import json

from dagcast import workflow
from dagcast.cli import run
from dagcast.project import open_project
from dagcast_core.data import MetricStore

HEADER = (
    "session_id,region,opened_at,known_at,eta_min,prime_time,requested,completed,fare,driver_pay"
)


def delivery(folder, first, region):
    day = "2026-01-05"
    rows = [
        f"{first + k},{region},{day}T{k:02d}:10:00Z,{day}T{k:02d}:12:00Z,4,0,true,true,9,6"
        for k in range(3)
    ]
    folder.mkdir()
    (folder / "sessions.csv").write_text("\n".join([HEADER, *rows]) + "\n")


def test_rows_of_a_new_region_enter_once_it_is_accepted(tmp_path, capsys):
    folder = tmp_path / "market"
    workflow.init(folder)
    project = open_project(folder, environment={})
    delivery(project.events / "first", 1, "SFO")
    assert workflow.ingest(project).counts[0].accepted == 3
    delivery(project.events / "second", 11, "LAX")
    found = workflow.ingest(project)
    assert (found.counts[0].accepted, sum(found.counts[0].quarantined.values())) == (0, 3)
    # Nothing of the delivery could be used: that is no success.
    assert found.exit_code() == 1
    assert "`dagcast data accept region LAX` takes it" in str(found)
    assert run(["data", "accept", "region", "LAX", "--project", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == ["LAX"]
    again = workflow.ingest(project)
    assert again.exit_code() == 0
    labels = MetricStore(project.store).labels()
    assert labels["region"] == ("LAX", "SFO")


def test_a_dim_that_no_table_has_is_named(tmp_path, capsys):
    folder = tmp_path / "market"
    workflow.init(folder)
    delivery(folder / "events" / "first", 1, "SFO")
    workflow.ingest(open_project(folder, environment={}))
    assert run(["data", "accept", "vehicle", "van", "--project", str(folder)]) == 2
    assert "'vehicle'" in capsys.readouterr().err
