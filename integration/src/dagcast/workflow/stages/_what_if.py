"""Stage 7, for people: their own proposal, judged by the same path as a plan."""

import time
from pathlib import Path
from typing import Any

from dagcast.plans import read_proposal
from dagcast.project import Project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import make_setting
from dagcast.workflow.common._proposals import labels_of, laid_over
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import open_session


def what_if(project: Project, proposal: Path, *, progress: Progress = silent) -> PlanResult:
    """Forecast the outcome of a proposal; nothing is kept.

    Args:
        project: with a fit.
        proposal: CSV or Parquet with incentive, region, hour, usd; cells left out get nothing.
        progress: told what is going on.

    Raises:
        UsageError: the file or a label in it is wrong.
        ProjectError: nothing was ingested or fitted yet.
    """
    from dagcast_core.decide import what_if as evaluate

    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    frame = read_proposal(proposal, labels_of(setting))
    start = time.perf_counter()
    solved = evaluate(
        setting.problem(fitted.model, draws=fitted.draws),
        laid_over(setting, frame, setting.current.map(_zero)),
    )
    return keep(
        setting,
        fitted,
        solved,
        kind="proposal",
        seconds=time.perf_counter() - start,
        name=proposal.stem,
        record=False,
        progress=progress,
    )


def _zero(tensor: Any) -> Any:
    return tensor.zeros_like().named(tensor.name)
