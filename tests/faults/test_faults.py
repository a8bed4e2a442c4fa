"""Nothing is lost and nobody let in: the short run, on stand-ins for what needs models."""

import json
import os
import random
import shutil
import sys
from pathlib import Path

import click
import pytest

# What the long run shares with this file; tests are no package.
sys.path.insert(0, str(Path(__file__).parent))
from _attempts import answered, in_child, killed_at, leftovers, mutated, states_before_calls, view
from _commands import (
    AT_ONCE,
    COMMANDS,
    NOT_TRIED,
    STAND_INS,
    Case,
    copied,
    known_world,
    opened,
    stand_in,
)
from _count import Count
from _disks import fills, small_disks, small_disks_can_be_made
from _environments import ENVIRONMENTS
from _hostile import KINDS
from _kills import kills, spread, week_kills
from _trials import (
    Kind,
    Tampering,
    decisions,
    environments,
    hostile,
    mutations,
    pairs,
    strange,
    tampering,
)
from _week import shop, week

from dagcast import access
from dagcast.cli import app
from dagcast.journal import Journal
from dagcast.workflow import released_file
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide


# First: the stand-ins of other tests' commands stay in this process, and the week would wait.
def test_killed_week_goes_on(tmp_path):
    def made(folder):
        shop(folder, approve=True, max_change=1.0)
        return answered(lambda: week(folder))

    held(week_kills(made, tmp_path / "w", points=3, moments=2), 5)


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    folder = tmp_path_factory.mktemp("states")
    with known_world():
        for state in {"workspace", *(case.state for case in STAND_INS)}:
            stand_in(folder / state, state)
        yield folder


def held(count, at_least):
    assert count.problems == []
    assert count.tried >= at_least


@pytest.mark.parametrize("case", STAND_INS, ids=lambda case: case.name)
def test_killed_command_loses_nothing(case, states, tmp_path):
    held(kills(case, states, tmp_path / "w", exact=case.exact, points=6, moments=3), 6)


def test_every_command_that_writes_is_tried():
    """A command joins by a line in the tables, or says there that it only reads."""
    context = click.Context(app)

    def leaves(group, *before):
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            if isinstance(found, click.Group):
                yield from leaves(found, *before, name)
            else:
                yield " ".join((*before, name))

    tried = [" ".join(case.words) for case in (*STAND_INS, *COMMANDS)]
    # What runs in place of a command line is named for it, and `release` stands before some.
    tried += [f"{group}{case.name}" for case in STAND_INS for group in ("", "release ")]
    missing = {
        name for name in leaves(app) if not any(f"{t} ".startswith(f"{name} ") for t in tried)
    }
    # The week has a row of its own.
    assert missing - {"week"} == NOT_TRIED


@pytest.mark.parametrize("case", STAND_INS, ids=lambda case: case.name)
def test_full_disk_loses_nothing(case, states, tmp_path):
    held(fills(case, states, tmp_path / "w", exact=case.exact, points=4), 5)


@pytest.mark.skipif(not small_disks_can_be_made(), reason="needs the right to mount a disk")
@pytest.mark.parametrize("name", ["plan", "ingest"])
def test_small_disk_loses_nothing(name, states, tmp_path):
    case = next(case for case in STAND_INS if case.name == name)
    held(small_disks(case, states, tmp_path / "w", exact=case.exact, points=4), 4)


def test_exactly_one_decision_at_a_barrier(states, tmp_path):
    held(decisions(states, tmp_path / "w", processes=8, rounds=3), 3)


def test_two_commands_at_once_overwrite_nothing(states, tmp_path):
    cases = [case for case in AT_ONCE if case.name in ("ingest", "plan", "edit", "approve")]
    held(pairs(cases, states, tmp_path / "w", rounds=1), 10)


def test_mutated_files_end_in_an_answer(states, tmp_path):
    readers = (["log"], ["approve", "plan-0002"], ["reject", "--why", "x"], ["fit"])
    kind = Kind("all", "proposed", "**/*", readers)
    held(mutations(kind, states, tmp_path / "w", times=40), 40)


def test_mutated_events_are_accounted_for(states, tmp_path):
    kind = Kind("events", "busy", "events/*/orders.csv", (["ingest"],))
    held(mutations(kind, states, tmp_path / "w", times=30), 30)


def test_broken_machines_end_in_an_answer(states, tmp_path):
    chosen = ("a log nobody may read", "a head that lies elsewhere", "a full standard output",
              "no streams at all", "no current folder", "twelve open files")  # fmt: skip
    broken = [item for item in ENVIRONMENTS if item.name in chosen]
    held(environments(broken, states, "proposed", tmp_path / "w", ["log"]), len(chosen))


def test_what_is_no_file_keeps_nobody_waiting(states, tmp_path):
    """In place of what a project holds, and of what a command is told to read."""
    kinds = [
        Kind("settings", "proposed", "dagcast.toml", (["log"],)),
        Kind("log", "proposed", "log.*", (["log"], ["log", "--repair"])),
        Kind("plan", "proposed", "plans/plan-0002/s*.json", (["approve", "--why", "x"],)),
        Kind(
            "contracts",
            "workspace",
            "packages/*/pyproject.toml",
            (
                ["contracts", "list", "--from", "{file}"],
                ["check", "--no-project", "--against", "{file}"],
                ["snapshot", "--workspace", "{project}"],
            ),
        ),
    ]
    for kind in kinds:
        held(strange(kind, states, tmp_path / "w"), 6)


def test_packages_that_do_harm_are_named(tmp_path):
    kinds = {name: KINDS[name] for name in ("exits", "prints", "segfaults", "patches-json")}
    held(hostile(tmp_path, kinds, seconds=20), 6)


def test_changed_plan_is_noticed_by_whoever_decides(states, tmp_path):
    def in_summary(folder):
        path = folder / "plans/plan-0002/summary.json"
        path.write_text(path.read_text().replace("9.0", "8.0"))

    def sealed_again(folder):
        in_summary(folder)
        (folder / "plans/plan-0002/sha256.json").unlink()
        seal(folder / "plans/plan-0002")

    def without_seal(folder):
        (folder / "plans/plan-0002/sha256.json").unlink()

    def another_plan(folder):
        shutil.rmtree(folder / "plans/plan-0002")
        shutil.copytree(folder / "plans/plan-0001", folder / "plans/plan-0002")

    def line_changed(folder):
        path = folder / "log.jsonl"
        lines = path.read_text().splitlines()
        entry = json.loads(lines[-1])
        entry["details"]["seal"] = "0" * 64
        path.write_text("\n".join([*lines[:-1], json.dumps(entry, sort_keys=True)]) + "\n")

    def line_gone(folder):
        path = folder / "log.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    def head_gone(folder):
        (folder / "log.head").unlink()

    def log_elsewhere(folder):
        (folder / "log.jsonl").rename(folder.parent / "log")
        (folder / "log.jsonl").symlink_to(folder.parent / "log")

    def plan_elsewhere(folder):
        (folder / "plans").rename(folder.parent / "plans")
        (folder / "plans").symlink_to(folder.parent / "plans")

    made = {name: change for name, change in locals().items() if callable(change)}
    words = ["approve", "plan-0002", "--why", "x"]
    changes = [Tampering(name, change, words) for name, change in made.items()]
    held(tampering(states, "proposed", tmp_path / "w", changes, Count()), 9)


def test_harness_notices_a_command_that_is_not_careful(states, tmp_path):
    """What it is there to find: a half-written file, a lost line, a traceback."""

    def careless(folder):
        (folder / "plans" / "plan-0009").mkdir()
        (folder / "plans" / "plan-0009" / "a").write_text("1")
        with (folder / "log.jsonl").open("ab") as file:
            file.write(b'{"at"')
            file.flush()
            os.fsync(file.fileno())
            os.truncate(folder / "log.jsonl", 0)
        return 0

    found = kills(
        Case("careless", [], "proposed", does=careless), states, tmp_path / "w", exact=True
    )
    assert any("neither as before nor as after" in text for text in found.problems)

    def half(folder):
        (folder / "plans" / "plan-0009").mkdir(exist_ok=True)
        (folder / "plans" / "plan-0009" / "a").write_text("1")
        return 0

    found = kills(Case("half", [], "proposed", does=half), states, tmp_path / "w", exact=True)
    assert any("neither as before nor as after" in text for text in found.problems)
    assert in_child(lambda: 1 // 0).odd == "a traceback"
    assert in_child(lambda: 2).odd == "a failure without a word"
    assert view(states / "decided", exact=True) != view(states / "proposed", exact=True)
    changed = {mutated(b"abc\ndef\n", random.Random(k)) for k in range(50)}
    assert len(changed) > 20


def test_approval_at_the_desk_is_killed_at_twenty_moments(states, tmp_path):
    """The log verifies, its replay gives the state, and files are there with the approval alone."""
    from starlette.testclient import TestClient

    from dagcast.serve import Desk

    folder, token = tmp_path / "w" / "p", ""

    def fresh():
        nonlocal token
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        copied(states, "proposed", folder)
        token = access.grant(opened(folder), "ben")
        seen = str(opened(folder).journal.seen("plan-0002")[2])
        desk = Desk(folder, {}, "owner").app()

        def press():
            headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
            client = TestClient(desk, base_url="http://127.0.0.1", headers=headers)
            answer = client.post("/plans/plan-0002/approve", data={"seen": seen})
            return 0 if answer.status_code == 200 else 1

        return answered(press)

    total = len(states_before_calls(fresh(), folder, tmp_path / "kept"))
    found = []
    for number in spread(total, 20):
        killed_at(fresh(), folder, number)
        assert Journal(folder / "log.jsonl").examine().damage is None
        project = opened(folder)
        record = project.journal.find("plan-0002")
        found.append(record.state)
        assert record.state in ("proposed", "approved")
        assert record.state == ("approved" if record.entry.event == "approved" else "proposed")
        released = project.folder / "released" / "plan-0002"
        assert released.exists() == (record.state == "approved")
        assert leftovers(folder) == []
        if record.state == "approved":
            assert released_file(project, "plan-0002", "plan-0002.csv").is_file()
            assert record.entry.details["seal"] == record.proposal.details["seal"]
        else:
            assert _decide.approve(project, "plan-0002", who="ben").state == "approved"
    assert len(found) >= 20
    # Kills before the line and after it were among them.
    assert set(found) == {"proposed", "approved"}
