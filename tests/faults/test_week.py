"""The week on stand-ins: run twice, waiting, approving within limits, refusing, going on."""

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pandas as pd
import pytest

# What the long run shares with this file; tests are no package.
sys.path.insert(0, str(Path(__file__).parent))
import _week as stand_ins
from _attempts import view
from _commands import WEEK
from _week import deliver, shop, stood_in

from dagcast import cli, workflow
from dagcast.errors import UsageError
from dagcast.project import open_project
from dagcast.workflow.common import _position


@pytest.fixture(scope="module")
def arrived(tmp_path_factory):
    """Orders that were ingested and judged, and nothing else yet."""

    def stopped(project, *, warm, progress):
        raise UsageError("models", "none", "Install some.")

    project = shop(tmp_path_factory.mktemp("week") / "arrived")
    run(project, fit=stopped)
    return project


@pytest.fixture(scope="module")
def first(arrived, tmp_path_factory):
    """The first run's result, and the project that waits for a person."""
    folder = tmp_path_factory.mktemp("week") / "first"
    shutil.copytree(arrived.folder, folder)
    project = open_project(folder, environment={})
    return run(project), project


@pytest.fixture
def new(arrived, tmp_path):
    shutil.copytree(arrived.folder, tmp_path / "new")
    return open_project(tmp_path / "new", environment={})


@pytest.fixture
def north(first, tmp_path):
    shutil.copytree(first[1].folder, tmp_path / "north")
    return open_project(tmp_path / "north", environment={})


def run(project, *, now=None, flags=None, **other):
    with stood_in(**other):
        return workflow.week(open_project(project.folder, flags=flags, environment={}), now=now)


def events(project):
    return [entry.event for entry in project.journal.entries()]


def steps(result):
    return [name for name, _ in result.ran]


def test_first_week_takes_every_step_and_waits(first):
    found, north = first
    assert (found.state, found.exit_code(), found.plan) == ("waiting", 5, "plan-0001")
    assert steps(found) == ["ingest", "fit", "validate", "backtest", "plan", "review"]
    assert found.week == WEEK
    assert found.page == north.reports / "review-plan-0001.html"
    assert found.next_command().startswith("dagcast approve plan-0001")


def test_second_run_changes_nothing(north):
    before = view(north.folder, exact=True)
    again = run(north)
    assert again.ran == (("ingest", "nothing new"),)
    assert again.exit_code() == 5
    assert view(north.folder, exact=True) == before


def test_status_says_the_same_and_takes_no_step(new, north):
    before = events(new)
    with stood_in():
        found = workflow.status(new)
        assert (found.state, found.step, found.exit_code()) == ("due", "fit", 0)
    assert events(new) == before
    waiting = run(north)
    with stood_in():
        shown = workflow.status(north)
    said = shown.to_json()
    standing = said.pop("standing")
    assert said == {**waiting.to_json(), "ran": []}
    assert {item["part"]: item["state"] for item in standing["parts"]} == {
        "data": "ok", "fit": "ok", "validated": "ok", "backtested": "ok", "promises": "to come"
    }  # fmt: skip
    assert [(item["plan"], item["state"]) for item in standing["plans"]] == [
        (waiting.plan, "proposed")
    ]
    assert [table.title for table in shown.tables()][1:] == ["What there is", "Plans"]
    assert json.loads(json.dumps(shown.to_json()))["exit_code"] == 5
    assert shown.one_line


def test_status_of_a_project_without_data_says_what_comes_first(tmp_path):
    with stood_in():
        found = workflow.status(shop(tmp_path / "empty"))
    assert (found.state, found.step, found.exit_code()) == ("due", "ingest", 0)


def test_approved_week_has_nothing_to_do_until_it_is_over(north):
    with stood_in():
        workflow.approve(north, who="ana")
    done = run(north)
    assert (done.state, done.exit_code(), steps(done)) == ("approved", 0, ["ingest"])
    # Half of the week arrives.
    whole = stand_ins._orders(4).splitlines(keepends=True)
    deliver(north, 4, "".join(whole[:85]))
    half = run(north)
    assert (half.state, half.exit_code(), steps(half)) == ("running", 0, ["ingest"])
    assert "until" not in half.why
    assert "plan-0001 is approved for the hours from 2026-03-02" in half.why
    deliver(north, 5, whole[0] + "".join(whole[85:]))
    after = run(north)
    assert steps(after)[:4] == ["ingest", "quality", "promises", "fit"]
    assert dict(after.ran)["promises"] == "3 of 3 kept"
    assert (after.state, after.plan) == ("waiting", "plan-0002")
    assert "looked back" in events(north)
    assert run(north).ran == (("ingest", "nothing new"),)


def test_news_make_a_new_plan_and_no_news_none(north):
    """Another budget is news; who may approve is none."""
    same = run(north, flags={"approval.approvers": '["ana"]'})
    assert steps(same) == ["ingest"]
    other = run(north, flags={"recent_weeks": "3"})
    assert steps(other) == ["ingest", "plan", "review"]
    assert north.journal.find("plan-0001").state == "superseded"


@pytest.mark.parametrize(
    ("limits", "beyond"),
    [
        ({"max_change": 0.1}, None),
        ({"max_change": 0.1, "least_gain": 5.0}, None),
        ({"max_change": 0.05}, "spend moves by 10%, max_change is 5%"),
        ({"max_change": 0.1, "least_gain": 6.0}, r"is \+\$5, least_gain is \$6"),
        ({"max_change": 0.1, "least_kept": 0.8}, "no past promise is known"),
    ],
)
def test_plan_is_approved_alone_within_declared_limits_alone(new, limits, beyond):
    flags = {"week.approve": "true"} | {f"week.{name}": str(v) for name, v in limits.items()}
    found = run(new, flags=flags)
    if beyond is None:
        assert (found.state, found.exit_code()) == ("approved", 0)
        assert new.journal.find(None).entry.why.startswith("within the limits of [week]")
    else:
        assert (found.state, found.exit_code()) == ("waiting", 5)
        with pytest.raises(AssertionError, match=beyond):
            raise AssertionError(found.why)
    before = events(new)
    assert steps(run(new, flags=flags)) == ["ingest"]
    assert events(new) == before
    # Other limits are weighed again, on the same plan.
    if beyond is not None:
        wide = {
            "week.approve": "true",
            "week.max_change": "0.5",
            "week.least_gain": "0",
            "week.least_kept": "0",
        }
        again = run(new, flags=wide)
        assert steps(again) == ["ingest", "approve"]


def test_undecided_plan_that_expired_is_planned_again(north):
    project = open_project(north.folder, flags={"approval.expires_hours": "72"}, environment={})
    made = pd.Timestamp(project.journal.find("plan-0001").proposal.at)
    with stood_in():
        now, later = (
            _position.position(project, now=made + pd.Timedelta(hours=h)) for h in (71, 73)
        )
    assert (now.state, later.state, later.step) == ("waiting", "due", "plan")
    assert "plan-0001 expired at" in later.why


def test_no_robot_approves_what_was_sent_back(north):
    workflow.send_back(north, who="ana", why="less in the east")
    flags = {"week.approval": "auto", "week.max_change": "1.0"}
    found = run(north, flags=flags)
    assert (found.state, found.exit_code()) == ("waiting", 5)
    assert "ana sent it back" in found.why


def test_gate_of_approval_stands_above_the_limits(north):
    flags = {"week.approve": "true", "week.max_change": "1.0", "approval.approvers": '["ana"]'}
    found = run(north, flags=flags)
    assert (found.state, found.exit_code()) == ("waiting", 5)
    assert north.journal.find(None).state == "proposed"


def test_limits_are_declared_before_anything_is_approved_alone(north):
    from dagcast.errors import ConfigError

    with pytest.raises(ConfigError, match="max_change, within which plans are approved alone"):
        open_project(north.folder, flags={"week.approve": "true"}, environment={})


def test_stale_data_are_refused_and_nothing_is_fitted(new):
    flags = {"week.max_age_hours": "36"}
    late = run(new, now=pd.Timestamp("2026-03-04T00:00Z"), flags=flags)
    assert (late.state, late.exit_code()) == ("stale", 3)
    assert "48 hours ago" in late.why
    assert "fitted" not in events(new)
    assert run(new, now=pd.Timestamp("2026-03-03T00:00Z"), flags=flags).state == "waiting"


def test_table_that_ends_before_the_others_is_stale(north, monkeypatch):
    real = _position.open_store

    class Behind:
        def __init__(self, store):
            self.store = store

        def __getattr__(self, name):
            return getattr(self.store, name)

        def tables(self):
            (table,) = self.store.tables().values()
            return {"orders": table, "shifts": table}

        def spans(self):
            from dataclasses import replace

            span = self.store.spans()["orders"]
            return {"orders": span, "shifts": replace(span, end=span.end - pd.Timedelta(days=3))}

    monkeypatch.setattr(_position, "open_store", lambda project: Behind(real(project)))
    found = run(north, flags={"data.heartbeat": "orders"})
    assert (found.state, found.exit_code()) == ("stale", 3)
    assert "shifts ends 2026-02-26 23:00 UTC" in found.why
    wide = {"data.heartbeat": "orders", "week.max_lag_hours": "100"}
    assert run(north, flags=wide).state == "waiting"


def test_rows_that_cannot_be_used_refuse_the_week_until_somebody_allows_them(north):
    """Of the new rows of a table, not of all that ever came."""
    head, *rows = stand_ins._orders(4).splitlines(keepends=True)
    unread = [row.replace("2026", "a year") if k % 2 else row for k, row in enumerate(rows)]
    deliver(north, 4, "".join([head, *unread]))
    refused = run(north)
    assert (refused.state, refused.step, refused.exit_code()) == ("refused", "quality", 3)
    assert "84 of 168 new rows of orders could not be used" in refused.why
    assert steps(run(north)) == ["ingest"]
    allowed = run(north, flags={"week.max_set_aside": "0.6"})
    assert steps(allowed)[:2] == ["ingest", "quality"]
    assert allowed.state == "waiting"


def test_failed_gate_makes_no_plan(new):
    found = run(new, fit=partial(stand_ins.fit, status="unconverged"))
    assert (found.state, found.step, found.exit_code()) == ("refused", "gates", 3)
    assert "fit-0001 is unconverged" in found.why
    assert "proposed" not in events(new)
    assert steps(run(new)) == ["ingest"]


def test_infeasible_plan_is_shown_and_not_made_again(new):
    found = run(new, plan=partial(stand_ins.plan, status="infeasible"))
    assert (found.state, found.exit_code(), found.plan) == ("infeasible", 4, "plan-0001")
    assert found.page is not None
    assert steps(run(new)) == ["ingest"]


def test_rejected_plan_is_not_made_again(north):
    with stood_in():
        workflow.reject(north, who="ana", why="a parade")
    found = run(north)
    assert (found.state, found.exit_code(), steps(found)) == ("rejected", 5, ["ingest"])
    assert "ana rejected plan-0001: a parade" in found.why


def test_week_that_cannot_be_looked_back_at_does_not_stop_the_next(north):
    with stood_in():
        workflow.approve(north)
    deliver(north, 4)

    def gone(project, name, *, progress):
        raise UsageError("a plan", "none", "Make one.")

    found = run(north, retro=gone)
    assert found.state == "waiting"
    assert "not looked back at plan-0001" in dict(found.ran)["promises"]
    assert steps(run(north, retro=gone)) == ["ingest"]


def test_stage_that_ends_with_an_error_says_where_the_week_stands(new):
    def wrong(project, *, whole, progress):
        raise UsageError("a lever", "none", "Declare one.")

    found = run(new, plan=wrong)
    assert (found.state, found.step, found.exit_code()) == ("failed", "plan", 2)
    assert "expected a lever; found none" in found.why
    assert steps(run(new)) == ["ingest", "plan", "review"]


def test_interrupted_plan_is_not_shown_and_not_approved_alone(new):
    """Who presses Ctrl-C in `plan` may keep the best so far; `week` would go on and approve it."""

    def interrupted(project, *, whole, progress):
        if whole:
            raise KeyboardInterrupt
        return stand_ins.plan(project, progress=progress, status="interrupted")

    with pytest.raises(KeyboardInterrupt):
        run(new, plan=interrupted)
    assert steps(run(new)) == ["ingest", "plan", "review"]


def test_step_that_leads_nowhere_is_not_taken_for_ever(new):
    found = run(new, validate=lambda project, progress: stand_ins.SimpleNamespace(rows=()))
    assert (found.state, found.step) == ("failed", "validate")
    assert "is due again" in found.why


def test_two_weeks_at_once_are_one(north):
    before = events(north)
    handle = os.open(north.folder / ".week.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = run(north)
    finally:
        os.close(handle)
    assert (found.state, found.exit_code(), found.ran) == ("busy", 1, ())
    assert events(north) == before


PAGE = (Path(__file__).parents[2] / "docs/how-to/run-it-every-week.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_commands_of_the_page_end_as_it_says(arrived, tmp_path, monkeypatch, capsys):
    shutil.copytree(arrived.folder, tmp_path / "north")
    monkeypatch.chdir(tmp_path)
    (console,) = blocks("console")
    with stood_in():
        for line in console.splitlines():
            command, _, code = line.removeprefix("$ dagcast ").partition("# exit ")
            capsys.readouterr()
            assert cli.run(shlex.split(command)) == int(code or 0), command
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    (shown,) = map(json.loads, blocks("json"))
    assert set(shown) <= set(json.loads(said))
    assert json.loads(said)["state"] == "approved"


def test_codes_of_the_page_are_those_of_the_command():
    rows = re.findall(r"^\| ([\d, ]+) \| (.+?) \|", PAGE, re.MULTILINE)
    said = {name: code for code, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert set(said) | {"due"} == set(_position.CODES)
    assert all(str(_position.CODES[name]) in code.split(", ") for name, code in said.items())


def test_settings_of_the_page_are_read(new):
    (text,) = blocks("toml")
    toml = (new.folder / "dagcast.toml").read_text()
    start = toml.index("[week]")
    end = toml.index("\n#", start)
    (new.folder / "dagcast.toml").write_text(toml[:start] + text + toml[end:])
    week = open_project(new.folder, environment={}).config.week
    assert (week.approve, week.max_change, week.max_age_hours) == (True, 0.15, 36.0)


@pytest.mark.parametrize(("code", "words"), [(0, ""), (5, "waiting"), (3, "stale")])
def test_script_of_the_page_speaks_where_somebody_has_to_act(tmp_path, code, words):
    script, _ = blocks("bash")
    fake = tmp_path / "dagcast"
    fake.write_text(f'#!/bin/bash\necho noise >&2\necho "waiting stale $*"\nexit {code}\n')
    fake.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-c", script, "dagcast-weekly", "/srv/north"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code
    assert (words in ran.stdout) if words else ran.stdout == ""
    assert not words or "week --project /srv/north --json" in ran.stdout


def test_other_schedulers_know_the_codes_of_the_page():
    (python,) = blocks("python")
    compile(python, "airflow", "exec")
    assert f"skip_on_exit_code={_position.CODES['waiting']}" in python
    (units,) = blocks("ini")
    assert f"SuccessExitStatus={_position.CODES['waiting']}" in units
    (job,) = blocks("yaml")
    assert "operator: In, values: [2, 3, 4, 5]" in job
    assert "command: [dagcast, week, " in job


def test_loops_of_the_page_are_commands_that_there_are():
    _, loops = blocks("bash")
    for line in loops.splitlines():
        _, name, *options = shlex.split(line)
        command = cli.app.get_command(click.Context(cli.app), name)
        assert command.make_context(name, options).params["weeks"] == 12
