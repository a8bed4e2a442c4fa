"""The whole loop on a tiny marketplace, with the installed team packages and the simulator."""

import contextlib
import hashlib
import json
import shutil
import signal
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast import workflow
from dagcast.cli import run
from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.journal import Journal
from dagcast.plans import Outlook
from dagcast.project import open_project
from dagcast.workflow import FitResult
from dagcast.workflow._release import true_regret
from dagcast.workflow.common._fits import fit_collection
from dagcast.workflow.common._horizon import at_origin, read_context
from dagcast.workflow.common._plan_files import load_decisions
from dagcast.workflow.common._seal import SEAL, seal
from dagcast.workflow.common._session import open_session
from dagcast.workflow.common._worlds import open_world
from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_core.decide import Plan
from dagcast_core.model import ExperimentError
from dagcast_core.solver.problem._oracle import Oracle
from dagcast_core.tensor import IndexTensor, Panel

torch.set_num_threads(1)

SETTINGS = {
    # However slow the machine: the time limit ends no plan.
    "solver.seconds": "600",
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


def test_fit_and_validate_give_one_verdict(demo):
    fitted = {item.name: item for item in demo[0].fitted.report.experiments}
    for row in demo[0].validated.rows:
        known = fitted[row.experiment]
        assert row.verdict == known.left_out.verdict
        assert (row.standard_error, row.measured) == (known.standard_error, known.estimate)
        assert row.z == pytest.approx(known.z, abs=1e-6)


def with_changed(session, **changes):
    """The session with one experiment of another content, as a corrected file would give it."""
    first = next(e for e in session.experiments if e.outcome == "incremental_driver_hours")
    fresh = Experiment.from_json({**first.to_json(), **changes})
    items = tuple(fresh if item is first else item for item in session.experiments)
    known = ExperimentSet(items, session.experiments.covariances)
    return first, replace(session, experiments=known)


def test_experiment_of_the_wrong_sign_is_said_first_with_what_it_moved(project):
    session = open_session(project)
    first, changed = with_changed(session, estimate=-4.1, standard_error=0.1)
    _, report = fit_collection(changed)
    assert report.contradicting[0].experiment == first.name
    text = str(report.contradicting[0])
    assert "measured -4.1" in text
    assert "with the other sign" in text
    assert "moved " in text
    table = FitResult(project.folder, "fit-0009", report, 0).tables()[0]
    assert table.title == "Experiments that contradict the models"
    assert table.rows[0] == (text,)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"treatment": -5.0}, "lower bound is 0"),
        ({"regions": "early"}, "nothing was observed in region"),
    ],
)
def test_impossible_experiment_is_refused_before_anything_is_fitted(project, changes, words):
    session = open_session(project)
    first = next(e for e in session.experiments if e.outcome == "incremental_driver_hours")
    given = first.to_json()
    if "treatment" in changes:
        given["treatment"]["changes"][0]["value"] = changes["treatment"]
    else:
        # A region is known by name, and by nothing else, before it opens.
        region = given["cells"]["regions"][0]
        session = closed_until(session, region, pd.Timestamp(first.cells.end))
    _, changed = with_changed(session, **given)
    with pytest.raises(ExperimentError, match=words) as error:
        fit_collection(changed)
    assert first.name in str(error.value)


def closed_until(session, region, moment):
    """A session in whose history nothing was observed of a region up to a moment."""

    class Closed(type(session)):
        def history(self, times=None):
            panel = super().history(times)
            made = {q for item in self.assembly.registrations for q in item.contract.output_names}
            changed = {}
            for name in made & set(panel):
                tensor = panel[name]
                late = tensor.index("hour") > moment
                mask = np.asarray(tensor.index("region") != region)[:, None] | np.asarray(late)
                values = np.where(mask, tensor.values("region", "hour").numpy(), np.nan)
                index = {dim: tensor.index(dim) for dim in ("region", "hour")}
                changed[name] = IndexTensor(values, index, name)
            return panel.assign(changed)

    return Closed(**{f.name: getattr(session, f.name) for f in fields(session)})


def test_experiment_from_before_the_window_counts(project):
    """Three weeks of history, experiments that began before: taken where they ran, widened."""
    named = open_project(
        project.folder, flags={**SETTINGS, "data.history_weeks": "3"}, environment={}
    )
    session = open_session(named)
    early = [e for e in session.experiments if pd.Timestamp(e.cells.start) < session.times.first]
    assert early
    _, report = fit_collection(session)
    assert report.notes == ()
    by_name = {item.name: item for item in report.experiments}
    assert all(item.name in by_name for item in early)
    assert all(by_name[item.name].factors.recency > 0 for item in early)


def test_plan_keeps_its_limits_and_beats_no_spend(demo):
    summary = demo[0].planned.summary
    assert summary.status in ("optimal", "feasible")
    assert summary.worst_violation < 1e-5
    for row in (*summary.budgets, *summary.guardrails):
        excess = row.used - row.limit if row.sense == "<=" else row.limit - row.used
        assert excess <= 1e-4 * abs(row.limit), row
    decided = workflow_decisions(demo[0].folder, summary.plan)
    assert summary.spent["USD"][0] == pytest.approx(decided["value"].sum())


def workflow_decisions(folder, plan):
    from dagcast.workflow.common._plan_files import load_decisions

    return load_decisions(open_project(folder, environment={}), plan)


def test_regret_is_the_sum_of_its_parts(demo):
    found = demo[0].retro.hindsight
    parts = found.execution_gap + sum(item.value for item in found.shares)
    assert parts == pytest.approx(found.regret, abs=1e-6 * max(1.0, abs(found.attainable)))
    assert found.attainable > 0
    assert found.share == pytest.approx(found.regret / found.attainable)


def test_retrospective_begins_with_what_was_promised_and_got(demo):
    """Against the store itself: sums of what was observed in the week."""
    found, outlook = demo[0].retro.hindsight, demo[0].planned
    assert demo[0].retro.tables()[0].title == "plan-0001: promised and got"
    promises = {(item.quantity, item.row): item for item in found.promises}
    session = open_session(open_project(demo[0].folder, flags=SETTINGS, environment={}))
    last = session.times.last
    rides = session.store.read(
        ["rides"], start=last - pd.Timedelta(hours=167), end=last, as_of=last + pd.Timedelta("30D")
    )["rides"]
    whole = promises["rides", ""]
    assert whole.happened == pytest.approx(float(rides.sum().item()))
    assert (whole.mid, whole.low, whole.high) == pytest.approx(outlook.totals["rides"]["plan"])
    for region in rides.index("region"):
        own = promises["rides", region]
        assert own.happened == pytest.approx(float(rides.sel(region=region).sum().item()))
    assert {item.over for item in found.lifts} == {"none", "current"}
    executed = {item.quantity: item.happened for item in found.outcomes}
    lift = next(x for x in found.lifts if (x.quantity, x.over) == ("rides", "none"))
    assert 0 < lift.happened < executed["rides"]


def test_promises_of_past_weeks_are_counted(project, capsys):
    found = workflow.promises(project)
    weeks = [item for item in found.promises if not item.over]
    held = sum(item.held for item in weeks)
    assert found.words.startswith(f"{held} of {len(weeks)} kept (")
    assert {item.by for item in found.counts} >= {"outcome, all together", "day ahead, cells"}
    days = [item for item in found.counts if item.by == "day ahead, cells"]
    assert [item.label for item in days] == [str(day) for day in range(1, 8)]
    assert found.levers[0].planned == pytest.approx(found.levers[0].carried_out, rel=0.05)
    assert len(found.frame()) == len(found.promises)
    assert run(["promises", "--json", "--project", str(project.folder)]) == 0
    assert json.loads(capsys.readouterr().out)["words"] == found.words


def test_next_week_has_the_limits_of_the_first_and_knows_past_promises(copied):
    """What the first plan spent moves no limit of the second."""
    first = open_plan_summary(copied, "plan-0001")
    second = workflow.plan(copied).summary
    one, two = (
        {(row.name, row.label): row.limit for row in (*found.budgets, *found.guardrails)}
        for found in (first, second)
    )
    assert two == pytest.approx(one, rel=1e-9)
    assert second.provenance["reference"] == first.provenance["horizon"][0]
    page = workflow.review(copied, second.plan).page.read_text()
    assert "Past promises" in page
    # The first plan is looked at again with the limits that it had.
    assert workflow.replay(copied, "plan-0001").replay_error == pytest.approx(0.0, abs=1e-9)


def open_plan_summary(project, name):
    from dagcast.plans import PlanSummary

    return PlanSummary.load(project.plans / name)


def test_plan_says_first_what_its_effects_stand_on(demo):
    result = demo[0].planned
    (first, words), *_ = result.tables()[0].rows
    assert first == "evidence"
    assert words.endswith("of the money")
    lines = result.summary.evidence.lines
    assert {line.label for line in lines} == {"boost", "guarantee", "streak"}
    spent = sum(line.amount for line in lines)
    assert spent == pytest.approx(result.summary.spent["USD"][0])
    for line in lines:
        assert line.measured + line.history + line.prior == pytest.approx(line.amount)


def test_share_that_may_go_unmeasured_is_kept_by_the_plan(copied):
    flags = {**SETTINGS, "evidence.max_unmeasured_share": "0.0"}
    careful = open_project(copied.folder, flags=flags, environment={})
    found = workflow.plan(careful).summary
    assert found.evidence.unmeasured(found.readings) == pytest.approx(0.0, abs=1e-9)
    bold = workflow.edit(careful, found.plan, scale=1.5, why="more").summary
    with pytest.raises(GateError, match="goes where no fresh trial measured the effect"):
        workflow.approve(careful, bold.plan)


def test_pages_hold_the_figures_and_fetch_nothing(demo):
    for page in (demo[0].reviewed.page, demo[0].retro.page):
        text = page.read_text()
        assert "default-src 'none'" in text
        # An SVG element is made in its namespace, which is a name and no address that is asked.
        own = text.replace('"http://www.w3.org/2000/svg"', "")
        assert "http://" not in own
        assert "https://" not in own
    review = demo[0].reviewed.page.read_text()
    spent, _ = demo[0].planned.summary.spent["USD"]
    assert f"Incentive spend of ${spent:,.0f}: profit $" in review
    for region in ("budgets", "guardrails"):
        for row in getattr(demo[0].planned.summary, region):
            assert row.label in review


def test_what_is_exported_is_what_was_planned(project, demo, tmp_path):
    name, spent = "plan-0001", demo[0].planned.summary.spent["USD"][0]
    for form in ("csv", "parquet", "json"):
        file = tmp_path / f"plan.{form}"
        found = workflow.export(project, name, file=file)
        read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[form](file)
        assert len(read) == found.rows
        assert read["value"].sum() == pytest.approx(spent, rel=1e-9)
        assert (pd.to_datetime(read["hour_local"], utc=True) == pd.to_datetime(read["hour"])).all()
    outlook = Outlook.load(project.plans / name)
    workflow.export(project, name, what="forecasts", file=tmp_path / "f.parquet")
    read = pd.read_parquet(tmp_path / "f.parquet").set_index(["arm", "quantity", "region"])
    rides = read.loc[("plan", "rides", "")]["mid"].sum()
    assert rides == pytest.approx(outlook.totals["plan"]["rides"].mid)
    workflow.export(project, what="totals", file=tmp_path / "t.csv")
    totals = pd.read_csv(tmp_path / "t.csv").set_index(["arm", "what", "quantity"])
    assert totals.loc[("plan", "total", "rides"), "mid"] == pytest.approx(rides)
    with pytest.raises(UsageError, match=r"ends with \.csv, \.parquet, \.json"):
        workflow.export(project, name, file=tmp_path / "plan.xlsx")


def test_response_to_spend_is_what_a_proposal_of_so_much_would_bring(as_planned, tmp_path):
    """The page's level of one half, by two draws of eight, against a forecast of its own."""
    folder = as_planned.plans / "plan-0001"
    outlook = Outlook.load(folder)
    cells = pd.read_parquet(folder / "decisions.parquet")
    file = tmp_path / "half.csv"
    cells.assign(value=0.5 * cells["value"]).to_csv(file, index=False)
    found = workflow.what_if(as_planned, file)
    plan, none = (outlook.paths[arm]["rides"].mid[0].sum() for arm in ("plan", "none"))
    level = outlook.scaled["rides"][outlook.scales.index(0.5)][0].sum()
    assert level == pytest.approx(found.totals["rides"]["plan"][0], abs=0.05 * (plan - none))
    # More than half of the gain: the response is concave, which no line through two points says.
    assert none + 0.5 * (plan - none) < level < plan


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
    assert again.replay_error <= 1e-9
    assert again.exit_code() == 0
    assert again.summary.spent["USD"] == pytest.approx(first.spent["USD"], rel=1e-9)
    for name, (estimate, _, _) in ((q, arms["plan"]) for q, arms in again.totals.items()):
        assert estimate == pytest.approx(demo[0].planned.totals[name]["plan"][0], rel=1e-9)


@pytest.fixture
def as_planned(demo):
    """The project as it stood when the plan was made: nothing later is known."""
    moment = demo[0].planned.summary.provenance["data_moment"].replace("+00:00", "Z")
    flags = {**SETTINGS, "data.as_of": moment, "horizon.start": moment}
    return open_project(demo[0].folder, flags=flags, environment={})


@pytest.fixture
def a_copy(demo, tmp_path):
    """Opens a copy of the project as it stood when the plan was made, under more settings."""
    shutil.copytree(demo[0].folder, tmp_path / "copy")
    moment = demo[0].planned.summary.provenance["data_moment"].replace("+00:00", "Z")

    def opened(**more):
        flags = {**SETTINGS, "data.as_of": moment, "horizon.start": moment, **more}
        return open_project(tmp_path / "copy", flags=flags, environment={})

    return opened


def sealed_again(folder):
    """Make hashes right again, of a plan's files and in the log."""
    log = folder.parents[1] / "log.jsonl"
    entries = Journal(log).entries()
    log.unlink()
    log.with_suffix(".head").unlink()
    (folder / SEAL).unlink(missing_ok=True)
    sealed = seal(folder)
    for entry in entries:
        if entry.plan == folder.name and "seal" in entry.details:
            entry = replace(entry, details={**entry.details, "seal": sealed})
        Journal(log).append(entry)


def test_replay_that_finds_another_plan_fails(a_copy, demo):
    """A plan on disk with one cell moved, its hashes made right again."""
    name = demo[0].planned.summary.plan
    folder = a_copy().folder / "plans" / name / "solved"
    solved = Plan.load(folder)
    spend = solved.decisions["incentive_spend"]
    moved = spend.tensor.clone()
    moved[0, 0, 5] += 1e-6
    shutil.rmtree(folder)
    replace(solved, decisions=Panel(incentive_spend=spend.with_tensor(moved))).save(folder)
    sealed_again(folder.parent)
    again = workflow.replay(a_copy(), name)
    assert again.replay_error > 1e-9
    assert again.exit_code() == 1
    assert any("does NOT agree" in " ".join(row) for row in again.tables()[0].rows)


def test_replay_refuses_other_settings_data_and_packages(a_copy, demo):
    name = demo[0].planned.summary.plan
    with pytest.raises(ProjectError, match="the settings: constraints"):
        workflow.replay(a_copy(ramps="[]"), name)
    with pytest.raises(ProjectError, match="the settings: objective"):
        workflow.replay(a_copy(**{"objective.weights": "{profit=1.0}"}), name)
    folder = a_copy().folder / "plans" / name
    summary = folder / "summary.json"
    text = summary.read_text()

    def write(path, changed):
        path.write_text(changed)
        sealed_again(folder)

    stated = json.loads(text)["provenance"]
    version = f'"dagcast-eta": "{stated["packages"]["dagcast-eta"]}"'
    write(summary, text.replace(version, '"dagcast-eta": "0.0.9"'))
    with pytest.raises(ProjectError, match="dagcast-eta 0.0.9 -> "):
        workflow.replay(a_copy(), name)
    content = stated["contents"]["dagcast-eta"]
    write(summary, text.replace(content, "0" * len(content)))
    with pytest.raises(ProjectError, match="dagcast-eta .* has other content"):
        workflow.replay(a_copy(), name)
    write(summary, text)
    solved = folder / "solved" / "plan.json"
    plan = json.loads(solved.read_text())
    plan["provenance"]["problem"]["context"]["temperature"] = "other"
    plan["provenance"]["problem"]["digest"] = "other"
    write(solved, json.dumps(plan))
    with pytest.raises(ProjectError, match="other the data known at its moment"):
        workflow.replay(a_copy(), name)


def test_cautious_plan_shows_its_draws_rules_and_stability(a_copy):
    project = a_copy(
        **{
            "risk.measure": "cvar",
            "risk.tail": "0.25",
            "fallbacks": '[{quantity = "rides", width = 1.5, share = 0.7}]',
            "guardrails": '[{quantity = "eta", of_recent = 1.3, by = ["region"], '
            'weight = "sessions", chance = 0.8}]',
        }
    )
    result = workflow.plan(project, stability=1)
    summary = result.summary
    assert summary.status in ("optimal", "feasible")
    assert summary.risk == "the objective is the mean of the worst 25% of 8 draws of the parameters"
    assert all(row.kept >= 0.8 for row in summary.guardrails)
    assert any("of 8 draws are 1.6 draws" in text for text in summary.warnings)
    reasons = {reason for _, reason in summary.flagged}
    assert len(reasons) == 1
    assert "rule: 70% of the current plan" in reasons.pop()
    (moved,) = summary.stability.moved.values()
    assert len(moved) == 1
    assert 0 < moved[0] < 1
    # What is compared is this plan, with one that weighs the draws of the earlier fit.
    planned = {row.label: row.planned for row in summary.stability.rows}
    types = [row.label for row in summary.levers]
    assert sum(planned[label] for label in types) == pytest.approx(summary.spent["USD"][0])
    # Flagged cells have the rule's value, give or take what the ramps ask for.
    shown = " ".join(" ".join(row) for table in result.tables() for row in table.rows)
    for words in ("would go elsewhere", "rule: 70%", "worst 25%"):
        assert words in shown
    page = workflow.review(project).page.read_text()
    for words in ("Before you rely on it", "rule: 70% of the current plan", "Kept in draws"):
        assert words in page
    again = workflow.replay(project, summary.plan)
    assert again.replay_error <= 1e-9
    # People overrule a rule: their cells get a reason of their own, the others keep theirs.
    edited = workflow.edit(
        project, summary.plan, scale=0.5, where={"region": ("SFO",)}, why="a strike"
    )
    reasons = {reason for _, reason in edited.summary.flagged}
    assert len(reasons) == 2
    assert "set by people" in reasons
    assert all(
        "SFO" in cells for cells, reason in edited.summary.flagged if reason == "set by people"
    )


def test_interrupted_plan_is_kept_and_ends_with_130(a_copy):
    """Ctrl-C while the optimiser is at its third step."""
    pressed = []

    def progress(message, share=None):
        if message == "optimising, step 3" and not pressed:
            pressed.append(message)
            raise KeyboardInterrupt

    result = workflow.plan(a_copy(), progress=progress)
    assert pressed
    assert result.summary.status == "interrupted"
    assert result.exit_code() == 130
    assert result.summary.worst_violation < 1
    with pytest.raises(ProjectError, match="to be solved to its end"):
        workflow.replay(a_copy(), result.summary.plan)


def pressing(*moments):
    """Progress that presses Ctrl-C at messages, each once for every time it is named."""
    left = list(moments)

    def progress(message, share=None):
        for moment in left:
            if moment in message:
                left.remove(moment)
                raise KeyboardInterrupt

    return progress


def test_interrupt_while_outcomes_are_forecast_loses_no_plan(a_copy):
    result = workflow.plan(a_copy(), progress=pressing("forecasting with draws"))
    assert result.exit_code() == 130
    assert any("rest on 2 of 8 draws" in text for text in result.summary.warnings)
    assert a_copy().journal.find(None).plan == result.summary.plan
    assert workflow.review(a_copy()).page.is_file()
    # Pressed twice, it is meant.
    before = tree(a_copy().folder)
    with pytest.raises(KeyboardInterrupt):
        workflow.plan(a_copy(), progress=pressing(*["forecasting with draws"] * 2))
    assert tree(a_copy().folder) == before


@pytest.mark.parametrize("moment", ["optimising, step 2", "forecasting with draws"])
def test_interrupted_plan_of_a_round_that_goes_on_by_itself_is_none(a_copy, moment):
    before = tree(a_copy().folder)
    with pytest.raises(KeyboardInterrupt):
        workflow.plan(a_copy(), whole=True, progress=pressing(moment))
    assert tree(a_copy().folder) == before


def test_interrupt_while_the_stability_is_asked_for_loses_no_plan(a_copy):
    result = workflow.plan(a_copy(), stability=1, progress=pressing("fitting at earlier moments"))
    assert result.exit_code() == 130
    assert result.summary.stability is None
    assert any("how far the plan moves" in text for text in result.summary.warnings)
    assert a_copy().journal.find(None).plan == result.summary.plan


def test_interrupted_replay_and_hindsight_have_no_result(a_copy, copied, monkeypatch):
    name = copied.journal.find(None).plan
    before = tree(a_copy().folder)
    with pytest.raises(KeyboardInterrupt, match=f"while {name} was solved again: nothing is comp"):
        workflow.replay(a_copy(), name, progress=pressing("optimising, step 2"))
    assert tree(a_copy().folder) == before
    # Half of a hindsight would be wrong, whichever of its solves is interrupted.
    before = tree(copied.folder)
    left = []
    gradient = Oracle.gradient

    def interrupted(self, *given, **named):
        left.append(left.pop() - 1)
        if left == [0]:
            raise KeyboardInterrupt
        return gradient(self, *given, **named)

    monkeypatch.setattr(Oracle, "gradient", interrupted)
    for calls in (5, 60):
        left[:] = [calls]
        with pytest.raises(KeyboardInterrupt, match="interrupted while looking back: there is no"):
            workflow.retro(copied, name)
    assert tree(copied.folder) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt("interrupted while"), KeyboardInterrupt()])
def test_interrupted_command_says_what_is_left_in_one_line(project, monkeypatch, capsys, error):
    def stopped(*given, **named):
        raise error

    monkeypatch.setattr(workflow, "retro", stopped)
    assert run(["retro", "--project", str(project.folder)]) == 130
    said = capsys.readouterr().err
    words = error.args[0] if error.args else "interrupted"
    assert f"dagcast: {words}; what was finished is kept" in said
    assert "Traceback" not in said


@pytest.fixture
def ctrl_c():
    """Ctrl-C as in a terminal: processes in the background are started without it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_library_that_turns_an_interruption_into_its_own_error_is_seen_through(
    project, monkeypatch, capsys, ctrl_c
):
    def broken(*given, **named):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise error

    monkeypatch.setattr(workflow, "retro", broken)
    error = RuntimeError("Query interrupted")
    assert run(["retro", "--project", str(project.folder)]) == 130
    said = capsys.readouterr().err
    assert said == "dagcast: interrupted; what was finished is kept, nothing is half-written.\n"
    # Answers to bad input stay what they are.
    error = PlanStateError("this", "that", "Change it.")
    assert run(["retro", "--project", str(project.folder)]) == 2
    assert "expected this; found that" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_page_of_an_infeasible_plan_says_by_how_much_guardrails_are_missed(a_copy):
    """The ETA of every region is capped where no budget brings it."""
    rail = '[{quantity = "eta", limit = 1.0, by = ["region"], weight = "sessions"}]'
    project = a_copy(guardrails=rail)
    result = workflow.plan(project)
    assert result.exit_code() == 4
    assert result.summary.certificate.endswith("% of a limit")
    page = workflow.review(project).page.read_text()
    for row in result.summary.guardrails:
        assert f"missed by {row.used - row.limit:.2f} min" in page
    assert "not binding" not in page
    shown = " ".join(" ".join(row) for table in result.tables() for row in table.rows)
    assert "mean of eta SFO, weighted by sessions, <= 1 min is missed by" in shown


def test_stability_needs_history(a_copy):
    with pytest.raises(ProjectError, match="3 weeks of history before the earliest of 9 moments"):
        workflow.plan(a_copy(), stability=9)


def test_own_proposal_is_judged_like_a_plan(as_planned, tmp_path, demo):
    plan = demo[0].planned
    cells = tmp_path / "mine.csv"
    workflow_decisions(as_planned.folder, plan.summary.plan).to_csv(cells, index=False)
    before = tree(as_planned.folder)
    result = workflow.what_if(as_planned, cells)
    assert result.summary.spent["USD"] == pytest.approx(plan.summary.spent["USD"])
    expected = plan.totals["profit"]["plan"][0]
    assert result.totals["profit"]["plan"][0] == pytest.approx(expected, rel=1e-6)
    assert result.summary.worst_violation < 1e-4
    # It spends the whole budget: to say that no limit binds would be wrong.
    (said,) = next(table.rows[0] for table in result.tables() if table.title == "Shadow prices")
    assert "no limit has a price; it stands at Incentive spend <= $" in said
    assert tree(as_planned.folder) == before


def test_proposal_that_leaves_cells_out_says_what_becomes_of_them(as_planned, tmp_path, demo):
    cells = workflow_decisions(as_planned.folder, demo[0].planned.summary.plan)
    file = tmp_path / "mine.csv"
    cells.head(5).to_csv(file, index=False)
    said = []
    result = workflow.what_if(as_planned, file, progress=lambda text, share: said.append(text))
    assert f"the proposal names 5 of {len(cells):,} cells; the others get nothing" in said
    assert result.summary.spent["USD"][0] == pytest.approx(cells.head(5)["value"].sum())


@pytest.fixture
def copied(demo, tmp_path):
    """A copy of the project as the demo left it, to be changed."""
    folder = tmp_path / "project"
    shutil.copytree(demo[0].folder, folder)
    return open_project(folder, flags=SETTINGS, environment={})


@pytest.fixture
def unannounced(copied):
    """The same, had nobody announced the week after the played one."""
    (played,) = copied.events.glob("played-*")
    end = pd.Timestamp(copied.journal.find("plan-0001").horizon_start) + pd.Timedelta(days=7)
    for name in ("calendar", "coupons", "fares", "weather"):
        frame = pd.read_parquet(played / f"{name}.parquet")
        frame[frame["hour"] < end].to_parquet(played / f"{name}.parquet", index=False)
    shutil.rmtree(copied.store)
    workflow.ingest(copied)
    return copied


@pytest.fixture(scope="module")
def planned_ahead(demo, tmp_path_factory):
    """The project after the demo with a plan of the week ahead, to be copied; and that plan."""
    folder = tmp_path_factory.mktemp("ahead") / "project"
    shutil.copytree(demo[0].folder, folder)
    project = open_project(folder, flags=SETTINGS, environment={})
    return project, workflow.plan(project)


@pytest.fixture
def ahead(planned_ahead, tmp_path):
    """A copy of the project in which the week ahead is planned, to be changed."""
    shutil.copytree(planned_ahead[0].folder, tmp_path / "ahead")
    return open_project(tmp_path / "ahead", flags=SETTINGS, environment={})


def test_the_week_after_a_played_one_can_be_planned(planned_ahead):
    """Its calendar, campaigns, fares and forecast came with the played week."""
    project, result = planned_ahead
    played = project.journal.find("plan-0001")
    hours = pd.date_range(played.horizon_start, periods=336, freq="h")[168:]
    found = workflow_decisions(project.folder, result.summary.plan)
    assert sorted(found["hour"].unique()) == list(hours)
    assert result.summary.repeated == ()


def test_a_week_that_nobody_announced_can_be_planned(unannounced):
    """Clocks are known although no calendar was ingested; what else is assumed is said."""
    result = workflow.plan(unannounced)
    assert result.summary.status in ("optimal", "feasible")
    assert {"holiday", "coupon_spend", "base_fare"} <= set(result.summary.repeated)
    assert "hour_of_week" not in result.summary.repeated


def test_hours_of_the_week_are_those_of_every_regions_clock(copied):
    session = open_session(copied)
    # The last week of history, whose calendar is in the store.
    last = at_origin(session.times, session.times.last - pd.Timedelta(hours=167), 168, 4)
    expected = read_context(session.store, last, ["hour_of_week"])[0]["hour_of_week"]
    found = session.clocks.read(session.store, "hour_of_week", last.start, last.end)
    assert torch.equal(found.values("region", "hour"), expected.values("region", "hour"))
    assert found.dtype == expected.dtype


def test_plan_beyond_the_calendar_is_refused_where_no_clock_is_known(unannounced):
    for path in unannounced.events.glob("**/regions.json"):
        path.unlink()
    before = tree(unannounced.folder)
    with pytest.raises(ProjectError, match="Ingest a calendar that covers the horizon"):
        workflow.plan(unannounced)
    assert tree(unannounced.folder) == before


@pytest.mark.parametrize("damage", ["truncated", "replaced", "missing"])
def test_a_changed_plan_is_noticed_by_whoever_reads_it(copied, damage):
    path = copied.plans / "plan-0001" / "decisions.parquet"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "replaced":
        frame = pd.read_parquet(path)
        frame.assign(value=frame["value"] * 2).to_parquet(path, index=False)
    else:
        path.unlink()
    before = tree(copied.folder)
    for stage in (workflow.retro, workflow.review):
        with pytest.raises(ProjectError, match=r"decisions\.parquet.*Restore it from a copy"):
            stage(copied, "plan-0001")
    assert tree(copied.folder) == before


@pytest.mark.parametrize("decide", [workflow.approve, workflow.reject])
def test_nobody_decides_about_a_plan_that_is_gone(ahead, planned_ahead, decide):
    name = planned_ahead[1].summary.plan
    shutil.rmtree(ahead.plans / name)
    before = tree(ahead.folder)
    with pytest.raises(ProjectError, match=f"the folder of {name}"):
        decide(ahead, name, why="whatever it said")
    assert tree(ahead.folder) == before


def test_the_approval_of_a_plan_that_is_gone_can_be_withdrawn(ahead, planned_ahead):
    name = planned_ahead[1].summary.plan
    workflow.approve(ahead, name)
    shutil.rmtree(ahead.plans / name)
    result = workflow.reject(ahead, name, why="its folder is lost")
    assert result.state == "rejected"
    assert result.tables()[0].note.startswith(f"the approval is withdrawn, although {name} is")


def test_plan_that_was_carried_out_is_not_withdrawn(copied):
    with pytest.raises(PlanStateError, match="carried out, which is final"):
        workflow.reject(copied, "plan-0001", why="it went badly")
    assert workflow.retro(copied).hindsight.plan == "plan-0001"


def test_edit_that_breaks_the_budget_is_not_approved_and_rejected_opens_its_parent(
    ahead, planned_ahead, capsys
):
    first = planned_ahead[1].summary.plan
    edit = workflow.edit(ahead, first, scale=3.0, why="more").summary.plan
    with pytest.raises(GateError, match=f"{edit} to pass the gate of approval; .* is the most"):
        workflow.approve(ahead, edit)
    assert run(["approve", edit, "--project", str(ahead.folder)]) == 3
    assert "--despite REASON" in " ".join(capsys.readouterr().err.split())
    workflow.reject(ahead, edit, why="too dear")
    assert ahead.journal.plans()[first].state == "proposed"
    assert workflow.approve(ahead, first).state == "approved"


def test_name_of_a_plan_that_is_gone_is_not_given_again(copied):
    """The log says what was decided about it; another plan must not inherit that."""
    shutil.rmtree(copied.plans / "plan-0001")
    assert workflow.plan(copied).summary.plan == "plan-0002"
    assert copied.journal.plans()["plan-0001"].state == "approved"


def test_plan_whose_seal_is_gone_or_made_anew_is_noticed(copied):
    folder = copied.plans / "plan-0001"
    kept = (folder / "sha256.json").read_text()
    frame = pd.read_parquet(folder / "decisions.parquet")
    frame.assign(value=frame["value"] * 2).to_parquet(folder / "decisions.parquet", index=False)
    seal(folder)
    with pytest.raises(ProjectError, match=r"another sha256.json than the log knows"):
        workflow.retro(copied, "plan-0001")
    (folder / "sha256.json").unlink()
    with pytest.raises(ProjectError, match=r"found no sha256.json"):
        workflow.retro(copied, "plan-0001")
    assert kept


def test_plan_of_other_hours_is_not_edited(copied, a_copy):
    """The week that it decides about has passed: its cells would be laid over the next one."""
    name = workflow.plan(a_copy()).summary.plan
    later = open_project(a_copy().folder, flags=SETTINGS, environment={})
    before = tree(later.folder)
    with pytest.raises(PlanStateError, match=f"expected {name} to decide about the hours that co"):
        workflow.edit(later, name, scale=1.1, why="more")
    for scale in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UsageError, match="finite factor of at least 0"):
            workflow.edit(later, name, scale=scale, why="more")
    assert tree(later.folder) == before
    assert workflow.edit(a_copy(), name, scale=0.9, why="less").summary.kind == "edited"


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


def test_regret_of_a_release_is_the_market_s_own(ahead):
    """The models that made a plan have no say in what it would have been worth."""
    plan = ahead.journal.find(None).plan
    little = workflow.edit(ahead, plan, scale=1e-6, why="nothing").summary.plan
    regret, apart = true_regret(ahead, plan)
    least, again = true_regret(ahead, little)
    assert again == apart > 0
    # Spending nothing is one of the rules; a millionth of a plan's money meets other riders.
    assert 0 <= least <= 1.1 * apart
    world, _, _ = open_world(ahead)
    earned, nothing = (
        sum(
            weight * world.outcome(load_decisions(ahead, name))[quantity].sum()
            for quantity, weight in ahead.config.objective.weights.items()
        )
        for name in (plan, little)
    )
    assert least - regret == pytest.approx(earned - nothing, abs=1e-6)
