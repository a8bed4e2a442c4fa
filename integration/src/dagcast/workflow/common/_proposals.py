"""People's cells on top of decisions."""

from typing import TYPE_CHECKING, Any

from dagcast.errors import ProjectError
from dagcast.workflow.common._problem import Setting

if TYPE_CHECKING:
    import pandas as pd

    from dagcast_core.tensor import Panel


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
