"""What plans promised and what came of it, for every week that is over."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagcast._held import held_text
from dagcast._whole import write_text
from dagcast.errors import ProjectError
from dagcast.journal import PlanRecord
from dagcast.plans import (
    DayPromise,
    Outlook,
    PlanSummary,
    Promise,
    arrays,
    day_promises,
    lift_promises,
    outcome_promises,
    overall,
)
from dagcast.project import Project
from dagcast.workflow.common._earlier import times_of
from dagcast.workflow.common._happened import happened_in
from dagcast.workflow.common._plan_files import plan_folder
from dagcast.workflow.common._result import plain
from dagcast.workflow.common._session import Session
from dagcast.workflow.common._shown import shown_quantities

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.tensor import Panel

# What pages know of past promises, written by `promises` and `retro`.
REPORT = "promises.json"


def promised_outcomes(
    session: Session, plan: str, outlook: Outlook, actuals: "Panel"
) -> tuple[tuple[Promise, ...], tuple[DayPromise, ...]]:
    """Outcomes of one plan, by row and together, and its cells by day ahead.

    Args:
        session: the project's models and data.
        plan: its name.
        outlook: what it promised.
        actuals: what happened in its hours.
    """
    shown = {item.name: item for item in shown_quantities(session)}
    happened = arrays(actuals, shown, outlook.axes)
    objective = session.project.config.objective.weights
    return (
        outcome_promises(plan, outlook, happened, shown, combined={"objective": objective}),
        day_promises(plan, outlook, happened, shown),
    )


def promised_lifts(
    session: Session, plan: str, outlook: Outlook, forecasts: "Mapping[str, Panel]"
) -> tuple[Promise, ...]:
    """What was promised over other arms, beside the ex-post model's estimate.

    Args:
        session: the project's models and data.
        plan: its name.
        outlook: what it promised.
        forecasts: by the ex-post model, under ``executed`` and each other arm.
    """
    shown = {item.name: item for item in shown_quantities(session)}
    totals = {
        arm: _totals(panel, shown, outlook, session.project.config.objective.weights)
        for arm, panel in forecasts.items()
    }
    executed = totals.pop("executed")
    lifts = {
        arm: {name: executed[name] - value for name, value in found.items() if name in executed}
        for arm, found in totals.items()
    }
    return lift_promises(plan, outlook, lifts)


def _totals(
    panel: "Panel",
    shown: "Mapping[str, Quantity]",
    outlook: Outlook,
    objective: Mapping[str, float],
) -> dict[str, float]:
    found = arrays(panel, shown, outlook.axes)
    totals = {name: overall(found, shown[name], outlook.axes) for name in found}
    if all(name in totals for name in objective):
        totals["objective"] = sum(weight * totals[name] for name, weight in objective.items())
    return totals


def past_promises(
    session: Session,
) -> tuple[tuple[Promise, ...], tuple[DayPromise, ...], tuple[str, ...]]:
    """Promises of every approved plan whose hours are over, the oldest first.

    Returns:
        Outcomes and lifts, cells by day, and approved plans whose folder is damaged or gone.
    """
    project = session.project
    promises: list[Promise] = []
    days: list[DayPromise] = []
    unread: list[str] = []
    for record in over(session):
        try:
            folder = plan_folder(project, record.plan)
            outlook, summary = Outlook.load(folder), PlanSummary.load(folder)
        except ProjectError as error:
            unread.append(f"{record.plan}: {error.found}")
            continue
        times = times_of(summary)
        if session.times.last < times.end:
            continue
        _, actuals = happened_in(session, times)
        outcomes, cells = promised_outcomes(session, record.plan, outlook, actuals)
        promises += outcomes
        days += cells
        promises += _known_lifts(project, record.plan)
    return tuple(promises), tuple(days), tuple(unread)


def over(session: Session) -> tuple[PlanRecord, ...]:
    """Approved plans whose first hour has passed, the oldest first."""
    import pandas as pd

    approved = [
        record
        for record in session.project.journal.plans().values()
        if record.state == "approved" and pd.Timestamp(record.horizon_start) <= session.times.last
    ]
    return tuple(sorted(approved, key=lambda record: record.horizon_start))


def _known_lifts(project: Project, plan: str) -> tuple[Promise, ...]:
    """Lifts that `dagcast retro` re-estimated, as far as it looked at the plan."""
    path = project.reports / f"retro-{plan}.json"
    try:
        document = json.loads(held_text(path))
        return tuple(Promise(**item) for item in document["hindsight"].get("lifts", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def keep_promises(
    project: Project, promises: tuple[Promise, ...], days: tuple[DayPromise, ...]
) -> None:
    """Write what pages show of past promises."""
    document: dict[str, Any] = {"promises": plain(promises), "days": plain(days)}
    write_text(project.reports / REPORT, json.dumps(document, indent=1))


def kept_promises(project: Project, before: str) -> str:
    """How past promises came out, in words; empty where nobody looked.

    Args:
        project: with reports.
        before: first hour of the plan that is shown; later promises are none of its past.
    """
    path = project.reports / REPORT
    if not path.is_file():
        return ""
    try:
        items = [Promise(**item) for item in json.loads(held_text(path))["promises"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(
            f"past promises in {path}", f"{error}", "Run `dagcast promises` again."
        ) from error
    return in_words([item for item in items if item.start < before])


def share_kept(project: Project) -> float | None:
    """Share of past outcomes inside their intervals, as they were last counted; None without any.

    Args:
        project: with reports.
    """
    try:
        document = json.loads(held_text(project.reports / REPORT))
        items = [Promise(**item) for item in document["promises"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    held = [item.held for item in items if not item.over]
    return sum(held) / len(held) if held else None


def in_words(items: "list[Promise]") -> str:
    """How many outcomes came out inside their intervals; empty without any."""
    outcomes = [item for item in items if not item.over]
    if not outcomes:
        return ""
    held, weeks = sum(item.held for item in outcomes), len({item.plan for item in outcomes})
    level = f"{outcomes[0].level:.0%}"
    of = "1 plan" if weeks == 1 else f"{weeks} plans"
    text = f"{held} of {len(outcomes)} kept ({held / len(outcomes):.0%}, promised {level}), {of}"
    text += _bias([item for item in outcomes if item.quantity == "objective" and not item.row])
    lifts = [item for item in items if item.over and item.quantity == "objective"]
    if lifts:
        text += f"; gains: {sum(item.held for item in lifts)} of {len(lifts)}"
    return text


def _bias(objectives: "list[Promise]") -> str:
    """By how much what is maximised came out above or below its promises; empty without any."""
    promised = sum(item.mid for item in objectives)
    if not objectives or promised <= 0:
        return ""
    bias = sum(item.happened for item in objectives) / promised - 1.0
    if abs(bias) < 0.005:
        return "; the objective came out as promised on average"
    return f"; the objective came out {abs(bias):.0%} {'above' if bias > 0 else 'below'} promises"
