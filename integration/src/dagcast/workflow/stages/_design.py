"""A trial that is yet to be run: what it would find, and which windows are treated."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast._whole import write_text
from dagcast.errors import UsageError
from dagcast.figures import number
from dagcast.project import Project
from dagcast.workflow.common._result import Result, ResultTable
from dagcast.workflow.common._session import Session, open_session
from dagcast_core.contract import nearest

if TYPE_CHECKING:
    from dagcast_core.estimate import PlannedTrial, SwitchbackPlan
    from dagcast_core.model import ModelCollection

WINDOWS = (14, 28, 42, 84)
"""Hours of a window that `design` tries; they divide a week.

Example:
    ``design(project, "driver_hours", windows=(*WINDOWS, 56))``
"""
_WEEK = 168
_POWER = 0.8
_HOUR = pd.Timedelta(hours=1)


@final
@dataclass(frozen=True)
class DesignResult(Result):
    """What switchbacks of several windows would find.

    Attributes:
        folder: the project.
        lever: that is switched.
        outcome: that is measured.
        unit: of the outcome.
        dim: whose labels take part.
        labels: of these.
        weeks: length of the trial.
        usual: mean of the outcome over the history of these labels.
        trials: one for each length of a window, the one that finds most first.
        effect: whose power is asked for; none where None.
        skipped: lengths that make no trial, and why.
        schedule: file of windows and arms that was written; None where none was asked for.
    """

    folder: Path
    lever: str
    outcome: str
    unit: str
    dim: str
    labels: tuple[str, ...]
    weeks: int
    usual: float
    trials: "tuple[PlannedTrial, ...]" = field(repr=False)
    effect: float | None = None
    skipped: tuple[str, ...] = ()
    schedule: Path | None = None

    def tables(self) -> tuple[ResultTable, ...]:
        columns: tuple[str, ...] = (
            "window, h",
            "washout, h",
            "windows",
            "coins",
            "se",
            "df",
            "found in 80 %",
        )
        if self.effect is not None:
            columns += (f"power at {self.effect:g}",)
        rows = tuple(self._row(trial) for trial in self.trials)
        length = self.trials[0].plan.hours / _WEEK
        switch = "all at once" if self.trials[0].plan.together else "each with its own coin"
        title = f"Switchback of {self.lever}, effect on {self.outcome}"
        note = (
            f"{len(self.labels)} {self.dim}s, {switch}, {length:.3g} weeks; se and effects in "
            f"{self.unit}, usual is {number(self.usual)}. Found in 80 %: the smallest effect that "
            "so many trials tell from none, two-sided at 5 %."
        )
        tables = [ResultTable(title, columns, rows, note)]
        if self.skipped:
            tables.append(ResultTable("Left out", (), tuple((text,) for text in self.skipped)))
        if self.schedule is not None:
            said = f"{self.schedule}: one row a window, treated 1 or 0; the coins are thrown"
            tables.append(ResultTable("Schedule", (), ((said,),)))
        return tuple(tables)

    def next_command(self) -> str:
        if self.schedule is not None:
            return ""
        plan = self.trials[0].plan
        asked = f"--lever {self.lever} --weeks {self.weeks} --window {plan.window}"
        if plan.together:
            asked += " --together"
        return (
            f"dagcast experiments design {self.outcome} {asked} --washout {plan.washout} "
            f"--schedule trial.csv --project {self.folder}"
        )

    def to_json(self) -> dict[str, Any]:
        """Figures of every trial."""
        return {
            "folder": str(self.folder),
            "lever": self.lever,
            "outcome": self.outcome,
            "unit": self.unit,
            "dim": self.dim,
            "labels": list(self.labels),
            "weeks": self.weeks,
            "usual": self.usual,
            "trials": [self._figures(trial) for trial in self.trials],
            "effect": self.effect,
            "skipped": list(self.skipped),
            "schedule": None if self.schedule is None else str(self.schedule),
        }

    def _row(self, trial: "PlannedTrial") -> tuple[str, ...]:
        found = self._figures(trial)
        cells = (
            f"{found['window']}",
            f"{found['washout']}",
            f"{found['windows']}",
            f"{found['coins']}",
            number(found["standard_error"]),
            f"{found['degrees_of_freedom']:.1f}",
            f"{number(found['least_effect'])} ({found['least_effect'] / abs(self.usual):.1%})"
            if self.usual
            else number(found["least_effect"]),
        )
        return cells if self.effect is None else (*cells, f"{found['power']:.0%}")

    def _figures(self, trial: "PlannedTrial") -> dict[str, Any]:
        return {
            "window": trial.plan.window,
            "washout": trial.plan.washout,
            "windows": trial.plan.windows,
            "coins": trial.clusters,
            "together": trial.plan.together,
            "standard_error": trial.standard_error,
            "degrees_of_freedom": float(np.median(trial.degrees_of_freedom)),
            "least_effect": trial.least_effect(_POWER),
            "power": None if self.effect is None else trial.power(self.effect),
        }


def design(
    project: Project,
    outcome: str,
    *,
    lever: str | None = None,
    weeks: int = 2,
    windows: Sequence[int] = WINDOWS,
    washout: int | None = None,
    labels: Sequence[str] = (),
    together: bool = False,
    effect: float | None = None,
    draws: int = 400,
    schedule: Path | None = None,
    start: str | None = None,
    seed: int = 0,
) -> DesignResult:
    """Say what switchbacks of a lever would find on an outcome, by the outcome's own history.

    Args:
        project: with ingested events.
        outcome: observed, and reached by the lever according to the models.
        lever: that is switched; the project's only one by default.
        weeks: length of the trial.
        windows: hours of a window, one trial for each.
        washout: hours at the start of a window that do not count; by default those for which
            models on the way from lever to outcome remember.
        labels: that take part; all that were observed in the last week by default.
        together: whether all labels switch at once, as where they take from one another.
        effect: whose power is wanted, in the outcome's unit.
        draws: trials without effect that are laid over the history.
        schedule: file to write, CSV: the windows of the trial that finds most, with their arms.
        start: first hour of that trial, UTC; the first hour that is planned by default.
        seed: of the coins.

    Raises:
        UsageError: a name, a figure or a file does not fit; says what would.
    """
    from dagcast_core.estimate import EstimationError, SwitchbackPlan, planned_switchback

    if weeks < 1 or draws < 50:
        asked = f"{weeks} weeks and {draws} draws"
        raise UsageError("1 week or more and 50 draws or more", asked, "Ask for more.")
    session = open_session(project)
    lever = _lever(session, lever)
    collection = session.build()
    carried = _carried(session, collection, lever, outcome) if washout is None else washout
    values, unit, dim, known = _history(session, outcome, labels)
    begins = _start(session, start)
    trials: list[PlannedTrial] = []
    skipped = []
    for window in dict.fromkeys(windows):
        try:
            number_of = weeks * _WEEK // window // 2 * 2 if window > 0 else 0
            plan = SwitchbackPlan(window, number_of, carried, together)
            trials.append(planned_switchback(values, plan, draws=draws, seed=seed))
        except EstimationError as error:
            skipped.append(f"windows of {window} h: {error}")
    if not trials:
        raise UsageError(
            "a trial that says something",
            "; ".join(skipped) or "no length of a window",
            "Ask for more --weeks, another --window or less --washout.",
        )
    trials.sort(key=lambda trial: trial.least_effect(_POWER))
    if schedule is not None:
        _write(Path(schedule), trials[0].plan, dim, known, begins, seed)
    return DesignResult(
        project.folder,
        lever,
        outcome,
        unit,
        dim,
        known,
        weeks,
        float(np.nanmean(values)),
        tuple(trials),
        effect,
        tuple(skipped),
        None if schedule is None else Path(schedule),
    )


def _lever(session: Session, lever: str | None) -> str:
    decided = sorted(session.decided & set(session.external_names))
    if lever is None:
        declared = tuple(session.project.config.levers) or tuple(decided)
        if len(declared) == 1:
            return declared[0]
        raise UsageError(
            f"--lever, one of {', '.join(declared) or 'none that the models read'}",
            "none",
            "Name what is switched.",
        )
    if lever not in session.names:
        near = nearest(lever, session.names)
        raise UsageError(
            f"a lever that models read ({', '.join(decided) or 'there is none'})",
            repr(lever),
            f"Did you mean {near!r}?" if near else "`dagcast graph` shows what models read.",
        )
    return lever


def _carried(session: Session, collection: "ModelCollection", lever: str, outcome: str) -> int:
    """Hours for which models on the way from lever to outcome remember."""
    if outcome not in session.names:
        near = nearest(outcome, session.names)
        raise UsageError(
            "an outcome that models speak of",
            repr(outcome),
            f"Did you mean {near!r}?" if near else "`dagcast graph` shows what models make.",
        )
    path = collection.wiring.between([lever], [outcome])
    if not path:
        raise UsageError(
            f"an outcome that {lever} reaches according to the models",
            repr(outcome),
            "`dagcast graph` shows what a lever reaches; --washout HOURS does without the models.",
        )
    return sum(collection.leaves[name].memory for name in path)


def _history(
    session: Session, outcome: str, labels: Sequence[str]
) -> tuple[NDArray[np.float64], str, str, tuple[str, ...]]:
    """The outcome by label and hour, with its unit, its dim and the labels that take part."""
    quantity = {item.name: item for item in session.quantities}.get(outcome)
    history = session.history()
    if quantity is None or outcome not in history:
        observed = [
            q.name for q in session.quantities if q.name in history and q.time_dim is not None
        ]
        near = nearest(outcome, observed)
        raise UsageError(
            f"an outcome that is observed ({', '.join(observed)})",
            f"{outcome!r}, which is not",
            f"Did you mean {near!r}?" if near else "Name what it shows in.",
        )
    time = quantity.time_dim.name if quantity.time_dim is not None else None
    dims = [dim.name for dim in quantity.dims if dim.name != time]
    if time is None or len(dims) != 1:
        raise UsageError(
            "an outcome by hour and one other dim, such as region",
            f"{outcome!r} by {', '.join(dim.name for dim in quantity.dims) or 'nothing'}",
            "Choose an outcome whose labels can be switched.",
        )
    cube = history[outcome].detach()
    values = cube.values(dims[0], time).numpy()
    every = tuple(str(label) for label in cube.index(dims[0]))
    recent = values[:, -_WEEK:]
    alive = np.isfinite(recent).any(axis=1) & (np.nan_to_num(recent) != 0).any(axis=1)
    unknown = [label for label in labels if label not in every]
    if unknown:
        near = nearest(unknown[0], every)
        raise UsageError(
            f"labels of {dims[0]} that {outcome} was observed in ({', '.join(every)})",
            repr(unknown[0]),
            f"Did you mean {near!r}?" if near else "Name others.",
        )
    chosen = [i for i, label in enumerate(every) if (label in labels if labels else alive[i])]
    if not chosen:
        raise UsageError(
            f"labels of {dims[0]} in which {outcome} was observed in the last week",
            "none",
            "Ingest newer data, or name them with --label.",
        )
    return values[chosen], quantity.unit, dims[0], tuple(every[i] for i in chosen)


def _start(session: Session, start: str | None) -> pd.Timestamp:
    if start is None:
        return session.times.start
    try:
        moment = pd.Timestamp(start)
        moment = moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")
    except (ValueError, TypeError):
        raise UsageError("a moment such as 2026-03-02T00:00", repr(start), "Correct it.") from None
    if moment != moment.floor("h"):
        raise UsageError("a whole hour such as 2026-03-02T00:00", repr(start), "Correct it.")
    return moment


def _write(
    file: Path,
    plan: "SwitchbackPlan",
    dim: str,
    labels: tuple[str, ...],
    start: pd.Timestamp,
    seed: int,
) -> None:
    """Write windows and arms; a file that is there is left as it is.

    Raises:
        UsageError: there is one, or it cannot be written.
    """
    arms = plan.assigned(len(labels), np.random.default_rng([seed, 1]))
    rows = [
        {
            dim: label,
            "window": window,
            "pair": window // 2,
            "start": (start + window * plan.window * _HOUR).isoformat(),
            "counts_from": (start + (window * plan.window + plan.washout) * _HOUR).isoformat(),
            "end": (start + (window + 1) * plan.window * _HOUR).isoformat(),
            "treated": int(arms[row, window]),
        }
        for row, label in enumerate(labels)
        for window in range(plan.windows)
    ]
    text = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    try:
        write_text(file, text, replace=False)
    except FileExistsError:
        raise UsageError(
            "a file that is not there yet",
            f"{file}, which is",
            "Coins are thrown once: use that schedule, or name another file.",
        ) from None
    except OSError as error:
        found = f"{file}: {error.strerror or error}"
        raise UsageError("a file that can be written", found, "Name another.") from None
