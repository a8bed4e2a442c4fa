"""A shop whose weeks are run by stand-ins: real events, store, log and gates, no model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

# What a child would load otherwise, each time again.
import duckdb  # noqa: F401
import numpy as np
import pyarrow.dataset
import pyarrow.parquet  # noqa: F401
import sqlglot  # noqa: F401
import torch  # noqa: F401
from _commands import ORDERS, _orders, _summary

from dagcast import plugins
from dagcast._whole import write_text
from dagcast.config import Config
from dagcast.config import Week as WeekSettings
from dagcast.plans import Outlook, Reading
from dagcast.plans._outlook import Estimate
from dagcast.plans._summary import LeverRow
from dagcast.plugins import Plugin, Plugins
from dagcast.plugins._load import _manager
from dagcast.project import Project, create_project, open_project
from dagcast.workflow import _week
from dagcast.workflow.common import _position
from dagcast.workflow.common._horizon import moments, open_store
from dagcast.workflow.common._newness import settings_of
from dagcast.workflow.common._seal import seal
from dagcast_core.data import MetricStore, _ingest, _read, _store  # noqa: F401

# What the stand-in of a plan spends, and what is spent now.
PLANNED, CURRENT = 900.0, 1000.0


def shop(folder: Path, **week: object) -> Project:
    """A new project with the orders of four weeks, which nobody ingested yet."""
    config = Config(week=WeekSettings(**week))
    project = create_project(folder, config)
    whole = [_orders(number).splitlines(keepends=True) for number in range(4)]
    rows = [line for lines in whole for line in lines[1:]]
    deliver(project, 0, "".join([whole[0][0], *rows]))
    return project


def deliver(project: Project, number: int, text: str | None = None) -> None:
    """The orders of a week arrive; the fifth is number 4."""
    target = project.events / f"week-{number}"
    target.mkdir()
    (target / "orders.csv").write_text(_orders(number) if text is None else text)


@contextmanager
def stood_in(**other: object) -> Iterator[None]:
    """Stages that need models leave what the real ones do; ``other`` takes the place of some."""
    found = Plugins(_manager(), (Plugin("orders", "shop", "1", None, tables=(ORDERS,)),), ())
    stages = {
        "fit": fit,
        "validate": validate,
        "backtest": backtest,
        "plan": plan,
        "review": review,
        "retro": retro,
        "promises": promises,
        **other,
    }
    with ExitStack() as stack:
        stack.enter_context(patch.object(plugins, "load_plugins", lambda **_: found))
        stack.enter_context(patch.object(_position, "open_session", MetricOf))
        stack.enter_context(patch.object(_position, "inputs_of", lambda held: held.store))
        for name, stage in stages.items():
            stack.enter_context(patch.object(_week, name, stage))
        yield


class MetricOf:
    """What stands in for a session: the store as it is."""

    def __init__(self, project: Project) -> None:
        self.store = MetricStore(project.store).manifest_id


def week(folder: Path, **other: object) -> int:
    """`dagcast week` on stand-ins."""
    with stood_in(**other):
        return _week.week(open_project(folder, environment={})).exit_code()


def fit(project: Project, *, warm: bool, progress: object, status: str = "converged") -> object:
    name = project.reserve(project.models, "fit")
    with project.making(project.models / name) as made:
        (made / "fit.json").write_text(name)
        details = {"fit": name, "status": status, "inputs": MetricOf(project).store}
        project.record("fitted", details={**details, "seal": seal(made)})
    return SimpleNamespace(fit=name, refused=(), report=SimpleNamespace(status=status))


def validate(project: Project, *, progress: object) -> object:
    write_text(project.reports / "validity.json", "{}")
    project.record("validated", details={"fit": project.newest_fit(), "passed": True})
    return SimpleNamespace(rows=())


def backtest(project: Project, *, reuse: bool, progress: object) -> object:
    write_text(project.reports / "backtest.json", "{}")
    project.record("backtested", details={"orders": 0.7})
    return SimpleNamespace(rows=())


def plan(
    project: Project, *, progress: object, whole: bool = False, status: str = "optimal"
) -> object:
    name = project.reserve(project.plans, "plan")
    store, fit = MetricOf(project).store, project.newest_fit()
    start = moments(project, open_store(project)).start
    reading = Reading("Spend", "USD/h", "", "", True)
    summary = replace(
        _summary(name),
        status=status,
        provenance={"data_id": store, "fit": fit},
        readings={"spend": reading},
        levers=(LeverRow("spend", "", PLANNED, CURRENT),),
    )
    with project.making(project.plans / name) as made:
        summary.save(made)
        outlook().save(made)
        details = {
            "horizon_start": start.isoformat(),
            "hours": 168,
            "status": status,
            "store": store,
            "fit": fit,
            "settings": settings_of(project.config),
        }
        project.record("proposed", plan=name, details={**details, "seal": seal(made)})
    return SimpleNamespace(summary=summary)


def outlook() -> Outlook:
    """Of a plan that is expected to gain 5 USD over going on as before."""
    gain = {"current": {"objective": Estimate(5.0, 1.0, 9.0)}}
    none = {"plan": {"objective": Estimate(100.0, 90.0, 110.0)}}
    hours = tuple(np.datetime_as_string(np.datetime64("2026-03-02T00") + np.arange(2)))
    return Outlook("", (), "hour", hours, 0.9, 2, None, {}, {}, {}, none, gain, {})


def review(project: Project, name: str, *, progress: object) -> object:
    path = project.reports / f"review-{name}.html"
    write_text(path, "<p>plan</p>")
    project.record("reviewed", plan=name, details={"page": path.name})
    return SimpleNamespace(page=path)


def retro(project: Project, name: str, *, progress: object) -> None:
    write_text(project.reports / f"retro-{name}.json", "{}")
    project.record("looked back", plan=name)


def promises(project: Project, *, progress: object) -> object:
    write_text(project.reports / "promises.json", '{"promises": []}')
    return SimpleNamespace(words="3 of 3 kept")
