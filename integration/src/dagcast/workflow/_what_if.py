"""Stage 7, for people: their own proposal, judged by the same path as a plan."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagcast.errors import ProjectError
from dagcast.plans import read_proposal
from dagcast.project import Project
from dagcast.workflow._fit import load_fit
from dagcast.workflow._plan import PlanResult, keep
from dagcast.workflow._problem import Setting, make_setting
from dagcast.workflow._result import Progress, silent
from dagcast.workflow._session import open_session

if TYPE_CHECKING:
    import pandas as pd

    from dagcast_core.tensor import Panel


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


def labels_of(setting: Setting) -> dict[str, Any]:
    """Labels that a proposal may use."""
    lever = setting.current[next(iter(setting.session.project.config.levers))]
    return {dim: lever.index(dim) for dim in lever.dims}


def laid_over(setting: Setting, frame: "pd.DataFrame", base: "Panel") -> "Panel":
    """The cells of a frame on top of decisions.

    Raises:
        ProjectError: the frame has cells that are not decided about.
    """
    import pandas as pd
    import torch

    name = next(iter(setting.session.project.config.levers))
    tensor = base[name]
    values = tensor.tensor.detach().clone()
    positions = [
        torch.from_numpy(tensor.index(dim).get_indexer(pd.Index(frame[dim])).copy())
        for dim in tensor.dims
    ]
    for dim, found in zip(tensor.dims, positions, strict=True):
        if bool((found < 0).any()):
            strange = frame[dim].iloc[int((found < 0).nonzero()[0])]
            raise ProjectError(
                f"cells of the {dim}s that are decided about",
                f"{strange}",
                "Make a new plan with `dagcast plan`: the market has changed since.",
            )
    values[tuple(positions)] = torch.tensor(frame["usd"].to_numpy(), dtype=torch.float64)
    return base.assign({name: tensor.with_tensor(values)})


def _zero(tensor: Any) -> Any:
    return tensor.zeros_like().named(tensor.name)
