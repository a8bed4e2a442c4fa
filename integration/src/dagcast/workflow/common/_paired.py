"""Two candidates' errors, window by window: what their difference is, and whether it is one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from dagcast.workflow.common._result import ResultTable

if TYPE_CHECKING:
    from dagcast_core.evaluate import BacktestReport
    from dagcast_core.tensor import IndexTensor

_WORDS = {
    "better": "better",
    "worse": "worse",
    "undecided": "no difference that these origins can tell",
    "same": "the same forecasts",
}
PAIRED = (
    "Differences in MASE, paired over origins; negative is better; each interval is for its own "
    "row, and of many rows one in twenty errs"
)
# Forecasts of one model on one machine that differ by less are rounded otherwise.
_SAME = 1e-9


@final
@dataclass(frozen=True)
class PairedErrors:
    """A candidate against the first, one quantity, over the same windows.

    Attributes:
        candidate: which one.
        quantity: forecast.
        difference: mean over windows of the candidate's MASE less the first's; negative is better.
        low: lower end of its 95 % interval; infinite where there is one window, or where windows
            overlap and so say the same thing twice.
        high: upper end.
        verdict: ``better``, ``worse``, ``undecided``, or ``same`` where both forecast the same.
    """

    candidate: str
    quantity: str
    difference: float
    low: float
    high: float
    verdict: Literal["better", "worse", "undecided", "same"]

    @property
    def shown(self) -> str:
        """The difference, as tables show it."""
        return "-" if self.verdict == "same" else f"{self.difference:+.3f}"

    @property
    def words(self) -> str:
        """The verdict, as tables show it."""
        return _WORDS[self.verdict]

    @property
    def interval(self) -> str:
        """Its ends, as tables show them."""
        if self.verdict == "same":
            return "-"
        if math.isinf(self.low):
            return "none: too few windows, or they overlap"
        return f"{self.low:+.3f} to {self.high:+.3f}"


def verdict_table(title: str, pairs: Sequence[PairedErrors]) -> ResultTable:
    """The verdicts, with what they rest on."""
    rows = tuple(
        (item.candidate, item.quantity, item.shown, item.interval, item.words) for item in pairs
    )
    columns = ("candidate", "quantity", "difference", "95 % interval", "verdict")
    return ResultTable(title, columns, rows, PAIRED)


def paired_errors(
    candidate: str,
    quantity: str,
    report: "BacktestReport",
    first: "BacktestReport",
    apart: bool,
) -> PairedErrors:
    """Compare the errors of two candidates window by window.

    Every window's difference is one observation: windows share neither days nor a fit, the cells
    of one share both. With one window there is no interval, and no verdict.
    """
    from dagcast_core.evaluate import mean_interval

    if all(_alike(panel[quantity], first.forecasts[at][quantity])
           for at, panel in report.forecasts.items()):  # fmt: skip
        return PairedErrors(candidate, quantity, 0.0, 0.0, 0.0, "same")
    windows = zip(report.by_origin(quantity), first.by_origin(quantity), strict=True)
    mean, low, high = mean_interval([a.mase - b.mase for a, b in windows])
    if not apart:
        low, high = -math.inf, math.inf
    verdict: Literal["better", "worse", "undecided"] = "undecided"
    if low > 0:
        verdict = "worse"
    elif high < 0:
        verdict = "better"
    return PairedErrors(candidate, quantity, mean, low, high, verdict)


def _alike(forecast: "IndexTensor", other: "IndexTensor") -> bool:
    largest = float(other.tensor.abs().nan_to_num().max())
    apart = (forecast - other).tensor.abs().nan_to_num()
    return float(apart.max()) <= _SAME * largest
