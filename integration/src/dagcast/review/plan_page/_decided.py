"""What a plan decides, hour by hour."""

from collections.abc import Mapping

import numpy as np

from dagcast.plans import Outlook, PlanSummary, Reading
from dagcast.review._content import Array, Column, Heatmap, Section, Table
from dagcast.review.plan_page._words import Layers, Rows


def lever_map(
    key: str, title: str, reading: Reading, named: Mapping[str, Array], outlook: Outlook
) -> Heatmap:
    """A lever by row and hour, its further labels as layers; as rows where it has none of its own.

    Args:
        key: of the figure.
        title: above it.
        reading: of the lever.
        named: its layers.
        outlook: says which rows the page has.
    """
    layers: dict[str, Array] = dict(named)
    if len(outlook.rows) > 1 and all(len(values) == 1 for values in layers.values()):
        stacked = {"": np.vstack(list(layers.values()))}
        return Heatmap(key, title, reading.unit, stacked, digits=1, rows=tuple(layers))
    if len(layers) > 1 and reading.summed:
        layers = {"All together": np.sum(list(named.values()), axis=0), **layers}
    return Heatmap(key, title, reading.unit, layers, digits=1)


def decided_section(
    summary: PlanSummary, outlook: Outlook, decisions: Layers, lever_rows: Rows
) -> Section:
    maps = [
        lever_map(
            f"d-{lever}", summary.readings[lever].title, summary.readings[lever], named, outlook
        )
        for lever, named in decisions.items()
        # Levers by row are layers of the map.
        if not outlook.rows or any(len(values) != len(outlook.rows) for values in named.values())
    ]
    return Section(
        "decisions",
        "What is decided",
        f"{'By hour; the stronger the colour, the more. ' if maps else ''}The current plan repeats "
        "what was decided in the last observed week.",
        (
            *maps,
            Table(
                (
                    Column("Lever", numeric=False),
                    Column("This plan"),
                    Column("Current plan"),
                    Column("Change"),
                ),
                lever_rows,
            ),
        ),
        short="Decisions",
    )
