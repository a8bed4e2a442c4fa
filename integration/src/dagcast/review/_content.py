"""What a page shows, free of how it looks.

Arrays are (row, hour) or (1 + row, hour), where row 0 stands for all rows together. Rows are the
labels of one dim, such as the regions of a marketplace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dagcast.review._desk_content import Desk

Array: TypeAlias = npt.NDArray[np.float64]
Tone = Literal["good", "neutral", "warning", "bad"]
Role = Literal["plan", "none", "current", "actual", "expost", "1", "2", "3", "4", "5"]


How = Literal["sum", "mean", "weighted"]


@final
@dataclass(frozen=True)
class Line:
    """One line of a chart, (1 + row, hour), with an interval around it if it has one.

    ``weight``, of the same shape, weighs the rows where several are shown as one.
    """

    name: str
    role: Role
    values: Array
    low: Array | None = None
    high: Array | None = None
    weight: Array | None = None


@final
@dataclass(frozen=True)
class Chart:
    """Lines over the hours of the horizon, for the rows chosen on the page.

    ``how`` several rows are put together; ``digits`` are the decimals that are shown.
    """

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...]
    note: str = ""
    digits: int = 2
    how: How = "mean"


@final
@dataclass(frozen=True)
class Heatmap:
    """A quantity by row and hour; several layers are chosen on the page.

    ``rows`` names rows of its own, where they are not those of the page.
    """

    key: str
    title: str
    unit: str
    layers: Mapping[str, Array]
    note: str = ""
    digits: int = 0
    rows: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Form:
    """How figures are written: what stands before and behind them, and their decimals."""

    prefix: str = ""
    suffix: str = ""
    digits: int = 1


@final
@dataclass(frozen=True)
class Layer:
    """One of the quantities of a map, (row, hour).

    Attributes:
        name: of the quantity.
        part: which of its parts, such as a kind of incentive; empty where it has none.
        values: one row for all where it does not differ by row.
        unit: of a cell.
        form: of a cell.
        near: places and signs of layers before it whose sum it is, give or take rounding.
        role: what it is to the panel beside the map: ``plan``, ``current``, ``worth``, or in
            hindsight ``plan``, ``done``, ``best`` and ``regret``; or nothing.
        total: whether row 0 of its values stands for all rows together.
    """

    name: str
    part: str
    values: Array
    unit: str
    form: Form
    near: tuple[tuple[int, int], ...] = ()
    role: str = ""
    total: bool = False


@final
@dataclass(frozen=True)
class Map:
    """Quantities by row and hour, of which one is shown at a time; the page's selection lives here.

    Attributes:
        key: of the figure.
        title: above it.
        layers: what may be shown.
        parts: of the layers that have some, in the order in which they are offered.
        change: place of the layer by whose size rows are ranked.
        note: below it.
    """

    key: str
    title: str
    layers: tuple[Layer, ...]
    parts: tuple[str, ...] = ()
    change: int | None = None
    note: str = ""


@final
@dataclass(frozen=True)
class Bar:
    """How much of a limit is used."""

    label: str
    used: float
    limit: float
    unit: str
    binding: bool
    note: str = ""


@final
@dataclass(frozen=True)
class Card:
    """One figure of the headline with what it is compared with."""

    label: str
    value: str
    interval: str = ""
    comparisons: tuple[tuple[str, str, Tone], ...] = ()


@final
@dataclass(frozen=True)
class Interval:
    """One row of a forest: an effect as measured, and as everything else leads to expect it."""

    label: str
    measured: float
    measured_low: float
    measured_high: float
    modelled: float
    modelled_low: float
    modelled_high: float
    verdict: str
    note: str = ""


@final
@dataclass(frozen=True)
class Forest:
    """Measured against modelled effects, each row on a scale of its own."""

    rows: tuple[Interval, ...]
    note: str = ""


@final
@dataclass(frozen=True)
class Column:
    """A column of a table; figures are set to the right."""

    name: str
    numeric: bool = True


@final
@dataclass(frozen=True)
class Table:
    """Rows of text; those beyond ``visible`` are folded away."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    visible: int = 12
    marked: frozenset[int] = frozenset()


@final
@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@final
@dataclass(frozen=True)
class Waterfall:
    """Parts that add up to a whole, one below the other.

    Attributes:
        key: of the figure.
        title: above it.
        unit: of the parts.
        form: of the parts.
        bars: name and size of each part, in order.
        whole: what they add up to.
        note: below it.
    """

    key: str
    title: str
    unit: str
    form: Form
    bars: tuple[tuple[str, float], ...]
    whole: str
    note: str = ""


@final
@dataclass(frozen=True)
class RowTable:
    """Where the table of rows stands, which the page's script fills from its desk."""

    key: str = "rows"


Block: TypeAlias = (
    Chart
    | Heatmap
    | Map
    | Waterfall
    | RowTable
    | Table
    | Forest
    | Text
    | tuple[Bar, ...]
    | tuple[Chart, ...]
)
"""What a page is made of, in the order in which it is read."""


@final
@dataclass(frozen=True)
class Section:
    """One part of a page; ``short`` is its name in the navigation."""

    key: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
    short: str = ""


@final
@dataclass(frozen=True)
class Link:
    """Something to look at: its name, why, and the address that sets the page to it."""

    name: str
    why: str
    href: str


@final
@dataclass(frozen=True)
class Answer:
    """One of the questions that a page answers first.

    Attributes:
        key: what it is about.
        question: in a few words.
        figure: the answer in one figure.
        lines: what belongs to it.
        tone: of the figure.
        links: what to look at.
    """

    key: str
    question: str
    figure: str
    lines: tuple[str, ...] = ()
    tone: Tone = "neutral"
    links: tuple[Link, ...] = ()


@final
@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the document.
        kicker: the line above the headline, such as the project and the week.
        headline: the answer in one sentence.
        status: what the certificate says, in a few words.
        tone: of the status.
        cards: the figures that matter most.
        sections: the rest, in reading order.
        rows: labels of the rows of every array; none where there is one row for all.
        dim: whose labels they are.
        hours: instants of the columns, UTC.
        zone: zone in which hours of all rows together are shown.
        zones: zone of each row; none where all share ``zone``.
        facts: short name and value pairs below the headline.
        answers: what people ask first.
        mark: what is printed on every sheet, such as the plan, its state and its hash.
        against: what stands against approving what is shown.
        desk: what the panel beside the map and the table of rows show; None without them.
    """

    title: str
    kicker: str
    headline: str
    status: str
    tone: Tone
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    rows: tuple[str, ...]
    dim: str
    hours: tuple[datetime, ...]
    zone: str = "UTC"
    zones: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    answers: tuple[Answer, ...] = ()
    mark: str = ""
    against: tuple[str, ...] = ()
    desk: "Desk | None" = None
