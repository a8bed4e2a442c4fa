"""Where the week stands and what there is so far, without taking a step."""

from dataclasses import replace

import pandas as pd

from dagcast.errors import answers_input, code_of
from dagcast.project import Project
from dagcast.workflow.common._position import Position, position
from dagcast.workflow.common._standing import standing_of
from dagcast.workflow.common._week_result import WeekResult, week_result


def status(project: Project, *, now: pd.Timestamp | None = None) -> WeekResult:
    """Say which step of the week comes next, or what it waits for, and what there is so far.

    Nothing is changed.

    What lies among the events and was not ingested yet is not looked at.

    Args:
        project: the project.
        now: the moment by which data are judged to be stale; the clock by default.
    """
    try:
        found, code = position(project, now=now), None
    except Exception as error:
        if not answers_input(error):
            raise
        found, code = Position("failed", "ingest", str(error)), code_of(error)
    shown = week_result(project.folder, found, reports=project.reports, code=code)
    return replace(shown, standing=standing_of(project))
