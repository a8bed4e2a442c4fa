"""Charts of packages, drawn as the page's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, final

import numpy as np

from dagcast.plans import Outlook
from dagcast.review._content import Array, Block, Chart, Line, Role, Section, Text
from dagcast.review._packing import digits_of

_ROLES: tuple[Role, ...] = ("1", "2", "3", "4", "5")


@final
@dataclass(frozen=True)
class TeamPanel:
    """A chart that a package made of a plan.

    Attributes:
        package: whose it is.
        title: above it.
        unit: of its lines.
        lines: by name, (rows, hour), or (1, hour) where all rows share it.
        how: rows are put together.
        note: below it.
        failure: why there is none; empty where there is.
    """

    package: str
    title: str
    unit: str
    lines: Mapping[str, Array] = field(default_factory=dict)
    how: Literal["sum", "mean"] = "mean"
    note: str = ""
    failure: str = ""


def teams(panels: Sequence[TeamPanel], outlook: Outlook) -> Section | None:
    """What packages show of a plan; none where no package shows anything."""
    charts = []
    failed = []
    for number, panel in enumerate(panels):
        if panel.failure:
            named = f"{panel.title!r} of {panel.package}" if panel.title else panel.package
            failed.append(Text(f"The panel {named} could not be drawn: {panel.failure}."))
            continue
        lines = [
            Line(name, role, _whole(values, panel.how, len(outlook.rows)))
            for role, (name, values) in zip(_ROLES, panel.lines.items(), strict=False)
        ]
        digits = digits_of(np.vstack([line.values for line in lines]))
        note = " ".join(filter(None, (panel.note, f"From {panel.package}.")))
        charts.append(
            Chart(f"t-{number}", panel.title, panel.unit, tuple(lines), note, digits, panel.how)
        )
    blocks: list[Block] = [tuple(charts)] if charts else []
    if not blocks and not failed:
        return None
    return Section(
        "teams",
        "From the teams",
        "Charts that installed packages add, of what is decided and expected under this plan.",
        (*blocks, *failed),
        short="Teams",
    )


def _whole(values: Array, how: str, rows: int) -> Array:
    """All rows together, and each; (1 + rows, hour)."""
    if len(values) != rows or rows == 0:
        shared = np.full((rows, values.shape[1]), np.nan)
        return np.vstack([values[:1], shared])
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    together = np.where(count > 0, total / (1 if how == "sum" else np.maximum(count, 1)), np.nan)
    return np.vstack([together, values])
