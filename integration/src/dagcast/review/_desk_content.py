"""What the panel beside a map and the table of rows are made of."""

from dataclasses import dataclass
from typing import Literal, final

from dagcast.review._content import Array, Form


@final
@dataclass(frozen=True)
class Total:
    """An outcome over all hours, by row.

    Attributes:
        title: how people call it.
        form: of its figures.
        better: ``higher``, ``lower`` or empty.
        chart: key of the chart that has its hours; empty where none has.
        values: (1 + rows, 3): what is expected and its interval, and in hindsight what happened;
            None where only gains are known.
        gains: (1 + rows, 4): change against the current plan, its interval, and the share of draws
            in which it is above 0, in per cent; None where nobody kept it.
        effect: what the plan brings by hour: low and high, (1 + rows, hour).
        scaled: multiples of the plan and what they bring by hour, (1 + rows, hour), or all rows
            together alone.
    """

    title: str
    form: Form
    better: str
    chart: str
    values: Array | None
    gains: Array | None
    effect: tuple[Array, Array] | None = None
    scaled: tuple[tuple[float, Array], ...] = ()


@final
@dataclass(frozen=True)
class RowColumn:
    """A column of the table of rows: one figure for each."""

    head: str
    form: Form
    values: tuple[float, ...]
    signed: bool = False


@final
@dataclass(frozen=True)
class LimitLine:
    """A limit as people read it, and for which label it holds."""

    title: str
    label: str
    used: str
    limit: str
    standing: str
    price: float
    lever: bool


@final
@dataclass(frozen=True)
class Desk:
    """What the panel beside the map and the table of rows are made of.

    Attributes:
        outcomes: over all hours, by row; what is maximised is the first.
        limits: of the plan.
        lever: what is decided, in words.
        spend: form of the levers' sum over the hours, by row.
        everything: what all parts of a lever together are called.
        none: what doing nothing is called.
        step: one unit of a lever in words, such as ``dollar``.
        worth: form of what one more unit is worth.
        objective: what is maximised, in words.
        bounds: least and greatest value of a cell, in words; empty where there are none.
        upper: greatest value of a cell; None where there is none.
        kind: ``plan``, or ``hindsight`` where reality is drawn in.
        columns: of the table of rows, where they do not follow from the outcomes.
        marked: places of rows that stand out in it.
        mark: what is said of those.
        said: above the table.
    """

    outcomes: tuple[Total, ...]
    limits: tuple[LimitLine, ...]
    lever: str
    spend: Form
    everything: str
    none: str
    step: str
    worth: Form
    objective: str
    bounds: str = ""
    upper: float | None = None
    kind: Literal["plan", "hindsight"] = "plan"
    columns: tuple[RowColumn, ...] = ()
    marked: tuple[int, ...] = ()
    mark: str = ""
    said: str = ""
