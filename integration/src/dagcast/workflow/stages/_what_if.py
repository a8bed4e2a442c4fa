"""Stage 7, for people: their own proposal, judged by the same path as a plan."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dagcast.plans import read_proposal
from dagcast.project import Project
from dagcast.workflow.common._fits import load_fit
from dagcast.workflow.common._keep import keep
from dagcast.workflow.common._plan_result import PlanResult
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast.workflow.common._proposals import laid_over, shapes_of
from dagcast.workflow.common._result import Progress, silent
from dagcast.workflow.common._session import open_session
from dagcast.workflow.common._shown import adds_up

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel


def what_if(project: Project, proposal: Path, *, progress: Progress = silent) -> PlanResult:
    """Forecast the outcome of a proposal; nothing is kept.

    Args:
        project: with a fit.
        proposal: CSV or Parquet with the levers' dims and ``value``; cells left out get nothing, or
            stay as they are where the lever is a price.
        progress: told what is going on.

    Raises:
        UsageError: the file or a label in it is wrong.
        ProjectError: nothing was ingested or fitted yet.
    """
    from dagcast_core.decide import what_if as evaluate

    session = open_session(project)
    fitted = load_fit(session)
    setting = make_setting(session)
    frame = read_proposal(proposal, shapes_of(setting))
    _say_what_is_left(setting, len(frame), progress)
    start = time.perf_counter()
    solved = evaluate(
        setting.problem(fitted.model, draws=fitted.draws),
        laid_over(setting, frame, _least(setting)),
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


def _least(setting: Setting) -> "Panel":
    """Levers with nothing decided: amounts at 0, prices as they are."""
    return setting.current.assign(
        {
            name: tensor.zeros_like().named(name)
            for name, tensor in setting.current.items()
            if adds_up(setting.quantities[name])
        }
    )


def _say_what_is_left(setting: Setting, named: int, progress: Progress) -> None:
    """Tell how many cells the proposal leaves out, and what becomes of them."""
    cells = sum(tensor.tensor.numel() for tensor in setting.current.values())
    if named == cells:
        return
    adding = {adds_up(setting.quantities[name]) for name in setting.current}
    ways = {True: "get nothing", False: "keep their price"}
    rest = ", or ".join(ways[one] for one in sorted(adding, reverse=True))
    progress(f"the proposal names {named:,} of {cells:,} cells; the others {rest}", None)
