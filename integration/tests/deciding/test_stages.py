"""Every door obeys the same rules: stages, the command line, and the robot of the week."""

import json

import pytest

from dagcast import workflow
from dagcast.cli import run
from dagcast.config import Config, Week
from dagcast.errors import ConfigError, GateError, PlanStateError, UsageError
from dagcast.project import create_project, open_project
from dagcast.workflow.common._declared_limits import _chances


def command(project, words, **variables):
    """The exit code of a command that runs under the roles of these tests."""
    flags = [f"--set={name}={value}" for name, value in variables.items()]
    return run([*words, "--project", str(project.folder), *flags])


@pytest.mark.parametrize(
    "words",
    [
        ["approve", "--who", "ana"],
        ["reject", "--who", "ana", "--why", "x"],
        ["send-back", "--who", "cleo", "--why", "x"],
        ["comment", "--who", "cleo", "--why", "x"],
        ["halt", "--who", "ana", "--why", "x"],
        ["edit", "--who", "cleo", "--scale", "0.9", "--why", "x"],
        ["approve", "--who", "nobody"],
    ],
    ids=lambda words: f"{words[0]}-{words[2]}",
)
def test_commands_refuse_whom_the_roles_do_not_name(market, words, capsys):
    market.propose()
    project = market.under()
    before = project.journal.entries()
    roles = {"roles.approver": '["ben"]', "roles.analyst": '["ana"]', "roles.viewer": '["cleo"]'}
    assert command(project, words, **roles) == 3
    assert "expected one of" in capsys.readouterr().err
    assert project.journal.entries() == before


def test_commands_decide_for_whom_they_name(market, capsys):
    name = market.propose()
    roles = {"roles.approver": '["ben", "dan"]', "roles.analyst": '["ana"]'}
    limited = {**roles, "approval.alone_up_to": "500"}
    assert (
        command(market.project, ["comment", "--who", "ana", "--why", "look at EWR"], **roles) == 0
    )
    assert command(market.project, ["send-back", "--who", "dan", "--why", "less"], **roles) == 0
    assert command(market.project, ["approve", "--who", "ben", "--json"], **limited) == 0
    out = capsys.readouterr().out
    said = json.loads(out[out.index("{\n") :])
    assert (said["state"], said["plan"]) == ("endorsed", name)
    assert "another approver decides" in said["remark"]
    assert command(market.project, ["approve", "--who", "ben"], **limited) == 3
    assert command(market.project, ["approve", "--who", "dan"], **limited) == 0
    assert market.project.journal.find(name).state == "approved"


def test_plan_whose_week_is_over_is_not_approved_whatever_the_reason(market, world):
    market.propose()
    world.present = "2026-03-04T00:00:00+00:00"
    with pytest.raises(PlanStateError, match="last hour before 2026-03-04 00:00 UTC, which is ove"):
        workflow.approve(market.under(), who="eve", despite="we want it")
    # What is over can still be put aside.
    assert workflow.reject(market.under(), who="ben", why="late").state == "rejected"


def test_own_edit_is_not_approved_despite_anything(market):
    market.propose()
    market.propose(parent="plan-0001", who="eve", broken=True)
    with pytest.raises(GateError, match=r"eve edited it.*No reason overrules that"):
        workflow.approve(market.under(), who="eve", despite="urgent")
    with pytest.raises(GateError, match="Spend is"):
        workflow.approve(market.under(), who="ben")
    with pytest.raises(GateError, match="one of eve to approve plans despite findings; found ben"):
        workflow.approve(market.under(), who="ben", despite="urgent")


def test_stop_holds_for_everybody_until_it_is_lifted(market):
    market.propose()
    project = market.under()
    workflow.halt(project, who="ben", why="wrong prices")
    with pytest.raises(GateError, match="stopped since"):
        workflow.approve(project, who="eve", despite="urgent")
    assert command(project, ["approve"]) == 3
    workflow.resume(project, who="dan", why="mended")
    assert workflow.approve(project, who="eve").state == "approved"


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001])
def test_comments_are_short_and_say_something(market, text):
    market.propose()
    with pytest.raises(UsageError, match="1 to 4,000 characters"):
        workflow.comment(market.under(), who="ana", why=text)


def test_settings_of_earlier_versions_are_read(tmp_path):
    create_project(tmp_path / "p", Config())
    flags = {
        "approval.approvers": '["ben"]',
        "approval.overrulers": '["eve"]',
        "week.approve": "true",
        "week.max_change": "0.1",
    }
    config = open_project(tmp_path / "p", flags=flags, environment={}).config
    assert (config.roles.approver, config.roles.overruler) == (("ben",), ("eve",))
    assert config.week.approval == "auto"
    both = {**flags, "roles.approver": '["dan"]'}
    with pytest.raises(ConfigError, match=r"approvers in \[roles\] alone"):
        open_project(tmp_path / "p", flags=both, environment={})


def test_what_is_declared_of_deciding_moves_no_plan(market):
    from dagcast.workflow.common._newness import settings_of

    config = market.project.config
    given = {
        "approval__alone_up_to": "5",
        "serve__hosts": '["desk"]',
        "webhook__url": '"http://127.0.0.1:9/"',
        "week__max_age_hours": "3",
    }
    assert settings_of(market.under(**given).config) == settings_of(config)
    assert settings_of(market.under(recent_weeks="3").config) != settings_of(config)


def test_chance_of_each_limit_is_declared_for_what_is_approved_alone(market):
    from dataclasses import replace

    summary = market.summary("plan-0001", 1.0, 2.0, broken=False, edited=False)
    (row,) = summary.budgets
    rows = tuple(replace(row, label=label, kept=kept) for label, kept in (("a", 0.9), ("b", None)))
    found = _chances(replace(summary, guardrails=rows), 0.95)
    assert found == [
        "the chance that Spend a keeps its limit is 90%, least_chance is 95%",
        "the chance that Spend b keeps its limit is not known, as its limit has no chance, "
        "least_chance is 95%",
    ]
    assert _chances(replace(summary, guardrails=rows[:1]), 0.9) == []
    assert Week(approval="auto", max_change=0.1, least_chance=0.9).approve
