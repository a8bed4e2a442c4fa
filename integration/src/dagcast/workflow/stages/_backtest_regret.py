"""Stage 6, in money: what the plans of past weeks would have cost."""

import json

from dagcast._whole import write_text
from dagcast.project import Project
from dagcast.workflow.common._regret_result import RegretResult
from dagcast.workflow.common._regrets import measure_regret
from dagcast.workflow.common._result import Progress, plain, silent
from dagcast.workflow.common._session import open_session

REPORT = "regret.json"


_PRESENT = "present models"


def backtest_regret(project: Project, *, progress: Progress = silent) -> RegretResult:
    """Plan past weeks on what was known by then, and measure what the plans would have cost.

    Args:
        project: with ingested events.
        progress: told which week is done.

    Raises:
        ProjectError: the history is too short for the origins.
        ConfigError: no lever is declared.
    """
    session = open_session(project)
    found = measure_regret(session, {_PRESENT: project}, progress=progress)
    result = RegretResult(project.folder, found, project.config.objective.unit)
    write_text(project.reports / REPORT, json.dumps(plain(result), indent=1))
    project.record("backtested by regret", details={i.candidate: round(i.mean, 2) for i in found})
    return result
