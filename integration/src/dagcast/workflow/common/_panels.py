"""Charts that packages add to the page of a plan."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dagcast.plans import Axes, Outlook
from dagcast.plugins import Plugins

if TYPE_CHECKING:
    import numpy.typing as npt

    from dagcast.review import TeamPanel
    from dagcast_core.contract import ReviewPanel
    from dagcast_core.tensor import IndexTensor

_MOST_LINES = 5


def team_panels(
    plugins: Plugins, outlook: Outlook, decided: "Mapping[str, IndexTensor]"
) -> "tuple[TeamPanel, ...]":
    """Every package's panels, drawn, in the order of the packages.

    Args:
        plugins: what is installed.
        outlook: forecasts under the plan.
        decided: levers under it.
    """
    from dagcast.review import TeamPanel

    hook = plugins.manager.hook.dagcast_review_panels
    known: Mapping[str, IndexTensor] | None = None
    found = []
    for caller in reversed(hook.get_hookimpls()):
        try:
            panels: list[ReviewPanel] = list(caller.function())  # type: ignore[call-overload]
        # A package may fail in any way; the page is about more than it.
        except Exception as error:
            found.append(TeamPanel(caller.plugin_name, "", "", {}, failure=_said(error)))
            continue
        for panel in panels:
            known = known or _known(outlook, decided)
            found.append(_drawn(caller.plugin_name, panel, known, outlook.axes))
    return tuple(found)


def _drawn(
    package: str, panel: "ReviewPanel", known: "Mapping[str, IndexTensor]", axes: Axes
) -> "TeamPanel":
    from dagcast.review import TeamPanel

    try:
        title, unit, how, note = panel.title, panel.unit, panel.how, panel.note
        lines = {str(name): _array(tensor, axes) for name, tensor in panel.lines(known).items()}
        if not lines or len(lines) > _MOST_LINES:
            raise ValueError(f"expected 1 to {_MOST_LINES} lines; found {len(lines)}")
        return TeamPanel(package, str(title), str(unit), lines, how, str(note))
    except Exception as error:
        named = str(getattr(panel, "title", ""))
        return TeamPanel(package, named, "", {}, failure=_said(error))


def _array(tensor: "IndexTensor", axes: Axes) -> "npt.NDArray[np.float64]":
    """A line as (rows, hour), or (1, hour) where all rows share it."""
    others = [dim for dim in tensor.dims if dim not in (axes.dim, axes.time)]
    if others or axes.time not in tensor.dims:
        raise ValueError(
            f"expected a line with {axes.time!r}, and {axes.dim!r} where it differs by row; found "
            f"{', '.join(map(repr, tensor.dims)) or 'no dims'}"
        )
    tensor = tensor.double()
    if axes.dim in tensor.dims:
        rows = tensor.reindex({axes.dim: axes.rows, axes.time: axes.hours}, fill=float("nan"))
        return np.asarray(rows.values(axes.dim, axes.time).detach().numpy(), dtype=np.float64)
    one = tensor.reindex({axes.time: axes.hours}, fill=float("nan")).values(axes.time)
    return np.asarray(one.detach().numpy(), dtype=np.float64).reshape(1, -1)


def _known(outlook: Outlook, decided: "Mapping[str, IndexTensor]") -> "dict[str, IndexTensor]":
    """Mean forecasts under the plan by row and hour, and the levers."""
    import torch

    from dagcast_core.tensor import IndexTensor

    axes = outlook.axes
    found: dict[str, IndexTensor] = {}
    for name, path in outlook.paths["plan"].items():
        rows = path.mid[1:]
        if len(rows) and np.isfinite(rows).any():
            values, index = torch.from_numpy(rows.copy()), {axes.dim: axes.rows}
            found[name] = IndexTensor(values, {**index, axes.time: axes.hours}, name)
        else:
            found[name] = IndexTensor(
                torch.from_numpy(path.mid[0].copy()), {axes.time: axes.hours}, name
            )
    return {**found, **decided}


def _said(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
