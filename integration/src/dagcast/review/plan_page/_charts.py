"""The chart of one outcome, on the page of a plan and in hindsight."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dagcast.plans import Outlook
from dagcast.review._content import Array, Chart, How, Line
from dagcast.review._packing import digits_of
from dagcast.review.plan_page._words import whole_note


def outcome_chart(key: str, name: str, outlook: Outlook, lines: Sequence[Line]) -> Chart:
    """Lines of one outcome as people read it, with what puts several rows together.

    Args:
        key: of the figure.
        name: of the outcome.
        outlook: says how it is read.
        lines: in the unit of the outcome, (1 + rows, hour); the first decides the decimals.
    """
    reading = outlook.readings[name]
    how: How = "sum" if reading.summed else "weighted" if reading.weight else "mean"
    first = lines[0].values
    cells = first[1:] if len(first) > 1 and np.isfinite(first[1:]).any() else first
    return Chart(
        key,
        reading.title,
        reading.cell_unit,
        tuple(_scaled(line, reading.cell_factor) for line in lines),
        whole_note(first, outlook),
        digits=digits_of(reading.cell_factor * cells),
        how=how,
    )


def _scaled(line: Line, factor: float) -> Line:
    if factor == 1.0:
        return line

    def times(values: Array | None) -> Array | None:
        return None if values is None else factor * values

    return replace(line, values=factor * line.values, low=times(line.low), high=times(line.high))


def weight_of(name: str, arm: str, outlook: Outlook) -> Array | None:
    """What weighs the rows of an outcome in one arm; None where nothing does."""
    weight = outlook.readings[name].weight
    return outlook.paths[arm][weight].mid if weight in outlook.paths[arm] else None
