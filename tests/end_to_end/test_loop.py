"""The whole loop on a tiny marketplace, with the installed team packages and the simulator."""

import hashlib
import json

import pytest
import torch

from dagcast import workflow
from dagcast.cli import run
from dagcast.errors import PlanStateError, ProjectError
from dagcast.project import open_project

torch.set_num_threads(1)

SETTINGS = {
    "backtest.origins": "1",
    "backtest.workers": "1",
    "uncertainty.draws": "8",
}


def tree(folder):
    """Every file below with its content's hash; the store's cache may grow with any read."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "cache" not in path.parts
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's results, and the project it leaves behind."""
    folder = tmp_path_factory.mktemp("loop") / "project"
    shown = []
    result = workflow.demo(
        folder, regions=3, weeks=6, seed=3, flags=SETTINGS, on_result=shown.append
    )
    return result, shown


@pytest.fixture
def project(demo):
    return open_project(demo[0].folder, flags=SETTINGS, environment={})


def test_every_stage_ran_and_showed_its_figures(demo):
    result, shown = demo
    assert len(shown) == len(result.seconds) == 12
    for stage in shown:
        assert stage.tables()
        json.dumps(stage.to_json())


def test_bad_rows_are_counted_and_set_aside(demo):
    sessions = next(item for item in demo[0].ingested.counts if item.table == "sessions")
    assert sessions.read == sessions.accepted + sessions.duplicates + sum(
        sessions.quarantined.values()
    )
    assert sessions.late > 0
    assert sessions.quarantined["unknown region"] > 0


def test_fit_converges_and_names_every_model(demo):
    report = demo[0].fitted.report
    assert report.status == "converged"
    assert {"incentives", "driver-hours", "eta", "rides"} <= set(report.members)
    assert len(demo[0].validated.rows) == len(report.experiments) > 5


def test_plan_keeps_its_limits_and_beats_no_spend(demo):
    summary = demo[0].planned.summary
    assert summary.status in ("optimal", "feasible")
    assert summary.worst_violation < 1e-5
    for row in (*summary.budgets, *summary.guardrails):
        excess = row.used - row.limit if row.sense == "<=" else row.limit - row.used
        assert excess <= 1e-4 * abs(row.limit), row
    assert summary.total == pytest.approx(
        workflow_decisions(demo[0].folder, summary.plan)["usd"].sum()
    )


def workflow_decisions(folder, plan):
    from dagcast.workflow._plan_files import load_decisions

    return load_decisions(open_project(folder, environment={}), plan)


def test_regret_is_the_sum_of_its_parts(demo):
    found = demo[0].retro.hindsight
    parts = found.execution_gap + sum(item.value for item in found.shares)
    assert parts == pytest.approx(found.regret, abs=1e-6 * max(1.0, abs(found.attainable)))
    assert found.attainable > 0
    assert found.share == pytest.approx(found.regret / found.attainable)


def test_pages_hold_the_figures_and_fetch_nothing(demo):
    for page in (demo[0].reviewed.page, demo[0].retro.page):
        text = page.read_text()
        assert "default-src 'none'" in text
        # plotly's own script names its home in texts; no element of the page does.
        own = text[: text.index("<script>")]
        assert "http://" not in own
        assert "https://" not in own
    review = demo[0].reviewed.page.read_text()
    assert f"Spend ${demo[0].planned.summary.total:,.0f} on driver incentives" in review
    for region in ("budgets", "guardrails"):
        for row in getattr(demo[0].planned.summary, region):
            assert row.label in review


def test_log_tells_who_did_what(project):
    events = [entry.event for entry in project.journal.entries()]
    assert events == [
        "created",
        "simulated",
        "ingested",
        "fitted",
        "validated",
        "backtested",
        "proposed",
        "reviewed",
        "approved",
        "played",
        "ingested",
        "looked back",
    ]


def test_ingesting_again_changes_nothing(project):
    before = tree(project.folder)
    result = workflow.ingest(project)
    assert result.counts == ()
    assert tree(project.folder) == before


def test_replay_gives_the_same_plan(project, demo):
    again = workflow.replay(project, demo[0].planned.summary.plan)
    first = demo[0].planned.summary
    assert again.summary.total == pytest.approx(first.total, rel=1e-9)
    for name, (estimate, _, _) in ((q, arms["plan"]) for q, arms in again.totals.items()):
        assert estimate == pytest.approx(demo[0].planned.totals[name]["plan"][0], rel=1e-9)


@pytest.fixture
def as_planned(demo):
    """The project as it stood when the plan was made: nothing later is known."""
    moment = demo[0].planned.summary.provenance["data_moment"].replace("+00:00", "Z")
    flags = {**SETTINGS, "data.as_of": moment, "horizon.start": moment}
    return open_project(demo[0].folder, flags=flags, environment={})


def test_own_proposal_is_judged_like_a_plan(as_planned, tmp_path, demo):
    plan = demo[0].planned
    cells = tmp_path / "mine.csv"
    workflow_decisions(as_planned.folder, plan.summary.plan).to_csv(cells, index=False)
    before = tree(as_planned.folder)
    result = workflow.what_if(as_planned, cells)
    assert result.summary.total == pytest.approx(plan.summary.total)
    expected = plan.totals["profit"]["plan"][0]
    assert result.totals["profit"]["plan"][0] == pytest.approx(expected, rel=1e-6)
    assert result.summary.worst_violation < 1e-4
    assert tree(as_planned.folder) == before


def test_plan_beyond_the_calendar_is_refused(project):
    before = tree(project.folder)
    with pytest.raises(ProjectError, match="Ingest a calendar that covers the horizon"):
        workflow.plan(project)
    assert tree(project.folder) == before


def test_approved_plan_cannot_be_edited_or_approved_again(project):
    before = tree(project.folder)
    with pytest.raises(PlanStateError):
        workflow.approve(project, "plan-0001")
    with pytest.raises(PlanStateError):
        workflow.edit(project, "plan-0001", scale=0.5, why="less")
    with pytest.raises(ProjectError, match="still ahead"):
        workflow.play(project)
    assert tree(project.folder) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["backtest", "--quantity", "sesions"], "Did you mean 'sessions'"),
        (["what-if", "{folder}/dagcast.toml"], "a CSV or Parquet file"),
        (["review", "--plan", "plan-9"], "'plan-9'"),
        (["plan", "--set", "objective.weights={profits=1.0}"], "profits"),
        (["ingest", "--from", "{folder}/nowhere"], "a folder of event files"),
        (["ingest", "--from", "{folder}/bad"], "cannot ingest"),
    ],
)
def test_bad_input_is_one_paragraph_and_changes_nothing(demo, project, capsys, arguments, expected):
    moment = demo[0].planned.summary.provenance["data_moment"].replace("+00:00", "Z")
    then = ["--set", f"data.as_of={moment}", "--set", f"horizon.start={moment}"]
    bad = project.folder / "bad"
    bad.mkdir(exist_ok=True)
    (bad / "sessions.parquet").write_bytes(b"not parquet")
    before = tree(project.folder)
    filled = [word.replace("{folder}", str(project.folder)) for word in arguments]
    code = run([*filled, "--project", str(project.folder), *then])
    captured = capsys.readouterr()
    assert code in (2, 3)
    assert expected in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert tree(project.folder) == before
