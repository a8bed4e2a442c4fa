"""Files of an approved plan for the product: in steps that it can carry out, by both clocks."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dagcast.errors import GateError, PlanStateError, ProjectError, UsageError
from dagcast.figures import currency
from dagcast.journal import describe, stopped
from dagcast.plans import LEVER, UNIT, VALUE, PlanSummary
from dagcast.project import Project, current_user
from dagcast.workflow.common._plan_files import DECISIONS, load_decisions, plan_folder
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._seal import seal, verify
from dagcast.workflow.common._wording import clocks_of

if TYPE_CHECKING:
    import pandas as pd

# What money is paid in where the settings name no step.
_CENT = 0.01
_NEAR = 1e-9


@final
@dataclass(frozen=True)
class ReleasedPlan(Result):
    """The files of a released plan.

    Attributes:
        folder: the project.
        plan: the plan.
        files: each with its sha256, as the log has it.
        totals: lever -> (planned, released), sums over all cells, or means of prices.
        steps: lever -> step, of levers that are rounded.
    """

    folder: Path
    plan: str
    files: dict[str, str]
    totals: dict[str, tuple[float, float]]
    steps: dict[str, float]

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple((name, digest) for name, digest in self.files.items())
        sums = tuple(
            (lever, f"{planned:,.2f}", f"{released:,.2f}", f"{self.steps.get(lever, 0):g}")
            for lever, (planned, released) in self.totals.items()
        )
        place = self.folder / "released" / self.plan
        return (
            ResultTable(f"Released {self.plan}", ("file", "sha256"), rows, f"in {place}"),
            ResultTable("Rounded", ("lever", "planned", "released", "step"), sums),
        )

    def next_command(self) -> str:
        return f"dagcast retro --project {self.folder}    (once the week is over and ingested)"


def release_plan(
    project: Project, plan: str | None = None, *, who: str | None = None
) -> ReleasedPlan:
    """Write the files of an approved plan, the newest approved one by default, and log them.

    Amounts are rounded along the hours of each series, so that its sum is less than one step below
    the plan's and never above it; hours in which nothing is planned stay empty, and no cell leaves
    its bounds. Prices are rounded to the nearest step.

    Raises:
        GateError: releases are stopped, or the rules do not let whoever asks.
        PlanStateError: it is not approved, or it is released already.
        ProjectError: its folder is gone or was changed, or no plan is approved.
    """
    who = who or current_user()
    project.rules.require(who, "approve")
    entries = project.journal.entries()
    if (halt := stopped(entries)) is not None:
        raise GateError(
            "releases to be open",
            f"stopped by {halt.who}: {halt.why}",
            "Resume them with `dagcast resume --why ...`.",
        )
    record = _approved(project, plan)
    project.released.mkdir(exist_ok=True)
    with project.making(project.released / record) as folder:
        details = written(project, record, folder)
        project.record("released", plan=record, who=who, details={"released": details})
    return released_of(project, record, details)


def releasable(project: Project, plan: str) -> bool:
    """Whether a plan has cells to release; those of the first versions do not."""
    return (project.plans / plan / DECISIONS).is_file()


def written(project: Project, plan: str, folder: Path) -> dict[str, Any]:
    """Write the files of a plan into a folder.

    Args:
        project: with the plan.
        plan: its name.
        folder: empty, to be sealed.

    Returns:
        What the log keeps: digests, steps, and sums before and after.

    Raises:
        ProjectError: the plan's folder is gone or was changed.
    """
    summary = PlanSummary.load(plan_folder(project, plan))
    frame = load_decisions(project, plan)
    steps = {name: step for name in summary.readings if (step := _step(project, summary, name))}
    made = _rounded(frame, summary, steps)
    totals = {}
    for name, reading in summary.readings.items():
        own = frame[LEVER] == name
        ends = [float(one.loc[own, VALUE].sum()) for one in (frame, made)]
        count = 1 if reading.summed else max(int(own.sum()), 1)
        totals[name] = (ends[0] / count, ends[1] / count)
    out = _with_clocks(project, made)
    out.to_csv(folder / f"{plan}.csv", index=False, lineterminator="\n")
    out.to_parquet(folder / f"{plan}.parquet", index=False)
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    return {
        "seal": seal(folder),
        "files": files,
        "steps": steps,
        "totals": {name: [round(end, 6) for end in ends] for name, ends in totals.items()},
    }


def released_of(project: Project, plan: str, details: Mapping[str, Any]) -> ReleasedPlan:
    """What the log keeps of a release, as people read it."""
    totals = {name: (ends[0], ends[1]) for name, ends in details["totals"].items()}
    return ReleasedPlan(project.folder, plan, details["files"], totals, details["steps"])


def released_file(project: Project, plan: str, file: str) -> Path:
    """A file of a released plan, verified to be as it was written.

    Raises:
        ProjectError: it is gone or was changed.
        UsageError: the plan has no such file.
    """
    record = project.journal.find(plan)
    line = record.released
    kept = {} if line is None else line.details["released"]
    if file not in kept.get("files", {}):
        raise UsageError(f"a file of the released {record.plan}", repr(file), "See `dagcast log`.")
    folder = project.released / record.plan
    verify(folder, kept.get("seal"), "release")
    return folder / file


def _approved(project: Project, plan: str | None) -> str:
    plans = project.journal.plans()
    if plan is None:
        approved = [name for name, record in plans.items() if record.state == "approved"]
        if not approved:
            raise ProjectError("an approved plan", "none", "Approve one with `dagcast approve`.")
        return approved[-1]
    record = project.journal.find(plan)
    if record.state != "approved":
        raise PlanStateError(
            f"{record.plan} to be approved", describe(record), "Approve it with `dagcast approve`."
        )
    if record.released is not None:
        raise PlanStateError(
            f"{record.plan} not to be released yet",
            f"files of {record.released.at:%Y-%m-%d %H:%M} UTC by {record.released.who}",
            "They never change: they lie in released/.",
        )
    return record.plan


def _step(project: Project, summary: PlanSummary, name: str) -> float | None:
    declared = project.config.levers.get(name)
    if declared is not None and declared.step is not None:
        return declared.step
    return _CENT if currency(summary.readings[name].unit) else None


def _rounded(
    frame: "pd.DataFrame", summary: PlanSummary, steps: dict[str, float]
) -> "pd.DataFrame":
    made = frame.copy()
    time = next(c for c in frame.columns if str(frame[c].dtype).startswith("datetime"))
    others = [c for c in frame.columns if c not in (time, VALUE, UNIT)]
    made = made.sort_values(time, kind="stable")
    for keys, own in made.groupby(others, dropna=False, sort=False):
        name = str(keys[0] if isinstance(keys, tuple) else keys)
        if name not in steps:
            continue
        low, high = summary.bounds.get(name, (0.0, math.inf))
        values = [float(value) for value in own[VALUE]]
        rounded = (
            _along(values, steps[name], low, high)
            if summary.readings[name].summed
            else [_multiple(round(value / steps[name]), steps[name]) for value in values]
        )
        made.loc[own.index, VALUE] = rounded
    return made.loc[frame.index]


def _along(values: list[float], step: float, low: float, high: float) -> list[float]:
    """Multiples of a step whose running sum stays less than one step below that of the values."""
    most = math.floor(high / step + _NEAR) if math.isfinite(high) else None
    least = math.ceil(low / step - _NEAR)
    carried, found = 0.0, []
    for value in values:
        count = 0
        if value > 0:
            count = max(math.floor((value + carried) / step + _NEAR), least, 0)
            count = count if most is None else min(count, most)
            carried += value - count * step
        found.append(_multiple(count, step))
    return found


def _multiple(count: int, step: float) -> float:
    """A multiple as it is written: 0.3, not 0.30000000000000004."""
    return float(f"{count * step:.10g}")


def _with_clocks(project: Project, frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    shared, zones = clocks_of(project)
    time = next(c for c in frame.columns if str(frame[c].dtype).startswith("datetime"))
    labels = [c for c in frame.columns if c not in (LEVER, time, VALUE, UNIT)]
    own: Any = pd.Series(shared, index=frame.index, dtype=object)
    for dim in labels:
        named = frame[dim].map(lambda label: zones.get(str(label)))
        own = named.where(named.notna(), own)
    local = [
        moment.tz_convert(zone).isoformat() for moment, zone in zip(frame[time], own, strict=True)
    ]
    utc = frame[time].dt.tz_convert("UTC")
    return pd.DataFrame(
        {
            LEVER: frame[LEVER],
            **{dim: frame[dim] for dim in labels},
            f"{time}_utc": utc.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
            f"{time}_local": local,
            "zone": own,
            VALUE: frame[VALUE],
            UNIT: frame[UNIT],
        }
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
