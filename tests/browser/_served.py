"""The desk at a free port of loopback, on a project of a made-up plan."""

import contextlib
import threading
import time

import pandas as pd
import uvicorn

from dagcast import access, workflow
from dagcast.config import Config
from dagcast.plans import PlanSummary
from dagcast.project import create_project
from dagcast.serve import Desk
from dagcast.serve import _evaluate as evaluate
from dagcast.workflow.common import _against
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide

FLAGS = {
    "roles.viewer": '["cleo"]',
    "roles.analyst": '["ana"]',
    "roles.approver": '["ben", "dan"]',
}
# What one more dollar brings at the plan, and how that falls with each dollar.
SLOPE, BEND = 0.5, -0.02


def proposed(project, market):
    """A plan of the market in the log, with its figures; its page is made in memory."""
    name = project.reserve(project.plans, "plan")
    hours = pd.DatetimeIndex(market.outlook.hours)
    with project.making(project.plans / name) as folder:
        market.summary.save(folder)
        details = {
            "horizon_start": hours[0].isoformat(),
            "hours": len(hours),
            "parent": None,
            "seal": seal(folder),
            "spend": {"USD": 2000.0},
        }
        project.record("proposed", plan=name, who="robot", details=details)
    return name


def model_of(market):
    """A local model whose every figure is known: a tenth of a dollar in each cell."""
    rows, hours = list(market.outlook.rows), list(market.outlook.hours)
    count = len(rows) * len(hours)
    lever = {
        "title": "Incentive spend",
        "adds": True,
        "dims": [market.outlook.dim],
        "labels": [rows],
        "hours": hours,
        "gradient": [SLOPE] * count,
        "curvature": [BEND] * count,
        "plan": [1.0] * count,
    }
    return {"levers": {"spend": lever}, "objective": "USD", "maximises": "profit", "spend": "USD"}


class Server:
    """The desk, and who may sign in."""

    def __init__(self, project, market, address):
        self.project, self.market, self.address = project, market, address

    def token(self, who):
        return access.grant(self.project, who)


@contextlib.contextmanager
def served(folder, market, page, monkeypatch):
    """Serve a project with one proposed plan of a market, whose page is given."""
    project = create_project(folder, Config())
    project.record("fitted", details={"fit": str(market.summary.provenance.get("fit"))})
    start = pd.Timestamp(market.outlook.hours[0])

    class Store:
        manifest_id = market.summary.provenance.get("data_id", "data-1")

    monkeypatch.setattr(_decide, "open_store", lambda project: Store())
    monkeypatch.setattr(_against, "open_store", lambda project: Store())
    monkeypatch.setattr(_against, "moments", lambda *given: Moments(*[start] * 5))
    monkeypatch.setattr(_against, "failed_gates", lambda *given: [])
    monkeypatch.setattr(PlanSummary, "broken", ())
    monkeypatch.setattr(workflow, "page_of", lambda *given, **named: page)
    monkeypatch.setattr(evaluate.Evaluator, "_model", lambda *given: model_of(market))
    proposed(project, market)
    desk = Desk(folder, FLAGS, "owner")
    config = uvicorn.Config(desk.app(), port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Server(project, market, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(10)
