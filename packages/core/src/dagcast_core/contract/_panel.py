"""A chart that a package adds to the page on which people decide about a plan."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor


@final
@dataclass(frozen=True)
class ReviewPanel:
    """Lines over the hours of a plan; what the hook ``dagcast_review_panels`` returns.

    Example:
        >>> def per_hour(known):
        ...     return {"pay": known["driver_pay"] / known["driver_hours"]}
        >>> ReviewPanel("Pay of an hour", "USD/driver-hour", per_hour).how
        'mean'

    Attributes:
        title: above the chart.
        unit: of its lines.
        lines: takes what is known under the plan, the decided levers with their own dims and the
            mean forecasts of outcomes by row and hour, by the quantity's name. Returns up to five
            lines by their names, each with the time dim, and with the dim of the page's rows where
            it differs by row.
        how: several rows are put together.
        note: below the chart.
    """

    title: str
    unit: str
    lines: "Callable[[Mapping[str, IndexTensor]], Mapping[str, IndexTensor]]"
    how: Literal["sum", "mean"] = "mean"
    note: str = ""
