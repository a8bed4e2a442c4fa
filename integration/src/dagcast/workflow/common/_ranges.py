"""Predictions that are out of the world, in words and in the quantity's own unit."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from dagcast.figures import DASH, number
from dagcast.workflow.common._result import ResultTable

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.evaluate import RangeCheck
    from dagcast_core.tensor import Panel


def forecast_ranges(
    forecasts: "Iterable[Panel]", actual: "Panel", quantities: "Mapping[str, Quantity]"
) -> "tuple[RangeCheck, ...]":
    """Forecasts of several origins beside the range of everything that was observed.

    Args:
        forecasts: one panel for each origin.
        actual: what was observed; its quantities are looked at.
        quantities: declarations by name.
    """
    from dagcast_core.evaluate import range_check

    found: dict[str, RangeCheck] = {}
    for panel in forecasts:
        for name in actual:
            if name not in panel or name not in quantities:
                continue
            own = range_check(quantities[name], panel[name], actual[name])
            before = found.get(name)
            if before is not None:
                own = replace(
                    own,
                    low=min(own.low, before.low),
                    high=max(own.high, before.high),
                    beyond=own.beyond + before.beyond,
                    cells=own.cells + before.cells,
                )
            found[name] = own
    return tuple(found.values())


def refused(checks: "Iterable[RangeCheck]", titles: Mapping[str, str]) -> tuple[str, ...]:
    """What no good model predicts, in words: by quantity, beside what was observed."""
    return tuple(
        f"{titles.get(item.quantity, item.quantity)} from {_with_unit(item.low, item.unit)} to "
        f"{_with_unit(item.high, item.unit)} in {item.beyond:,} of {item.cells:,} cells out of the "
        f"world, where {_with_unit(item.observed_low, item.unit)} to "
        f"{_with_unit(item.observed_high, item.unit)} was observed"
        for item in checks
        if not item.passed
    )


def error_table(
    title: str, checks: "Iterable[RangeCheck]", titles: Mapping[str, str]
) -> ResultTable:
    """Errors beside the size of what was observed, each in its own unit."""
    rows = tuple(
        (
            titles.get(item.quantity, item.quantity),
            item.unit,
            number(item.error),
            number(item.typical),
            f"{_plain(item.low)} to {_plain(item.high)}",
            f"{_plain(item.observed_low)} to {_plain(item.observed_high)}",
            "yes" if item.passed else f"NO, {item.beyond:,} cells",
        )
        for item in checks
    )
    columns = (
        "quantity",
        "unit",
        "mean error",
        "mean value",
        "predicted",
        "observed",
        "in the world",
    )
    note = (
        "in-sample: the models have seen these hours; out-of-sample errors are the backtest's"
        if rows
        else "nothing that the models make is observed"
    )
    return ResultTable(title, columns, rows, note)


def _plain(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 1000 else number(value) if value == value else DASH


def _with_unit(value: float, unit: str) -> str:
    return f"{_plain(value)} {unit}".removesuffix(" 1")
