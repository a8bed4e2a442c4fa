"""The commands that faults are tried on; a new one joins by a line in its table.

``STAND_INS`` need no model and take milliseconds: their plans hold the files that people decide by.
``COMMANDS`` are the real ones, each on the project as the loop has left it by then.
"""

import importlib
import json
import pickle
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pandas as pd
from _attempts import Action, answered, command, in_child

from dagcast import plugins
from dagcast._whole import write_text
from dagcast.config import Config
from dagcast.plans import LimitRow, PlanSummary, Reading
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast.plugins._load import _manager
from dagcast.project import Project, create_project, open_project
from dagcast.release import REQUIRED_GATES, GateResult, promote, propose, rollback, verify
from dagcast.workflow.common import _against
from dagcast.workflow.common._horizon import Moments
from dagcast.workflow.common._seal import seal
from dagcast.workflow.stages import _decide, _ingest
from dagcast_core.data import Column, EventTable, MetricSpec

WEEK = "2026-03-02T00:00:00+00:00"
LATER = "2026-03-09T00:00:00+00:00"


@dataclass(frozen=True)
class Case:
    """One command and the project that it is tried on.

    Attributes:
        name: of the case.
        words: of the command; ``{project}`` stands for the folder.
        state: which of the prepared projects it starts from; ``nothing`` is no folder.
        does: what runs instead of the command line.
        exact: whether two runs of it write the same bytes; pages and real fits hold moments.
        writes: whether it sweeps what it may have left hidden, and its store.
        asks: the option that names the folder; empty where the words do.
    """

    name: str
    words: Sequence[str]
    state: str
    does: Callable[[Path], int] | None = None
    exact: bool = True
    writes: bool = True
    asks: str = "--project"

    def on(self, folder: Path) -> Action:
        """The command on a folder."""
        if self.does is not None:
            does = self.does
            return answered(lambda: does(folder))
        words = [word.replace("{project}", str(folder)) for word in self.words]
        ran = command(*words, *([self.asks, str(folder)] if self.asks else []))
        return lambda: worked(self.name, ran)


_DESIGN = ("experiments", "design", "driver_hours", "--window", "28", "--draws", "50")
_RIVALS = ("eta=dagcast-eta", "rides=dagcast-pricing", "--set", "backtest.workers=1")
_WHEEL = "{project}/in_force-1-py3-none-any.whl"
_SMALL = ("--set", "uncertainty.draws=2", "--set", "backtest.origins=1")


def proposed(folder: Path, parent: str | None = None, *, start: str = WEEK) -> int:
    """What `plan` and `edit` do once they know their figures."""
    project = open_project(folder, environment={})
    name = project.reserve(project.plans, "plan")
    with project.making(project.plans / name) as made:
        _summary(name).save(made)
        _decisions(start).to_parquet(made / "decisions.parquet", index=False)
        details = {"horizon_start": start, "parent": parent, "seal": seal(made)}
        project.record("edited" if parent else "proposed", plan=name, details=details)
    return 0


def _decisions(start: str) -> pd.DataFrame:
    """Two cells, which an approval releases."""
    hours = pd.date_range(start, periods=2, freq="h")
    cells = {"lever": "spend", "site": "east", "hour": hours, "value": 4.5, "unit": "USD/h"}
    return pd.DataFrame(cells)


def refit(folder: Path) -> int:
    """What `fit` does once it knows its parameters."""
    project = open_project(folder, environment={})
    name = project.reserve(project.models, "fit")
    with project.making(project.models / name) as made:
        (made / "fit.json").write_text(json.dumps({"fit": name}))
        project.record("fitted", details={"fit": name, "seal": seal(made)})
    return 0


def ingested(folder: Path) -> int:
    """`ingest` of the one table that the stand-ins have."""
    _ingest.ingest(open_project(folder, environment={}))
    return 0


def played(folder: Path) -> int:
    """What `simulate --play` does once it knows what happened."""
    project = open_project(folder, environment={})
    with project.making(project.events / "played-2026-03-02") as made:
        (made / "orders.csv").write_text(_orders(2))
        details = {"made": "events/played-2026-03-02"}
        project.record("played", plan="plan-0001", details=details)
    return 0


def looked_back(folder: Path) -> int:
    """What `retro` does once it knows the regret."""
    project = open_project(folder, environment={})
    write_text(project.reports / "retro-plan-0001.html", "<p>regret</p>")
    project.record("looked back", plan="plan-0001", details={"page": "retro-plan-0001.html"})
    return 0


def promoted(folder: Path) -> int:
    """`release promote` of a candidate that was verified."""
    promote(folder / "releases", "1")
    return 0


def verified(folder: Path) -> int:
    """`release verify` of a candidate whose gates all pass."""
    _verify(folder / "releases", "3")
    return 0


def rolled_back(folder: Path) -> int:
    """`release rollback` to the one before."""
    rollback(folder / "releases")
    return 0


STAND_INS = (
    Case("init", ["init"], "nothing", exact=False),
    Case("fit", [], "decided", does=refit),
    Case("plan", [], "decided", does=proposed),
    Case("edit", [], "proposed", does=lambda folder: proposed(folder, "plan-0002")),
    Case("approve", ["approve", "plan-0002", "--why", "fine"], "proposed"),
    Case("reject", ["reject", "plan-0002", "--why", "dear"], "proposed"),
    Case("withdraw", ["reject", "plan-0001", "--why", "dear"], "decided"),
    Case("log", ["log"], "proposed"),
    Case("repair", ["log", "--repair"], "cut off"),
    Case("ingest", [], "busy", does=ingested),
    Case("play", [], "busy", does=played),
    Case("retro", [], "busy", does=looked_back),
    Case("promote", [], "busy", does=promoted, exact=False),
    Case("verify", [], "proposed release", does=verified, exact=False),
    Case("rollback", [], "two releases", does=rolled_back, exact=False),
)

# What two people may start at one moment: all from one project, and each of it possible there.
AT_ONCE = (
    Case("ingest", [], "busy", does=ingested),
    Case("fit", [], "busy", does=refit),
    Case("plan", [], "busy", does=lambda folder: proposed(folder, start=LATER)),
    Case("edit", [], "busy", does=lambda folder: proposed(folder, "plan-0002", start=LATER)),
    Case("approve", ["approve", "plan-0002", "--why", "fine"], "busy"),
    Case("reject", ["reject", "plan-0002", "--why", "dear"], "busy"),
    Case("play", [], "busy", does=played),
    Case("retro", [], "busy", does=looked_back),
    Case("promote", [], "busy", does=promoted),
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
    Case("accept", ["data", "accept", "region", "SEA"], "ingested"),
    Case("log", ["log"], "happened"),
    Case("backtest", ["backtest", "--set", "backtest.workers=1", *_SMALL], "fitted"),
    Case("forecast", ["forecast", *_SMALL], "fitted"),
    Case("promises", ["promises"], "happened"),
    Case("design", [*_DESIGN, "--schedule", "{project}/trial.csv"], "ingested"),
    Case("compare", ["compare", *_RIVALS, *_SMALL], "fitted"),
    Case("register", ["experiments", "add", "{project}/found.json", "--why", "x"], "ingested"),
    Case("new", ["new", "rain"], "workspace", asks="--workspace"),
    Case("new repository", ["new", "rain", "--as", "repository"], "workspace", asks="--workspace"),
    Case("new notebook", ["new", "rain", "--as", "notebook"], "workspace", asks="--workspace"),
    Case("snapshot", ["snapshot"], "workspace", asks="--workspace"),
    Case("export", ["contracts", "export", "{project}/c.json"], "workspace", asks=""),
    Case("export wheel", ["contracts", "export", _WHEEL], "workspace", asks=""),
    Case("hand out", ["export", "plan-0001", "--to", "{project}/plan.csv"], "planned"),
    Case("send back", ["send-back", "--why", "less"], "planned"),
    Case("comment", ["comment", "--why", "fewer flights"], "planned"),
    Case("halt", ["halt", "--why", "wrong"], "planned"),
    Case("access", ["access", "add", "ada"], "planned", exact=False),
    Case("try", ["try", "eta", "--no-conformance", *_SMALL], "fitted"),
    Case("propose", ["release", "propose", "1"], "workspace", asks="--releases"),
)

# They read, or do what others above do.
NOT_TRIED = {
    "access list", "access remove", "doctor", "resume", "serve",
    "contracts copy", "contracts list", "contracts show", "data diff", "data list", "data quality",
    "data show", "demo", "experiments list", "experiments show", "graph", "loop", "release show",
    "status", "what-if",
}  # fmt: skip

# Work of models and worlds, which writes nothing: it is done once for each command, whichever
# module asks for it.
WORK = (
    "dagcast.workflow.common._fits.fit_collection",
    "dagcast.workflow.common._fits.draw_parameters",
    "dagcast.workflow.common._keep.outlook_of",
    "dagcast_core.decide.solve",
    "dagcast_core.decide.what_if",
    "dagcast_core.decide.retrospect",
    "dagcast_core.evaluate.causal_validity",
)

_DONE: dict[str, dict[tuple[str, int], object]] = {}


def worked(name: str, action: Action) -> int:
    """Run a command with the work that was done when it was rehearsed."""
    done, calls = _DONE.get(name), defaultdict[str, int](int)
    if done is None:
        return action()
    with ExitStack() as stack:
        for place in WORK:
            module, _, function = place.rpartition(".")
            real = getattr(importlib.import_module(module), function)
            again = _recalled(place, real, done, calls)
            for owner in _having(function, real):
                stack.enter_context(patch.object(owner, function, again))
        return action()


def _having(name: str, what: object) -> list[ModuleType]:
    """Modules of ours that have something under its name; those that come later take it there."""
    modules = [module for key, module in sys.modules.items() if key.startswith("dagcast")]
    return [module for module in modules if vars(module).get(name) is what]


def _recalled(
    place: str,
    real: Callable[..., object],
    done: dict[tuple[str, int], object],
    calls: dict[str, int],
) -> Callable[..., object]:
    def recalled(*given: object, **named: object) -> object:
        calls[place] += 1
        key = (place, calls[place])
        if key not in done:
            done[key] = real(*given, **named)
        return done[key]

    return recalled


def rehearse(case: Case, states: Path, work: Path) -> None:
    """Do the work of a command once, which the processes that are forked later then know.

    It is done in a process of its own, since what DuckDB and Arrow start here would hang in those;
    what cannot be handed over is done again each time.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    copied(states, case.state, work / "p")
    handed = work / "done"

    def work_once() -> int:
        _DONE[case.name] = {}
        code = case.on(work / "p")()
        kept = {}
        for key, value in _DONE[case.name].items():
            with suppress(Exception):
                kept[key] = pickle.dumps(value)
        handed.write_bytes(pickle.dumps((kept, sorted(sys.modules))))
        return code

    outcome = in_child(work_once)
    # A proposal may break limits, and an experiment disagree.
    assert outcome.code in (0, 3, 4), f"{case.name} ends with {outcome}"
    kept, modules = pickle.loads(handed.read_bytes())
    for module in modules:
        # Some are made by others, and cannot be imported by name.
        with suppress(ImportError):
            importlib.import_module(module)
    _DONE[case.name] = {key: pickle.loads(value) for key, value in kept.items()}


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
    if state == "workspace":
        workspace(folder)
        return
    project = create_project(folder, Config())
    refit(folder)
    proposed(folder)
    _decide.approve(project, "plan-0001", who="ben")
    if state == "decided":
        return
    if state == "busy":
        proposed(folder, start=LATER)
        for week in range(2):
            (project.events / f"week-{week}").mkdir()
            (project.events / f"week-{week}" / "orders.csv").write_text(_orders(week))
        _release_candidates(folder / "releases", "1", "2")
        return
    if state == "two releases":
        for name in ("1", "2"):
            _release_candidates(folder / "releases", name)
            promote(folder / "releases", name)
        return
    if state == "proposed release":
        propose(folder / "releases", load_plugins(), name="3", data="none")
        return
    _decide.reject(project, "plan-0001", who="ben", why="a better one comes")
    proposed(folder)
    if state == "cut off":
        with (folder / "log.jsonl").open("ab") as file:
            file.write(b'{"at": "2026-')


@contextmanager
def known_world() -> Iterator[None]:
    """A store for the gate of approval that observed what stand-in plans were made on."""

    class Store:
        manifest_id = "data-1"

    now = pd.Timestamp(WEEK)
    found = Plugins(_manager(), (Plugin("orders", "shop", "1", None, tables=(ORDERS,)),), ())
    with (
        patch.object(plugins, "load_plugins", lambda **_: found),
        patch.object(_decide, "open_store", lambda project: Store()),
        patch.object(_against, "open_store", lambda project: Store()),
        patch.object(_against, "moments", lambda *given: Moments(now, now, now, now, now)),
    ):
        yield


ORDERS = EventTable(
    name="orders",
    columns=(Column("site", "text"), Column("at", "instant")),
    time="at",
    dims={"site": "site"},
    empty="zero",
    sums=(),
    metrics=(MetricSpec("orders", "n", "event/h"),),
)


def _orders(week: int) -> str:
    hours = pd.date_range(WEEK, periods=168, freq="h") - pd.Timedelta(weeks=4 - week)
    return "site,at\n" + "".join(f"east,{hour.isoformat()}\n" for hour in hours)


def workspace(folder: Path) -> None:
    """A workspace with a package that is installed, and has no contract.json."""
    (folder / "packages" / "eta").mkdir(parents=True)
    (folder / "packages/eta/pyproject.toml").write_text('[project]\nname = "dagcast-eta"\n')
    root = '[project]\nname = "all"\n[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    (folder / "pyproject.toml").write_text(root)


class _Passed:
    """A gate that every candidate passes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, candidate: object, current: object) -> GateResult:
        return GateResult(self.name, True, "")


def _release_candidates(releases: Path, *names: str) -> None:
    for name in names:
        propose(releases, load_plugins(), name=name, data="none")
        _verify(releases, name)


def _verify(releases: Path, name: str) -> None:
    gates = [_Passed(gate) for gate in REQUIRED_GATES]
    verify(releases, name, load_plugins(), gates, together=True)


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
        readings={"spend": Reading("Spend", "USD/h", "money", "", True)},
        budgets=(LimitRow("spend", "", "<=", 9.0, 10.0, "USD", 0.0, "", False),),
        guardrails=(),
        sensitivities=(),
        flagged=(),
        repeated=(),
        provenance={"data_id": "data-1", "fit": "fit-0001"},
        seconds=1.0,
    )
