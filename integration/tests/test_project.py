"""Projects are made whole or not at all, and a broken one is recognised."""

import os
import signal
import stat
from datetime import UTC, datetime

import pytest

from dagcast._whole import _release, staged, write_text
from dagcast.config import Config
from dagcast.errors import PlanStateError, ProjectError
from dagcast.journal import Entry, Journal
from dagcast.project import FOLDERS, LOG, create_project, open_project


def test_created_project_opens_with_its_settings(tmp_path):
    created = create_project(tmp_path / "p", Config(name="north"))
    opened = open_project(tmp_path / "p", environment={})
    assert opened == created
    assert [entry.event for entry in opened.journal.entries()] == ["created"]


def test_creation_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectError, match=r"missing or empty folder.*other files"):
        create_project(tmp_path, Config())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_killed_creation_leaves_nothing(tmp_path, monkeypatch):
    def fail(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dagcast.project.config_text", fail)
    with pytest.raises(KeyboardInterrupt):
        create_project(tmp_path / "p", Config())
    assert list(tmp_path.iterdir()) == []


def test_project_has_all_that_it_begins_with_or_is_none(tmp_path, monkeypatch):
    """A declaration that `init --from` proposed; killed before the settings, it is begun again."""
    more = {"declared/orders.toml": "[table]"}
    for folder in (tmp_path / "new", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
            for name in (*FOLDERS, "declared"):
                (folder / name).mkdir()
            Journal(folder / LOG).append(Entry(datetime.now(UTC), who="ben", event="created"))
            (folder / "declared" / "orders.toml").write_text("mine")
            with pytest.raises(ProjectError, match="other files"):
                create_project(folder, Config(), more=more)
            assert (folder / "declared" / "orders.toml").read_text() == "mine"
            (folder / "declared" / "orders.toml").write_text("[table]")
        create_project(folder, Config(), more=more)
        assert (folder / "declared" / "orders.toml").read_text() == "[table]"
        assert len(open_project(folder, environment={}).journal.entries()) == 1


def test_empty_folder_that_is_somebodys_current_one_stays_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create_project(tmp_path, Config(name="north"))
    assert open_project(tmp_path, environment={}).config.name == "north"
    # A folder that was replaced has no path any more: the shell's next command would fail.
    assert os.path.samefile(".", tmp_path)


@pytest.mark.parametrize("after", range(len(FOLDERS) + 3))
def test_creation_that_was_killed_in_an_empty_folder_is_begun_again(tmp_path, after):
    child = os.fork()
    if not child:
        steps = iter(range(after))
        for name in ("mkdir", "rename", "replace"):
            true = getattr(os, name)

            def counted(*args, true=true, **named):
                if next(steps, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return true(*args, **named)

            setattr(os, name, counted)
        create_project(tmp_path, Config())
        os._exit(0)
    os.waitpid(child, 0)
    if not (tmp_path / "dagcast.toml").exists():
        create_project(tmp_path, Config())
    opened = open_project(tmp_path, environment={})
    assert [entry.event for entry in opened.journal.entries()] == ["created"]


@pytest.mark.parametrize("mine", ["log.jsonl", "store/rows.parquet", ".dagcast.toml.dagcast.part"])
def test_what_somebody_keeps_under_a_projects_names_is_not_taken_for_a_leftover(tmp_path, mine):
    (tmp_path / mine).parent.mkdir(exist_ok=True)
    (tmp_path / mine).write_text("mine\n")
    with pytest.raises(ProjectError, match="other files"):
        create_project(tmp_path, Config())
    assert (tmp_path / mine).read_text() == "mine\n"


def test_folder_without_project_says_how_to_make_one(tmp_path):
    with pytest.raises(ProjectError, match=r"an empty folder.*dagcast init"):
        open_project(tmp_path)
    with pytest.raises(ProjectError, match="no such folder"):
        open_project(tmp_path / "none")


@pytest.mark.parametrize("part", ["dagcast.toml", "log.jsonl", *FOLDERS])
def test_half_written_project_names_the_missing_part(tmp_path, part):
    project = create_project(tmp_path / "p", Config())
    path = project.folder / part
    path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(ProjectError, match=f"half-written one without {part}"):
        open_project(project.folder)


def test_staged_folder_appears_whole_and_is_never_replaced(tmp_path):
    target = tmp_path / "result"
    with pytest.raises(FileNotFoundError), staged(target) as folder:
        (folder / "none" / "a").write_text("2")
    assert list(tmp_path.iterdir()) == []
    with staged(target) as folder:
        (folder / "a").write_text("1")
    with pytest.raises(ProjectError, match="nothing at"), staged(target) as folder:
        (folder / "b").write_text("3")
    assert [path.name for path in target.iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_staged_folder_does_not_replace_what_appeared_meanwhile(tmp_path):
    target = tmp_path / "result"

    def late():
        with staged(target) as folder:
            (folder / "mine").write_text("1")
            target.mkdir()
            (target / "theirs").write_text("2")

    with pytest.raises(OSError, match="not empty"):
        late()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_two_who_make_the_same_folder_are_told(tmp_path):
    first = staged(tmp_path / "result")
    with first as folder:
        with pytest.raises(ProjectError, match="another command"), staged(tmp_path / "result"):
            pass
        assert folder.is_dir()
    assert (tmp_path / "result").is_dir()


def test_text_is_written_whole(tmp_path):
    write_text(tmp_path / "a.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_text_that_is_no_character_is_written_as_its_escape(tmp_path):
    write_text(tmp_path / "a.html", "caf\udce9")
    assert (tmp_path / "a.html").read_text() == "caf\\udce9"


def test_modes_are_what_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        project = create_project(tmp_path / "p", Config())
        write_text(project.reports / "a.html", "x")
        with project.making(project.plans / "plan-0001") as folder:
            (folder / "a").write_text("1")
            propose(project, "plan-0001")
    finally:
        os.umask(before)
    for path in [project.folder, *project.folder.rglob("*")]:
        expected = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


@pytest.fixture
def project(tmp_path):
    return create_project(tmp_path / "p", Config())


WEEK = {"horizon_start": "2026-03-02T00:00:00+00:00"}


def propose(project, name):
    project.record("proposed", plan=name, details=WEEK)


def parts(project):
    return [path.name for path in project.folder.rglob("*.part")]


def test_results_are_numbered_and_no_name_is_given_twice(project):
    assert project.reserve(project.plans, "plan") == "plan-0001"
    assert project.reserve(project.plans, "plan") == "plan-0002"
    (project.plans / "plan-0007").mkdir()
    assert project.reserve(project.plans, "plan") == "plan-0008"
    propose(project, "plan-9999")
    assert project.reserve(project.plans, "plan") == "plan-10000"
    project.record("fitted", details={"fit": "fit-0003"})
    assert project.reserve(project.models, "fit") == "fit-0004"
    _release()
    assert parts(project) == []


def test_folder_without_a_line_in_the_log_is_not_the_newest_fit(project):
    with pytest.raises(ProjectError, match="dagcast fit"):
        project.newest_fit()
    for name in ("fit-0001", "fit-0002"):
        (project.models / name).mkdir()
    project.record("fitted", details={"fit": "fit-0001"})
    assert project.newest_fit() == "fit-0001"


def test_folder_is_hidden_until_the_log_knows_it(project):
    name = project.reserve(project.plans, "plan")
    with project.making(project.plans / name) as folder:
        assert folder.name.startswith(".")
        (folder / "a").write_text("1")
        assert open_project(project.folder, environment={}) == project
        assert folder.is_dir()
        propose(project, name)
    assert [path.name for path in project.plans.iterdir()] == [name]
    with pytest.raises(ProjectError, match="nothing at"), project.making(project.plans / name):
        pass


def test_folder_is_gone_where_its_line_was_refused(project):
    details = {**WEEK, "parent": "plan-0009"}

    def orphan():
        with project.making(project.plans / "plan-0001") as folder:
            (folder / "a").write_text("1")
            project.record("edited", plan="plan-0001", details=details)

    with pytest.raises(PlanStateError, match="no plan-0009"):
        orphan()
    assert parts(project) == []
    assert list(project.plans.iterdir()) == []


def test_what_fails_after_its_line_is_kept(project):

    def interrupted():
        with project.making(project.plans / "plan-0001") as folder:
            (folder / "a").write_text("1")
            propose(project, "plan-0001")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (project.plans / "plan-0001" / "a").read_text() == "1"


def test_name_that_the_log_knows_is_not_made_again(project):
    propose(project, "plan-0001")
    with (
        pytest.raises(ProjectError, match="one that was given before"),
        project.making(project.plans / "plan-0001"),
    ):
        pass
    assert parts(project) == []


def killed(project, logged):
    """What a process leaves that is killed before, or after, its line in the log."""
    pid = os.fork()
    if pid == 0:
        with project.making(project.plans / "plan-0001") as folder:
            (folder / "a").write_text("1")
            if logged:
                propose(project, "plan-0001")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert parts(project) == [".plan-0001.dagcast.part"]


def test_next_command_removes_what_was_killed_before_its_line(project):
    killed(project, logged=False)
    (project.reports / ".review.html.0badcafe.dagcast.part").write_text("half")
    open_project(project.folder, environment={})
    assert parts(project) == []
    assert list(project.plans.iterdir()) == []
    assert project.reserve(project.plans, "plan") == "plan-0001"
    _release()


def test_next_command_completes_what_was_killed_after_its_line(project):
    killed(project, logged=True)
    open_project(project.folder, environment={})
    assert parts(project) == []
    assert (project.plans / "plan-0001" / "a").read_text() == "1"


def test_scratch_is_gone_afterwards_and_left_alone_meanwhile(project):
    with project.scratch("backtest") as folder:
        (folder / "a").write_text("1")
        open_project(project.folder, environment={})
        assert (folder / "a").is_file()
    assert parts(project) == []


@pytest.mark.parametrize("name", ["store", "models", "plans", "reports"])
def test_folder_that_leads_out_of_the_project_is_refused(project, tmp_path, name):
    (project.folder / name).rmdir()
    (tmp_path / "elsewhere").mkdir()
    (project.folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProjectError, match="must stay in the project"):
        open_project(project.folder, environment={})


def test_events_may_lie_elsewhere_but_are_not_written_there(project, tmp_path):
    project.events.rmdir()
    (tmp_path / "lake").mkdir()
    project.events.symlink_to(tmp_path / "lake")
    open_project(project.folder, environment={})
    with (
        pytest.raises(ProjectError, match="must stay in the project"),
        project.making(project.events / "history"),
    ):
        pass
    assert list((tmp_path / "lake").iterdir()) == []


def test_what_other_programs_have_not_finished_is_left_alone(project, tmp_path):
    """Events may be a folder in which files arrive, under other names until they are whole."""
    arriving = tmp_path / "arriving"
    project.events.rename(arriving)
    project.events.symlink_to(arriving)
    (arriving / ".orders.csv.part").write_text("half of it")
    (arriving / ".week.part").mkdir()
    open_project(project.folder, environment={})
    assert (arriving / ".orders.csv.part").read_text() == "half of it"
    assert (arriving / ".week.part").is_dir()


def test_a_link_among_leftovers_keeps_nobody_from_the_rest(project, tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").touch()
    (project.plans / ".a.dagcast.part").symlink_to(tmp_path / "victim")
    (project.plans / ".plan-0009.dagcast.part").mkdir()
    open_project(project.folder, environment={})
    assert (tmp_path / "victim" / "a").exists()
    assert [path.name for path in project.plans.iterdir()] == [".a.dagcast.part"]
