"""A project whose plans are made up, with all the files that people decide by and products read."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pytest

from dagcast.config import Config
from dagcast.plans import LeverRow, LimitRow, PlanSummary, Reading
from dagcast.project import Project, create_project, open_project
from dagcast.workflow.common import _against, _wording
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide

WEEK = "2026-03-02T00:00:00+00:00"
HOURS = 48
ZONES = {"east": "America/New_York", "west": "America/Los_Angeles"}
SPEND = Reading("Spend", "USD/h", "money", "", True)
# Who is what in these tests.
ROLES = {
    "roles.viewer": '["cleo"]',
    "roles.analyst": '["ana"]',
    "roles.approver": '["ben", "dan"]',
    "roles.overruler": '["eve"]',
}


@dataclass
class World:
    """What the project's store knows, as the gate asks for it."""

    manifest_id: str = "data-1"
    present: str = WEEK


@pytest.fixture
def world(monkeypatch):
    """A store that observed everything before the plans' hours, and nothing after."""
    made = World()

    def moments(project, store):
        now = pd.Timestamp(project.config.data.as_of or made.present)
        return Moments(now, now, now, now, now)

    for module in (_decide, _against):
        monkeypatch.setattr(module, "open_store", lambda project: made)
    monkeypatch.setattr(_against, "moments", moments)
    monkeypatch.setattr(_wording, "zones_of", lambda project: ZONES)
    return made


@dataclass
class Market:
    """A project, and what can be done to it without any model."""

    project: Project

    def under(self, **flags: str) -> Project:
        """The project under further settings, such as ``approval__alone_up_to="1000"``."""
        return open_project(self.project.folder, flags=self.flags(**flags), environment={})

    @staticmethod
    def flags(**flags: str) -> dict[str, str]:
        """The same as dotted settings, over the roles of these tests."""
        return {**ROLES, **{name.replace("__", "."): str(v) for name, v in flags.items()}}

    def propose(
        self,
        *,
        parent: str | None = None,
        who: str = "robot",
        spend: float = 900.0,
        start: str = WEEK,
        values: Mapping[str, list[float]] | None = None,
        limit: float = 1000.0,
        broken: bool = False,
    ) -> str:
        """A plan that spends so much, evenly, or as it is told."""
        project = self.project
        name = project.reserve(project.plans, "plan")
        hours = pd.date_range(start, periods=HOURS, freq="h")
        each = spend / (2 * HOURS)
        cells = values or {region: [each] * HOURS for region in ZONES}
        rows = [
            ("spend", region, hour, value, "USD/h")
            for region, own in cells.items()
            for hour, value in zip(hours, own, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=["lever", "region", "hour", "value", "unit"])
        total = float(frame["value"].sum())
        with project.making(project.plans / name) as folder:
            self.summary(name, total, limit, broken=broken, edited=parent is not None).save(folder)
            frame.to_parquet(folder / "decisions.parquet", index=False)
            details = {
                "horizon_start": pd.Timestamp(start).isoformat(),
                "hours": HOURS,
                "parent": parent,
                "seal": seal(folder),
                "spend": {"USD": round(total, 2)},
            }
            project.record("edited" if parent else "proposed", plan=name, who=who, details=details)
        return name

    @staticmethod
    def summary(name, total, limit, *, broken, edited):
        used = 1.2 * limit if broken else min(total, limit)
        row = LimitRow(
            "spend", "", "<=", used, limit, "USD", 0.0, "", False, None, "Spend", "money"
        )
        return PlanSummary(
            plan=name,
            kind="edited" if edited else "optimised",
            status="infeasible" if broken else "optimal",
            message="",
            kkt_residual=0.0,
            worst_violation=0.2 if broken else 0.0,
            gap_bound=None,
            objective="profit",
            objective_unit="USD",
            levers=(LeverRow("spend", "", total, 1000.0),),
            readings={"spend": SPEND},
            budgets=(row,),
            guardrails=(),
            sensitivities=(),
            flagged=(),
            repeated=(),
            provenance={"data_id": "data-1", "fit": "fit-0001"},
            seconds=1.0,
            bounds={"spend": (0.0, 40.0)},
        )


@pytest.fixture
def market(tmp_path, world):
    made = create_project(tmp_path / "p", Config())
    made.record("fitted", details={"fit": "fit-0001"})
    return Market(made)
