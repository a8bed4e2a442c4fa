"""Which table says how far history goes, and what is said of a misspelt one."""

import importlib.metadata

import pandas as pd
import pytest

from dagcast.config import Config, Data
from dagcast.errors import ConfigError
from dagcast.project import Project, create_project
from dagcast.workflow.common._horizon import moments
from dagcast.workflow.common._session import open_session
from dagcast_core.data import Column, EventTable, MetricSpec, MetricStore

START = pd.Timestamp("2025-01-06T00:00Z").as_unit("us")
WEEKS = {"orders": 4, "pings": 5}


def rows(name: str) -> pd.DataFrame:
    """Pings go on longer, and orders are more."""
    hours = pd.date_range(START, periods=WEEKS[name] * 168, freq="h", unit="us")
    sites = ("east", "west") if name == "orders" else ("east",)
    return pd.concat([pd.DataFrame({"site": site, "at": hours}) for site in sites])


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "distributions", lambda **_: iter(()))
    made = create_project(tmp_path / "p", Config())
    store = MetricStore(made.store)
    for name in WEEKS:
        table = EventTable(
            name=name,
            columns=(Column("site", "text"), Column("at", "instant")),
            time="at",
            dims={"site": "site"},
            empty="zero",
            sums=(),
            metrics=(MetricSpec(name, "n", "event/h"),),
        )
        store.ingest(table, rows(name))
    return made


def beating(project: Project, heartbeat: str | None) -> Project:
    return Project(project.folder, Config(data=Data(heartbeat=heartbeat)))


@pytest.mark.parametrize(
    ("heartbeat", "weeks"), [(None, 4), ("orders", 4), ("pings", 5), ("not ingested", 4)]
)
def test_history_ends_with_the_heartbeat_or_else_the_table_with_most_rows(
    project, heartbeat, weeks
):
    times = moments(beating(project, heartbeat), MetricStore(project.store))
    assert times.start == START + pd.Timedelta(weeks=weeks)


def test_a_heartbeat_that_is_no_table_is_refused(project):
    assert open_session(beating(project, "pings")).times.start == START + pd.Timedelta(weeks=5)
    with pytest.raises(ConfigError) as caught:
        open_session(beating(project, "ping"))
    assert str(caught.value) == (
        "expected [data] heartbeat of dagcast.toml to be a table (orders, pings); found 'ping'. "
        "Did you mean 'pings'?"
    )
