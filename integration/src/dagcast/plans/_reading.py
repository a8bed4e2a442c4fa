"""How people read the quantities of a plan, kept beside it: a page needs no installed package."""

from dataclasses import dataclass
from typing import final

from dagcast.figures import figure, interval, total_unit
from dagcast_core.contract import Quantity, Weighted


@final
@dataclass(frozen=True)
class Reading:
    """How a quantity is read.

    Attributes:
        title: how people call it.
        unit: of one cell.
        written: how its figures are written, as ``Quantity.figures`` says.
        better: ``higher``, ``lower``, or empty for neither.
        summed: whether cells of several hours add up.
        weight: what weighs a mean of several cells; empty where nothing does.
    """

    title: str
    unit: str
    written: str
    better: str
    summed: bool
    weight: str = ""

    @classmethod
    def of(cls, quantity: Quantity) -> "Reading":
        """What a declaration says."""
        time = quantity.time_dim
        how = None if time is None else quantity.aggregated(time.name)
        return cls(
            quantity.heading,
            quantity.unit,
            quantity.figures,
            quantity.better,
            how == "sum",
            how.by if isinstance(how, Weighted) else "",
        )

    @property
    def total_unit(self) -> str:
        """Unit of the figure over all hours: ``rides`` for ``ride/h``."""
        return total_unit(self.unit) if self.summed else self.unit

    @property
    def cell_factor(self) -> float:
        """By what a cell is multiplied to be in ``cell_unit``."""
        return 100.0 if self.cell_unit != self.unit else 1.0

    @property
    def cell_unit(self) -> str:
        """Unit of one cell on a chart."""
        return "%" if self.written == "share" and self.unit == "1" else self.unit

    def figure(self, value: float, *, signed: bool = False) -> str:
        """A figure over all hours."""
        return figure(value, self.total_unit, self.written, signed=signed)

    def interval(self, low: float, high: float, *, signed: bool = False) -> str:
        """Both ends of an interval over all hours."""
        return interval(low, high, self.total_unit, self.written, signed=signed)
