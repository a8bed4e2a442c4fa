"""``dagcast check``, as typed, when a team's package is missing."""

import json

import pytest

from dagcast.cli import run
from dagcast.plugins import load_plugins
from dagcast.project import create_project
from dagcast.vocabulary import first_config
from dagcast_core.contract import Arm, Cells, Change, Experiment

MISSING = {
    "sessions": {"sessions"},
    "driver-hours": {"driver_hours"},
    "eta": {"eta"},
    "pricing": {"profit", "rides", "prime_time"},
    "incentives": {"incentive_spend"},
}
BONUS_PAUSE = Experiment(
    "bonus-pause",
    ("incentive_spend",),
    "driver_hours",
    cells=Cells(("north",), "2026-01-05T00:00Z", "2026-01-05T05:00Z", dim="region"),
    treatment=Arm("none", (Change("incentive_spend", "set", 0.0),)),
    estimate=-1.0,
    standard_error=0.1,
)


@pytest.mark.parametrize("team", list(MISSING))
def test_missing_team_is_one_line_per_quantity_with_a_remedy(team, tmp_path, capsys):
    project = create_project(tmp_path / "p", first_config(load_plugins()))
    folder = project.folder
    # Its path goes through incentives: no second problem beside the lever's lost effect.
    (project.events / "experiments.json").write_text(json.dumps([BONUS_PAUSE.to_json()]))
    assert run(["check", "--project", str(folder)]) == 0
    capsys.readouterr()
    assert run(["check", "--project", str(folder), "--disable", team]) == 3
    captured = capsys.readouterr()
    lines = [line for line in captured.out.splitlines() if line.startswith("DC")]
    assert {line.split("'")[1] for line in lines} == MISSING[team]
    assert len(lines) == len(MISSING[team])
    assert all(" fix: " in line for line in lines)
    assert captured.err == ""
