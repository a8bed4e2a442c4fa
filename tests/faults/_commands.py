"""The commands that faults are tried on; a new one joins by a line in its table.

``STAND_INS`` need no model and take milliseconds: their plans hold the files that people decide by.
``COMMANDS`` are the real ones, each on the project as the loop has left it by then.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pandas as pd
from _attempts import Action, answered, command

from dagcast.config import Config
from dagcast.plans import LimitRow, PlanSummary
from dagcast.project import Project, create_project, open_project
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide

WEEK = "2026-03-02T00:00:00+00:00"


@dataclass(frozen=True)
class Case:
    """One command and the project that it is tried on.

    Attributes:
        name: of the case.
        words: of the command; ``{project}`` stands for the folder, which is passed anyway.
        state: which of the prepared projects it starts from; ``nothing`` is no folder.
        does: what runs instead of the command line.
    """

    name: str
    words: Sequence[str]
    state: str
    does: Callable[[Path], int] | None = None

    def on(self, folder: Path) -> Action:
        """The command on a folder."""
        if self.does is not None:
            does = self.does
            return answered(lambda: does(folder))
        words = [word.replace("{project}", str(folder)) for word in self.words]
        return command(*words, "--project", str(folder), *_MEANWHILE.get(self.state, ()))


# Decisions on a plan are taken at the moment at which it was made.
_MEANWHILE: dict[str, tuple[str, ...]] = {}
_SMALL = ("--set", "uncertainty.draws=2", "--set", "backtest.origins=1")


def propose(folder: Path, parent: str | None = None) -> int:
    """What `plan` and `edit` do once they know their figures."""
    project = open_project(folder, environment={})
    name = project.reserve(project.plans, "plan")
    with project.making(project.plans / name) as made:
        _summary(name).save(made)
        details = {"horizon_start": WEEK, "parent": parent, "seal": seal(made)}
        project.record("edited" if parent else "proposed", plan=name, details=details)
    return 0


def refit(folder: Path) -> int:
    """What `fit` does once it knows its parameters."""
    project = open_project(folder, environment={})
    name = project.reserve(project.models, "fit")
    with project.making(project.models / name) as made:
        (made / "fit.json").write_text(json.dumps({"fit": name}))
        project.record("fitted", details={"fit": name, "seal": seal(made)})
    return 0


STAND_INS = (
    Case("init", ["init"], "nothing"),
    Case("fit", [], "decided", does=refit),
    Case("plan", [], "decided", does=propose),
    Case("edit", [], "proposed", does=lambda folder: propose(folder, "plan-0002")),
    Case("approve", ["approve", "plan-0002", "--why", "fine"], "proposed"),
    Case("reject", ["reject", "plan-0002", "--why", "dear"], "proposed"),
    Case("withdraw", ["reject", "plan-0001", "--why", "dear"], "decided"),
    Case("log", ["log"], "proposed"),
    Case("repair", ["log", "--repair"], "cut off"),
)

COMMANDS = (
    Case("init", ["init"], "nothing"),
    Case("simulate", ["simulate", "--regions", "2", "--weeks", "6"], "nothing"),
    Case("ingest", ["ingest"], "simulated"),
    Case("check", ["check"], "ingested"),
    Case("fit", ["fit", *_SMALL], "ingested"),
    Case("validate", ["validate", *_SMALL], "fitted"),
    Case("plan", ["plan", *_SMALL], "fitted"),
    Case("edit", ["edit", "--scale", "0.5", "--why", "less", *_SMALL], "planned"),
    Case("review", ["review"], "planned"),
    Case("approve", ["approve", "--why", "fine"], "planned"),
    Case("reject", ["reject", "--why", "dear"], "planned"),
    Case("play", ["simulate", "--play"], "approved"),
    Case("retro", ["retro", *_SMALL], "happened"),
    Case("log", ["log"], "happened"),
)

# How the loop goes on from each state; what is made once is copied for every case.
LOOP = (
    ("simulated", ["simulate", "--regions", "2", "--weeks", "6", "--seed", "3"]),
    ("ingested", ["ingest"]),
    ("fitted", ["fit", *_SMALL]),
    ("planned", ["plan", *_SMALL]),
    ("approved", ["approve", "--why", "fine"]),
    ("played", ["simulate", "--play"]),
    ("happened", ["ingest"]),
)


def stand_in(folder: Path, state: str) -> None:
    """Make the project that a case of ``STAND_INS`` starts from."""
    if state == "nothing":
        return
    project = create_project(folder, Config())
    refit(folder)
    propose(folder)
    _decide.approve(project, "plan-0001", who="ben")
    if state == "decided":
        return
    _decide.reject(project, "plan-0001", who="ben", why="a better one comes")
    propose(folder)
    if state == "cut off":
        with (folder / "log.jsonl").open("ab") as file:
            file.write(b'{"at": "2026-')


@contextmanager
def known_world() -> Iterator[None]:
    """A store for the gate of approval that observed what stand-in plans were made on."""

    class Store:
        manifest_id = "data-1"

    now = pd.Timestamp(WEEK)
    with (
        patch.object(_decide, "open_store", lambda project: Store()),
        patch.object(_decide, "moments", lambda *given: Moments(now, now, now, now, now)),
    ):
        yield


def copied(states: Path, state: str, folder: Path) -> None:
    """Lay a prepared project out in a folder."""
    if state != "nothing":
        shutil.copytree(states / state, folder)


def opened(folder: Path) -> Project:
    """The project in a folder, under the settings of its file alone."""
    return open_project(folder, environment={})


def _summary(name: str) -> PlanSummary:
    return PlanSummary(
        plan=name,
        kind="optimised",
        status="optimal",
        message="",
        kkt_residual=0.0,
        worst_violation=0.0,
        gap_bound=None,
        objective="profit",
        objective_unit="USD",
        levers=(),
        readings={},
        budgets=(LimitRow("spend", "", "<=", 9.0, 10.0, "USD", 0.0, "", False),),
        guardrails=(),
        sensitivities=(),
        flagged=(),
        repeated=(),
        provenance={"data_id": "data-1", "fit": "fit-0001"},
        seconds=1.0,
    )
