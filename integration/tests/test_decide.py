"""Approval is a gate: what stands against a plan is named, and overruled only with a reason."""

import json
from dataclasses import dataclass, replace

import pandas as pd
import pytest

from dagcast import workflow
from dagcast.config import Config
from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.plans import EvidenceLine, LimitRow, PlanSummary, Reading, Standings
from dagcast.project import create_project, open_project
from dagcast.workflow.common import _against
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide, _review

WEEK = "2026-03-02T00:00:00+00:00"


@dataclass
class World:
    """What the project's store knows, as the gate asks for it."""

    manifest_id: str = "data-1"
    present: str = WEEK


@pytest.fixture
def world(monkeypatch):
    """A store that observed everything before the plan's week, and nothing after."""
    made = World()

    def moments(project, store):
        config = project.config
        # What is known does not depend on which week is planned.
        assert config.horizon.start is None
        now = pd.Timestamp(config.data.as_of or made.present)
        return Moments(now, now, now, now, now)

    for module in (_decide, _against):
        monkeypatch.setattr(module, "open_store", lambda project: made)
    monkeypatch.setattr(_against, "moments", moments)
    return made


BUDGET = LimitRow("spend", "all regions", "<=", 900.0, 1000.0, "USD", 0.0, "", False)


def summary(name, *, budgets=(BUDGET,), worst=0.0, status="optimal", **provenance):
    return PlanSummary(
        plan=name,
        kind="optimised",
        status=status,
        message="",
        kkt_residual=0.0,
        worst_violation=worst,
        gap_bound=None,
        objective="profit",
        objective_unit="USD",
        levers=(),
        readings={},
        budgets=tuple(budgets),
        guardrails=(),
        sensitivities=(),
        flagged=(),
        repeated=(),
        provenance={"data_id": "data-1", "fit": "fit-0001", **provenance},
        seconds=1.0,
    )


@pytest.fixture
def project(tmp_path, world):
    made = create_project(tmp_path / "p", Config())
    made.record("fitted", details={"fit": "fit-0001"})
    return made


def propose(project, parent=None, **options):
    name = project.reserve(project.plans, "plan")
    with project.making(project.plans / name) as folder:
        summary(name, **options).save(folder)
        details = {"horizon_start": WEEK, "parent": parent, "seal": seal(folder)}
        project.record("edited" if parent else "proposed", plan=name, details=details)
    return name


def refused(project, name, match):
    before = project.journal.entries()
    with pytest.raises(GateError, match=match) as caught:
        workflow.approve(project, name, who="ben")
    assert caught.value.exit_code == 3
    assert project.journal.entries() == before


def test_plan_that_nothing_stands_against_is_approved_and_bound_to_its_seal(project):
    name = propose(project)
    result = workflow.approve(project, name, who="ben", why="fine")
    assert (result.state, result.remark) == ("approved", "")
    entry = project.journal.entries()[-1]
    assert entry.details == {"seal": project.journal.proposal(name).details["seal"]}


@pytest.mark.parametrize(
    ("status", "worst", "used", "sense", "words"),
    [
        ("feasible", 0.2, 1200.0, "<=", r"spend all regions is \$1,200 where \$1,000 is the most"),
        ("feasible", 0.2, 800.0, ">=", r"spend all regions is \$800 where \$1,000 is the least"),
        ("infeasible", 0.0, 900.0, "<=", "it misses a limit by 0.0% of it"),
        ("stalled", 0.05, 900.0, "<=", "it misses a limit by 5.0% of it"),
    ],
)
def test_plan_that_breaks_a_limit_is_not_approved(project, status, worst, used, sense, words):
    row = replace(BUDGET, used=used, sense=sense)
    refused(project, propose(project, budgets=[row], worst=worst, status=status), words)


def test_rounding_breaks_no_limit(project):
    row = replace(BUDGET, used=1000.0001)
    name = propose(project, budgets=[row], worst=1e-7)
    assert workflow.approve(project, name).state == "approved"


def test_plan_whose_week_has_begun_is_not_approved(project, world):
    world.present = "2026-03-02T01:00:00+00:00"
    refused(project, propose(project), r"first hour is 2026-03-02 00:00 UTC.*until 2026-03-02 01:0")


def test_present_is_what_the_settings_say_is_known(project, world):
    world.present = "2026-03-05T00:00:00+00:00"
    name = propose(project)
    flags = {"horizon.start": "2026-03-02T00:00:00Z"}
    refused(open_project(project.folder, flags=flags, environment={}), name, "first hour")
    flags = {"data.as_of": "2026-03-02T00:00:00Z"}
    then = open_project(project.folder, flags=flags, environment={})
    assert workflow.approve(then, name).state == "approved"


def test_plan_on_older_data_is_not_approved(project, world):
    name = propose(project)
    world.manifest_id = "data-2"
    refused(project, name, "data were ingested since it was made")


def test_plan_on_an_older_fit_is_not_approved(project):
    name = propose(project)
    project.record("fitted", details={"fit": "fit-0002"})
    refused(project, name, "it rests on fit-0001, and there is fit-0002 by now")


def test_page_says_beforehand_what_the_approval_would(project, world, monkeypatch):
    name = propose(project)

    def against():
        return _review._against(project, project.journal.find(name), summary(name))

    assert against() == ()
    world.manifest_id = "data-2"
    assert against() == ("data were ingested since it was made",)

    def gone(project):
        raise ProjectError("a store", "an empty folder", "Ingest.")

    with monkeypatch.context() as patched:
        patched.setattr(_against, "open_store", gone)
        assert against() == ("whether its data are the newest is not known: an empty folder",)
    workflow.approve(project, name, despite="it is decided")
    assert against() == ()


def test_all_that_stands_against_it_is_said_at_once_and_logged_when_overruled(project, world):
    name = propose(project, budgets=[replace(BUDGET, used=1200.0)], worst=0.2)
    world.manifest_id, world.present = "data-2", "2026-03-08T23:00:00+00:00"
    project.record("fitted", details={"fit": "fit-0002"})
    refused(project, name, r"spend.*first hour.*ingested since.*fit-0002 by now.*--despite REASON")
    result = workflow.approve(project, name, who="ben", despite="the board wants it")
    assert result.state == "approved"
    assert result.remark.startswith("approved despite: spend all regions")
    details = project.journal.entries()[-1].details
    assert details["despite"] == "the board wants it"
    assert len(details["against"]) == 4


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_overruling_needs_a_reason(project, reason):
    name = propose(project, worst=0.2)
    with pytest.raises(UsageError, match="a reason"):
        workflow.approve(project, name, despite=reason)


def test_reason_that_nothing_needed_is_not_logged(project):
    name = propose(project)
    workflow.approve(project, name, despite="in case")
    assert "despite" not in project.journal.entries()[-1].details


def test_no_reason_overrules_a_state(project):
    first, second = propose(project), propose(project)
    with pytest.raises(PlanStateError, match=f"superseded by {second}"):
        workflow.approve(project, first, despite="I liked it better")
    workflow.approve(project, second)
    with pytest.raises(PlanStateError, match="approved since"):
        workflow.approve(project, second, despite="again")


def test_what_changes_between_check_and_decision_is_noticed(project, monkeypatch):
    name = propose(project)
    real = _decide.findings_against

    def slow(*given):
        found = real(*given)
        project.record("ingested")
        return found

    monkeypatch.setattr(_decide, "findings_against", slow)
    with pytest.raises(PlanStateError, match="ingested meanwhile"):
        workflow.approve(project, name)


def test_rejected_edit_opens_its_parent_again(project):
    parent = propose(project)
    edit = propose(project, parent=parent)
    result = workflow.reject(project, edit, why="too dear")
    assert result.remark == f"{parent} is open again"
    assert workflow.approve(project, parent).state == "approved"


def test_what_was_carried_out_stays_approved(project):
    name = propose(project)
    workflow.approve(project, name)
    project.record("played", plan=name)
    with pytest.raises(PlanStateError, match="final"):
        workflow.reject(project, name, why="late")
    assert project.journal.plans()[name].state == "approved"


def test_changed_plan_is_not_decided_about(project):
    name = propose(project)
    path = project.plans / name / "summary.json"
    path.write_text(path.read_text().replace("900.0", "100.0"))
    for decide in (workflow.approve, workflow.reject):
        with pytest.raises(ProjectError, match=r"another summary\.json than was written"):
            decide(project, name, why="x")


def test_log_is_shown_verified_and_repaired(project):
    propose(project)
    found = workflow.log(project.folder)
    assert (found.damage, found.exit_code(), found.chained_from) == ("", 0, 1)
    assert [entry.event for entry in found.entries] == ["created", "fitted", "proposed"]
    path = project.folder / "log.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at": ')
    found = workflow.log(project.folder)
    assert found.exit_code() == 3
    assert "line 4" in found.damage
    assert "--repair" in found.next_command()
    found = workflow.log(project.folder, repair=True, who="ana")
    assert (found.damage, found.exit_code()) == ("", 0)
    assert found.repaired.startswith("7 bytes were set aside in log.damaged-")
    assert found.entries[-1].event == "repaired"
    assert workflow.log(project.folder, repair=True).repaired == ""


def test_log_of_no_project_says_what_is_missing(tmp_path):
    with pytest.raises(ProjectError, match="dagcast project"):
        workflow.log(tmp_path)


def test_file_that_was_put_beside_a_plan_is_noticed(project):
    name = propose(project)
    (project.plans / name / "more.json").write_text("{}")
    with pytest.raises(ProjectError, match=r"more\.json besides what was written"):
        workflow.approve(project, name)


def test_plan_whose_fit_did_not_converge_is_not_approved(project):
    project.record("fitted", details={"fit": "fit-0002", "status": "unconverged"})
    refused(project, propose(project, fit="fit-0002"), "fit-0002 is unconverged")


def validated(project, *z, fit="fit-0001"):
    """What `dagcast validate` leaves behind where it does not pass."""
    rows = [{"experiment": f"trial-{n}", "z": value} for n, value in enumerate(z, start=1)]
    path = project.reports / "validity.json"
    path.write_text(json.dumps({"fit": fit, "rows": rows}))
    project.record("validated", details={"fit": fit, "passed": False})


def test_plan_whose_fit_an_experiment_contradicts_is_not_approved(project):
    name = propose(project)
    validated(project, 0.3, -4.1)
    refused(project, name, "trial-2 contradicts fit-0001 by 4.1 standard errors")
    project.record("validated", details={"fit": "fit-0001", "passed": True})
    assert workflow.approve(project, name).state == "approved"


@pytest.mark.parametrize(("count", "fine"), [(1, False), (2, True), (10, True)])
def test_stray_experiment_among_many_is_what_chance_makes(project, count, fine):
    name = propose(project)
    validated(project, 2.2, *[0.5] * (count - 1))
    if fine:
        assert workflow.approve(project, name).state == "approved"
    else:
        refused(project, name, "trial-1 contradicts fit-0001 by 2.2")


def test_validation_of_nothing_and_one_whose_report_is_gone_are_not_passed(project):
    name = propose(project)
    validated(project)
    refused(project, name, "no experiment measured anything that fit-0001 says")
    (project.reports / "validity.json").unlink()
    refused(project, name, "fit-0001 did not pass `dagcast validate`")


def test_validation_of_another_fit_says_nothing(project):
    project.record("validated", details={"fit": "fit-0000", "passed": False})
    assert workflow.approve(project, propose(project)).state == "approved"


def test_plan_whose_models_were_refused_by_the_backtest_is_not_approved(project):
    project.record("backtested", details={"refused": "eta up to 1,845 min"})
    refused(project, propose(project), "did not pass `dagcast backtest`: eta up to 1,845 min")


def test_plan_that_stands_on_too_little_is_not_approved(project):
    line = EvidenceLine("spend", "", "prior", 10.0, 4.0, 0.0, 6.0, 0.0, 0.0, ("t",), (), 5.0, 1.0)
    name = project.reserve(project.plans, "plan")
    with project.making(project.plans / name) as folder:
        made = replace(
            summary(name),
            readings={"spend": Reading("Spend", "USD/h", "money", "", True)},
            evidence=Standings((line,), 0.5),
        )
        made.save(folder)
        assert PlanSummary.load(folder) == made
        details = {"horizon_start": WEEK, "parent": None, "seal": seal(folder)}
        project.record("proposed", plan=name, details=details)
    refused(project, name, r"60.0% of the money goes where no fresh trial .* 50.0% is the most")


@pytest.mark.parametrize("decide", [workflow.approve, workflow.reject])
def test_settings_may_say_who_decides(project, decide):
    name = propose(project)
    named = open_project(project.folder, flags={"roles.approver": '["ana"]'}, environment={})
    with pytest.raises(GateError, match=r"expected one of ana to .* plans; found ben"):
        decide(named, name, who="ben", why="x")
    assert decide(named, name, who="ana", why="x").state in ("approved", "rejected")


def test_settings_may_say_who_overrules(project):
    name = propose(project, worst=0.2)
    named = open_project(project.folder, flags={"roles.overruler": '["eve"]'}, environment={})
    with pytest.raises(GateError, match="one of eve to approve .* despite findings; found ben"):
        workflow.approve(named, name, who="ben", despite="urgent")
    assert workflow.approve(named, name, who="eve", despite="urgent").state == "approved"
    # Whoever may not overrule may still approve what nothing stands against.
    workflow.reject(project, name, why="x")
    assert workflow.approve(named, propose(project), who="ben").state == "approved"


@pytest.mark.parametrize(
    ("present", "final"),
    [("2026-03-08T23:00:00+00:00", False), ("2026-03-09T00:00:00+00:00", True)],
)
def test_approved_plan_whose_week_is_over_was_carried_out(project, world, present, final):
    name = propose(project)
    workflow.approve(project, name)
    world.present = present
    if final:
        with pytest.raises(PlanStateError, match="is over: it was carried out, which is final"):
            workflow.reject(project, name, why="late")
    else:
        assert workflow.reject(project, name, why="stop").state == "rejected"
