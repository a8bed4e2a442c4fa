"""What stands against approving a plan: at its approval, and on the page before it."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from dagcast.journal import PlanRecord
from dagcast.plans import PlanSummary
from dagcast.project import Project
from dagcast.workflow.common._gates import failed_gates
from dagcast.workflow.common._horizon import moments, open_store

if TYPE_CHECKING:
    from dagcast_core.data import MetricStore


def findings_against(project: Project, record: PlanRecord, summary: PlanSummary) -> list[str]:
    """What stands against approving a plan, in words.

    Raises:
        ProjectError: there is no store, or it is damaged.
    """
    found = list(summary.broken)
    if unmeasured := summary.evidence.exceeded(summary.readings):
        found.append(unmeasured)
    store = open_store(project)
    start, known = pd.Timestamp(record.horizon_start), present(project, store)
    if start < known:
        found.append(
            f"its first hour is {start:%Y-%m-%d %H:%M} UTC, and the store knows what happened "
            f"until {known:%Y-%m-%d %H:%M}"
        )
    if store.manifest_id != summary.provenance.get("data_id", store.manifest_id):
        found.append("data were ingested since it was made")
    newest = project.newest_fit()
    if summary.provenance.get("fit", newest) != newest:
        found.append(f"it rests on {summary.provenance['fit']}, and there is {newest} by now")
    return found + failed_gates(project, summary.provenance.get("fit"))


def present(project: Project, store: "MetricStore") -> pd.Timestamp:
    """The moment that a plan must not lie behind: the hour after the last that the store observed.

    The clock on the wall is not asked, because a project may be a replay of past records or a
    simulated market; ``data.as_of`` is, where somebody set it. ``horizon.start`` is not: it says
    what to plan, and what is known does not change with it.
    """
    ahead = project.config.horizon.model_copy(update={"start": None})
    config = project.config.model_copy(update={"horizon": ahead})
    return moments(replace(project, config=config), store).as_of
