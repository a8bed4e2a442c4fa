"""Decisions as frames, one row per cell, and people's cells on top of decisions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dagcast.errors import ProjectError
from dagcast.plans import LEVER, UNIT, VALUE, LeverShape
from dagcast.workflow.common._problem import Setting

if TYPE_CHECKING:
    import pandas as pd

    from dagcast_core.contract import Quantity
    from dagcast_core.tensor import Panel


def shapes_of(setting: Setting) -> dict[str, LeverShape]:
    """The cells that a proposal may name, by lever."""
    shapes = {}
    for name in setting.session.project.config.levers:
        tensor, quantity = setting.current[name], setting.quantities[name]
        time = quantity.time_dim
        assert time is not None  # a lever of a plan runs along the horizon
        labels = {dim: tensor.index(dim) for dim in quantity.dim_names}
        shapes[name] = LeverShape(quantity.unit, labels, time.name)
    return shapes


def as_frame(decisions: "Panel", quantities: "Mapping[str, Quantity]") -> "pd.DataFrame":
    """Decisions with the columns lever, the dims of all levers, value and unit.

    A dim that a lever lacks is empty in its rows.
    """
    import pandas as pd

    parts = [
        tensor.detach()
        .transpose(*quantities[name].dim_names)
        .to_long(VALUE)
        .assign(**{LEVER: name, UNIT: quantities[name].unit})
        for name, tensor in decisions.items()
    ]
    dims = dict.fromkeys(dim for name in decisions for dim in quantities[name].dim_names)
    time = next(
        dim.name for name in decisions for dim in quantities[name].dims if dim.kind == "time"
    )
    ordered = (*(dim for dim in dims if dim != time), time)
    return pd.concat(parts, ignore_index=True).reindex(columns=[LEVER, *ordered, VALUE, UNIT])


def laid_over(setting: Setting, frame: "pd.DataFrame", base: "Panel") -> "Panel":
    """The cells of a frame on top of decisions.

    Raises:
        ProjectError: the frame has cells that are not decided about.
    """
    import pandas as pd
    import torch

    changed = {}
    for name, rows in frame.groupby(LEVER, sort=False):
        if name not in base:
            raise _strange("lever", name)
        tensor = base[str(name)]
        values = tensor.tensor.detach().clone()
        positions = []
        for dim in tensor.dims:
            found = tensor.index(dim).get_indexer(pd.Index(rows[dim]))
            if (found < 0).any():
                raise _strange(dim, rows[dim].iloc[int((found < 0).argmax())])
            positions.append(torch.from_numpy(found.copy()))
        values[tuple(positions)] = torch.tensor(rows[VALUE].to_numpy(), dtype=torch.float64)
        changed[str(name)] = tensor.with_tensor(values)
    return base.assign(changed)


def _strange(dim: str, label: object) -> ProjectError:
    return ProjectError(
        f"cells of the {dim}s that are decided about",
        f"{label}",
        "Make a new plan with `dagcast plan`: the market has changed since.",
    )
