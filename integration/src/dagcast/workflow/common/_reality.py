"""What is known once a plan's week is over, by the rows and hours of its page."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dagcast.plans import Axes, Outlook, Promise, Reading, arrays, with_total
from dagcast.workflow.common._layers import named_layers
from dagcast.workflow.common._problem import Setting
from dagcast.workflow.common._shown import shown_quantities

if TYPE_CHECKING:
    import numpy.typing as npt

    from dagcast.review import Reality
    from dagcast_core.decide import Retrospective
    from dagcast_core.tensor import Panel

# Parts of the regret that no model made.
EXECUTION, CAUTION = "carried out otherwise", "caution"


def reality_of(
    outlook: Outlook,
    setting: Setting,
    executed: "Panel",
    actuals: "Panel",
    found: "Retrospective",
    book: tuple[Promise, ...],
) -> "Reality":
    """What is known now, by the rows and hours of the plan's page."""
    from dagcast.review import Reality

    axes = outlook.axes
    levers = setting.session.project.config.levers
    readings = {name: Reading.of(setting.quantities[name]) for name in levers}

    def layers(panel: "Panel") -> Any:
        return named_layers({name: panel[name] for name in levers}, readings, axes)

    return Reality(
        happened=_by_outlook(actuals, setting, axes),
        ex_post=_by_outlook(found.ex_post.forecast, setting, axes),
        planned=layers(found.planned.decisions),
        done=layers(executed),
        best=layers(found.ex_post.decisions),
        regret=_regret(found, setting, axes),
        book=book,
    )


def _regret(
    found: "Retrospective", setting: Setting, axes: Axes
) -> dict[str, "npt.NDArray[np.float64]"]:
    """By what made it, where and when the regret was made; what has no row is left out."""
    whole = _cells(found.regret_cells, setting, axes)
    if whole is None:
        return {}
    parts = {name: _cells(cells, setting, axes) for name, cells in found.share_cells.items()}
    parts[EXECUTION] = _cells(found.execution_cells, setting, axes)
    known = {name: values for name, values in parts.items() if values is not None}
    if found.caution:
        known[CAUTION] = whole - np.sum(list(known.values()), axis=0)
    return known


def _cells(panel: "Panel", setting: Setting, axes: Axes) -> "npt.NDArray[np.float64] | None":
    """Weighted parts of the objective added up, (rows, hour)."""
    wanted = {name: setting.quantities[name] for name in panel}
    found = [v for v in arrays(dict(panel), wanted, axes).values() if len(v) == len(axes.rows)]
    return np.sum(np.nan_to_num(found), axis=0) if found and len(axes.rows) else None


def _by_outlook(panel: "Panel", setting: Setting, axes: Axes) -> dict[str, Any]:
    """What is shown, by the outlook's rows, all of them together first."""
    shown = {item.name: item for item in shown_quantities(setting.session)}
    found = arrays(panel, shown, axes)
    weighing = {name: np.nan_to_num(values) for name, values in found.items()}
    return {
        name: with_total({**weighing, name: values}, shown[name], axes)
        for name, values in found.items()
    }
