"""What entered the store is in the log, and what a command reads is one content."""

import hashlib
import importlib.metadata
import json
import shutil

import pandas as pd
import pytest

from dagcast import plugins
from dagcast.config import Config
from dagcast.errors import DagcastError, ProjectError
from dagcast.journal import Journal
from dagcast.plugins import Plugin, Plugins
from dagcast.plugins._load import _manager
from dagcast.project import Project, create_project
from dagcast.workflow.common._seal import seal
from dagcast.workflow.common._session import open_session
from dagcast.workflow.stages._accept import accept_labels
from dagcast.workflow.stages._check import check
from dagcast.workflow.stages._ingest import ingest
from dagcast_core.data import Column, DataError, EventTable, MetricSpec, MetricStore
from dagcast_core.data._manifest import sampled

LONG = pd.Timedelta(days=99)
START = pd.Timestamp("2025-01-06T00:00Z").as_unit("us")
TABLE = EventTable(
    name="orders",
    columns=(Column("site", "text"), Column("at", "instant")),
    time="at",
    dims={"site": "site"},
    empty="zero",
    sums=(),
    metrics=(MetricSpec("orders", "n", "event/h"),),
)


def rows(week: int, site: str = "east") -> pd.DataFrame:
    hours = pd.date_range(START + pd.Timedelta(weeks=week), periods=168, freq="h", unit="us")
    return pd.DataFrame({"site": site, "at": hours})


def arrive(project: Project, folder: str, frame: pd.DataFrame) -> None:
    (project.events / folder).mkdir()
    frame.to_csv(project.events / folder / "orders.csv", index=False)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: iter(()))
    found = Plugins(_manager(), (Plugin("orders", "shop", "1", None, tables=(TABLE,)),), ())
    monkeypatch.setattr(plugins, "load_plugins", lambda **_: found)
    made = create_project(tmp_path / "p", Config())
    for week in range(4):
        arrive(made, f"week-{week}", rows(week))
    return made


def events(project: Project) -> list[str]:
    return [entry.event for entry in project.journal.entries()]


def test_ingestion_that_was_killed_before_its_line_is_logged_by_the_next(project, monkeypatch):
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Project, "record_found", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(project)
    assert events(project) == ["created"]
    assert ingest(project).unchanged == 4
    assert events(project) == ["created", "ingested"]
    ingest(project)
    assert events(project) == ["created", "ingested"]
    held = MetricStore(project.store).manifest_id
    assert project.journal.entries()[-1].details["store"] == held


def test_what_entered_before_a_folder_that_is_wrong_is_logged(project):
    (project.events / "week-3" / "orders.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"orders\.csv"):
        ingest(project)
    assert project.journal.entries()[-1].details["rows"] == {"orders": [3 * 168, 3 * 168]}


def test_accepted_labels_are_no_unknown_store(project):
    ingest(project)
    accept_labels(project, "site", ("west",))
    ingest(project)
    before = events(project)
    ingest(project)
    assert events(project) == before


@pytest.mark.parametrize("already", [(), ("west",), ("north",)])
def test_acceptance_that_was_killed_before_its_line_is_done_again(project, monkeypatch, already):
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    ingest(project)
    if already:
        accept_labels(project, "site", already)
    with monkeypatch.context() as broken:
        broken.setattr(Project, "record_found", killed)
        with pytest.raises(KeyboardInterrupt):
            accept_labels(project, "site", ("west", "south"))
    with pytest.raises(ProjectError, match="`dagcast data accept` was killed"):
        open_session(project)
    with pytest.raises(ProjectError, match="as the last ingestion left it"):
        accept_labels(project, "site", ("west",))
    accept_labels(project, "site", ("west", "south"))
    open_session(project)
    assert events(project)[-1] == "accepted"


def test_a_session_reads_and_names_the_store_that_it_was_opened_on(project):
    """Also where an ingestion comes in between: a fit names the data that it was fitted on."""
    ingest(project)
    session = open_session(project)
    first = session.provenance()["data_id"]
    arrive(project, "week-4", rows(4))
    ingest(project)
    assert session.provenance()["data_id"] == first != MetricStore(project.store).manifest_id
    assert session.store.spans()["orders"].rows == 4 * 168


def test_log_of_an_earlier_version_gets_no_line_for_nothing(project):
    ingest(project)
    journal = project.folder / "log.jsonl"
    lines = [line for line in project.journal.entries() if line.event == "created"]
    journal.unlink()
    journal.with_suffix(".head").unlink()
    for line in lines:
        project.journal.append(line)
    project.record("ingested", details={"rows": {}})
    ingest(project)
    assert events(project) == ["created", "ingested"]


def test_failure_of_the_log_is_not_silent(project):
    (project.folder / "log.jsonl").write_bytes(b"{")
    with pytest.raises(DagcastError, match="log"):
        ingest(project)


def changed_as_a_whole(project: Project) -> None:
    """What somebody leaves who changes a ledger and makes all digests right again."""
    other = MetricStore(project.folder.parent / "other")
    other.ingest(TABLE, rows(0))
    other.ingest(TABLE, rows(1))
    shutil.rmtree(project.store)
    shutil.copytree(other.folder, project.store)


def test_store_that_the_log_does_not_know_is_not_read(project):
    ingest(project)
    changed_as_a_whole(project)
    for act in (lambda: open_session(project), lambda: accept_labels(project, "site", ("west",))):
        with pytest.raises(ProjectError, match="as the last ingestion left it"):
            act()
    assert check(project).damage[0].startswith("expected the store")
    lines = len(events(project))
    ingest(project)
    assert len(events(project)) == lines + 1
    open_session(project)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("what", "change", "words"),
    [
        ("store/ledgers/orders/*", cut, "cannot trust the metric store"),
        ("store/store.json", lambda path: path.unlink(), "says what counts"),
        ("store/cache/*", cut, "cached cubes"),
        ("plans/plan-0001/a", cut, "another a than was written"),
        ("plans/plan-0001", shutil.rmtree, "the folder of plan-0001"),
        ("models/fit-0001/a", lambda path: path.unlink(), "no a"),
        ("models/fit-0001", shutil.rmtree, "the folder of fit-0001"),
    ],
)
def test_check_names_what_is_not_as_it_was_written(project, what, change, words):
    ingest(project)
    MetricStore(project.store).read(
        ["orders"], start=START, end=START + pd.Timedelta(hours=3), as_of=START + LONG
    )
    for kind, name, event in (("plans", "plan-0001", "proposed"), ("models", "fit-0001", "fitted")):
        with project.making(project.folder / kind / name) as made:
            (made / "a").write_text("whole")
            details = {"horizon_start": str(START), "seal": seal(made)}
            details |= {"fit": name} if kind == "models" else {}
            plan = name if kind == "plans" else None
            project.record(event, plan=plan, details=details)
    assert check(project).damage == ()
    change(next(project.folder.glob(what)))
    result = check(project)
    assert len(result.damage) == 1
    assert words in result.damage[0]
    assert result.exit_code() == 3


def test_deep_check_reads_what_samples_leave_out(project, monkeypatch):
    ingest(project)
    asked = []
    monkeypatch.setattr(MetricStore, "verify", lambda self, *, deep: asked.append(deep))
    check(project)
    check(project, deep=True)
    assert asked == [False, True]


def forged(project: Project) -> None:
    """Merged ledgers with other figures, and every digest beside them made right again."""
    place = project.store / "compacted"
    index = json.loads((place / "index.json").read_text())
    for entry in (entry for entries in index.values() for entry in entries):
        path = place / entry["file"]
        frame = pd.read_parquet(path)
        if "n" in frame:
            frame.assign(n=frame["n"] * 3).to_parquet(path, index=False)
            entry["sample"] = sampled(path)
            entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (place / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("way", ["ingest", "remove"])
def test_merged_ledgers_that_the_log_does_not_know_are_not_read(project, monkeypatch, way):
    monkeypatch.setattr("dagcast_core.data._compact.LOADS", 2)
    ingest(project)
    held = MetricStore(project.store).manifest_id
    right = bits(project)
    assert any((project.store / "compacted").glob("*.parquet"))
    forged(project)
    assert bits(project) != right
    with pytest.raises(ProjectError, match="merged ledgers in .* as the last ingestion left them"):
        open_session(project)
    assert "merged ledgers" in check(project).damage[0]
    if way == "ingest":
        ingest(project)
    else:
        shutil.rmtree(project.store / "compacted")
    assert bits(project) == right
    open_session(project)
    assert MetricStore(project.store).manifest_id == held


def bits(project: Project) -> bytes:
    store = MetricStore(project.store)
    end = START + pd.Timedelta(weeks=4)
    panel = store.read(["orders"], start=START, end=end, as_of="2100", cache=False)
    return panel["orders"].tensor.numpy().tobytes()


def test_an_ingestion_logs_the_store_as_it_is_when_the_line_is_written(project, monkeypatch):
    """Another one may come between the end of the reading and the line."""
    real = Journal.append_found

    def late(journal, found):
        monkeypatch.setattr(Journal, "append_found", real)
        arrive(project, "week-4", rows(4))
        ingest(project)
        real(journal, found)

    monkeypatch.setattr(Journal, "append_found", late)
    ingest(project)
    assert project.logged_store() == MetricStore(project.store).manifest_id
