"""What is expected under several decisions: paths and totals with intervals over draws.

All arms share each draw of the parameters, so the interval of a difference is that of paired
forecasts and far narrower than the two intervals suggest.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast.errors import ProjectError
from dagcast_core.contract import Quantity, Weighted

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Mapping[str, Array]

_ARRAYS = "outlook.safetensors"
_TEXT = "outlook.json"
_LEAST_DRAWS = 2


@final
@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    mid: float
    low: float
    high: float


@final
@dataclass(frozen=True)
class Path3:
    """A quantity over the hours, (1 + region, hour); row 0 is all regions together."""

    mid: Array
    low: Array
    high: Array


@final
@dataclass(frozen=True)
class Outlook:
    """Forecasts of the horizon under several arms.

    Attributes:
        regions: labels of rows 1, 2, ... of every path.
        hours: first instants of the columns, ISO UTC.
        level: of the intervals.
        draws: number of draws behind them.
        units: unit of every quantity, per hour where it is a sum.
        paths: arm -> quantity -> path.
        totals: arm -> quantity -> over all regions and hours (sum, or weighted mean).
        differences: arm -> quantity -> total of the plan minus that of the arm.
    """

    regions: tuple[str, ...]
    hours: tuple[str, ...]
    level: float
    draws: int
    units: Mapping[str, str]
    paths: Mapping[str, Mapping[str, Path3]]
    totals: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]

    def save(self, folder: Path) -> None:
        """Write the outlook into an existing folder."""
        from safetensors.numpy import save_file

        arrays = {
            f"{arm}/{quantity}/{part}": np.ascontiguousarray(getattr(path, part))
            for arm, paths in self.paths.items()
            for quantity, path in paths.items()
            for part in ("mid", "low", "high")
        }
        save_file(arrays, folder / _ARRAYS)
        document = {
            "regions": self.regions,
            "hours": self.hours,
            "level": self.level,
            "draws": self.draws,
            "units": dict(self.units),
            "totals": _as_lists(self.totals),
            "differences": _as_lists(self.differences),
        }
        (folder / _TEXT).write_text(json.dumps(document, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Outlook":
        """Read what ``save`` wrote.

        Raises:
            ProjectError: a file is missing or damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            document = json.loads((folder / _TEXT).read_text(encoding="utf-8"))
            arrays = load_file(folder / _ARRAYS)
        except (OSError, ValueError, SafetensorError) as error:
            raise ProjectError(
                f"a whole plan in {folder}", f"{error}", "Make the plan again with `dagcast plan`."
            ) from error
        parts: dict[str, dict[str, dict[str, Array]]] = {}
        for key, values in arrays.items():
            arm, quantity, part = key.split("/")
            parts.setdefault(arm, {}).setdefault(quantity, {})[part] = values
        return cls(
            tuple(document["regions"]),
            tuple(document["hours"]),
            document["level"],
            document["draws"],
            document["units"],
            {arm: {q: Path3(**item) for q, item in paths.items()} for arm, paths in parts.items()},
            _as_estimates(document["totals"]),
            _as_estimates(document["differences"]),
        )


def make_outlook(
    arms: Mapping[str, "Panel"],
    predict: Callable[["Panel", int | None], "Panel"],
    *,
    draws: int,
    level: float,
    quantities: Sequence[Quantity],
    combined: Mapping[str, Mapping[str, float]] | None = None,
    progress: Callable[[str, float | None], None] = lambda message, share: None,
) -> Outlook:
    """Forecast every arm with the fitted parameters and with each draw.

    Args:
        arms: name -> inputs of the model; must hold ``plan``, the arm others are compared with.
        predict: forecast of inputs under draw number ``i``, or the fitted parameters for None.
        draws: number of draws.
        level: of the intervals, e.g. 0.9.
        quantities: to forecast, dims (region, hour) in any order.
        combined: further totals as weighted sums of quantities, e.g. the objective.
        progress: told how far it is.

    Ctrl-C ends it with the draws that are done, at least two; the outlook's ``draws`` counts them.

    Raises:
        KeyboardInterrupt: interrupted a second time.
    """
    index = _axes(next(iter(arms.values())))
    by_name = {quantity.name: quantity for quantity in quantities}
    runs: dict[str, list[Values]] = {arm: [] for arm in arms}

    def forecast(draw: int | None) -> dict[str, Values]:
        progress("forecasting with draws of the parameters", ((draw or 0) + 1) / (draws + 1))
        return {
            arm: _values(predict(inputs, draw), inputs, by_name, *index)
            for arm, inputs in arms.items()
        }

    stopped = False
    for draw in (None, *range(draws)):
        if stopped and len(runs["plan"]) > _LEAST_DRAWS:
            break
        try:
            found = forecast(draw)
        except KeyboardInterrupt:
            if stopped:
                raise
            stopped = True
            if len(runs["plan"]) > _LEAST_DRAWS:
                break
            # An interval needs draws, and what was decided is not lost for want of one.
            found = forecast(draw)
        for arm, values in found.items():
            runs[arm].append(values)
    paths = {arm: _paths(values, by_name, level) for arm, values in runs.items()}
    totals = {arm: _totals(values, by_name, combined or {}) for arm, values in runs.items()}
    return Outlook(
        tuple(str(label) for label in index[0]),
        tuple(hour.isoformat() for hour in index[1]),
        level,
        len(runs["plan"]) - 1,
        {quantity.name: quantity.unit for quantity in quantities},
        paths,
        {arm: {q: _estimate(v, level) for q, v in found.items()} for arm, found in totals.items()},
        {
            arm: {q: _estimate(totals["plan"][q] - v, level) for q, v in found.items()}
            for arm, found in totals.items()
            if arm != "plan"
        },
    )


def together(values: Values, quantity: Quantity, axis: str) -> Array:
    """Combine a quantity along ``region`` (axis -2) or ``hour`` (axis -1) as its contract says."""
    position = {"region": -2, "hour": -1}[axis]
    how = quantity.aggregated(axis)
    own = values[quantity.name]
    if how == "sum":
        return np.asarray(own.sum(axis=position))
    if isinstance(how, Weighted) and how.by in values:
        weights = values[how.by]
        total = weights.sum(axis=position)
        mean = (own * weights).sum(axis=position) / np.where(total > 0, total, 1.0)
        return np.asarray(np.where(total > 0, mean, own.mean(axis=position)), dtype=np.float64)
    return np.asarray(own.mean(axis=position))


def overall(values: Values, quantity: Quantity) -> float:
    """One figure for all regions and hours: a sum, or a weighted mean."""
    flat = {name: array.reshape(1, -1) for name, array in values.items()}
    return float(together(flat, quantity, "hour")[0])


def _axes(inputs: "Panel") -> tuple[Any, Any]:
    for name in inputs:
        tensor = inputs[name]
        if "region" in tensor.dims and "hour" in tensor.dims:
            return tensor.index("region"), tensor.index("hour")
    raise ProjectError("inputs by region and hour", ", ".join(inputs), "Ingest the calendar.")


def _values(
    predicted: "Panel", inputs: "Panel", wanted: Iterable[str], regions: Any, hours: Any
) -> dict[str, Array]:
    found = {}
    for name in wanted:
        tensor = predicted[name] if name in predicted else inputs[name]
        tensor = tensor.reindex({"region": regions, "hour": hours})
        found[name] = tensor.values("region", "hour").detach().numpy().astype(np.float64)
    return found


def _paths(
    runs: Sequence[Values], quantities: Mapping[str, Quantity], level: float
) -> dict[str, Path3]:
    paths = {}
    for name, quantity in quantities.items():
        rows = np.stack([np.vstack([together(v, quantity, "region"), v[name]]) for v in runs])
        tail = (1 - level) / 2
        low, high = np.quantile(rows[1:], [tail, 1 - tail], axis=0)
        paths[name] = Path3(rows[0], np.minimum(low, rows[0]), np.maximum(high, rows[0]))
    return paths


def _totals(
    runs: Sequence[Values],
    quantities: Mapping[str, Quantity],
    combined: Mapping[str, Mapping[str, float]],
) -> dict[str, Array]:
    totals = {
        name: np.array([overall(values, quantity) for values in runs])
        for name, quantity in quantities.items()
    }
    for name, weights in combined.items():
        parts = [weight * totals[q] for q, weight in weights.items()]
        totals[name] = np.sum(parts, axis=0)
    return totals


def _estimate(values: Array, level: float) -> Estimate:
    tail = (1 - level) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    # The fitted parameters are the mode, not the median, of the draws; an interval that leaves
    # out its own estimate would only confuse.
    return Estimate(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


def _as_lists(found: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, list[float]]]:
    return {
        arm: {name: [item.mid, item.low, item.high] for name, item in items.items()}
        for arm, items in found.items()
    }


def _as_estimates(
    found: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, dict[str, Estimate]]:
    return {
        arm: {name: Estimate(*item) for name, item in items.items()} for arm, items in found.items()
    }
