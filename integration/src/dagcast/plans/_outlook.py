"""What is expected under several decisions: means and intervals of predictive draws.

A predictive draw is a draw of the parameters with chance on top (see `_chance`), so that an
interval holds what will be observed. Chance has mean 0: every figure is the mean over the draws of
the parameters. All arms share each draw and its chance, so a difference is that of paired forecasts
and far surer than the two intervals suggest.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast.errors import ProjectError
from dagcast.plans._chance import Chance
from dagcast.plans._reading import Reading
from dagcast_core.contract import Quantity, Weighted

if TYPE_CHECKING:
    from dagcast_core.tensor import IndexTensor, Panel

Array: TypeAlias = npt.NDArray[np.float64]
Values: TypeAlias = Mapping[str, Array]

_ARRAYS = "outlook.safetensors"
_TEXT = "outlook.json"
_LEAST_DRAWS = 2
_PREDICTIVE_DRAWS = 256


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
    """A quantity over the hours, (1 + rows, hour); row 0 is all rows together.

    A quantity without the dim of the rows has row 0 alone; the others are NaN.
    """

    mid: Array
    low: Array
    high: Array


@final
@dataclass(frozen=True)
class Axes:
    """The two axes of every array here.

    Attributes:
        dim: whose labels the rows are; empty where there are none.
        rows: its labels, as they are in the tensors.
        time: name of the time dim.
        hours: its labels.
    """

    dim: str
    rows: Any
    time: str
    hours: Any

    @classmethod
    def among(cls, quantities: Sequence[Quantity], panel: "Panel") -> "Axes":
        """Rows by the dim beside time that most quantities have, labels as in a panel.

        Raises:
            ProjectError: no quantity runs along time, or the panel lacks the labels.
        """
        times = [quantity.time_dim for quantity in quantities]
        time = next((dim.name for dim in times if dim is not None), "")
        counted = Counter(
            dim.name for quantity in quantities for dim in quantity.dims if dim.kind != "time"
        )
        dim = counted.most_common(1)[0][0] if counted else ""
        wanted = {name for name in (dim, time) if name}
        for tensor in panel.values():
            if time and wanted <= set(tensor.dims):
                rows = tensor.index(dim) if dim else ()
                return cls(dim, rows, time, tensor.index(time))
        raise ProjectError(
            f"inputs by {' and '.join(sorted(wanted)) or 'time'}",
            ", ".join(panel),
            "Ingest the calendar.",
        )


@final
@dataclass(frozen=True)
class Outlook:
    """What is expected over the horizon.

    Attributes:
        dim: whose labels the rows are, such as ``region``; empty where there is one row for all.
        rows: its labels.
        time: name of the time dim.
        hours: UTC instants, ISO.
        level: of the intervals, e.g. 0.9.
        draws: number of parameter draws behind them.
        origins: forecasts of past weeks behind the chance in them; 0 where the fit's own errors
            stand in, None where no chance was added.
        readings: quantity -> how people read it, in the order in which they are shown.
        arms: what the plan is compared with, in words: ``none`` is ``no spend``.
        paths: arm -> quantity -> path.
        totals: arm -> quantity -> over all rows and hours (sum, or weighted mean).
        differences: arm -> quantity -> total of the plan minus that of the arm, without chance.
        weeks: quantity -> total of each row under the plan; nothing for quantities without rows.
    """

    dim: str
    rows: tuple[str, ...]
    time: str
    hours: tuple[str, ...]
    level: float
    draws: int
    origins: int | None
    readings: Mapping[str, Reading]
    arms: Mapping[str, str]
    paths: Mapping[str, Mapping[str, Path3]]
    totals: Mapping[str, Mapping[str, Estimate]]
    differences: Mapping[str, Mapping[str, Estimate]]
    weeks: Mapping[str, tuple[Estimate, ...]]

    @property
    def axes(self) -> Axes:
        """Rows and hours of its arrays."""
        import pandas as pd

        hours = pd.DatetimeIndex([pd.Timestamp(hour) for hour in self.hours]).as_unit("us")
        return Axes(self.dim, pd.Index(self.rows, dtype=object), self.time, hours)

    def save(self, folder: Path) -> None:
        """Write the outlook into an existing folder."""
        from safetensors.numpy import save

        arrays = {
            f"{arm}/{quantity}/{part}": np.ascontiguousarray(getattr(path, part))
            for arm, paths in self.paths.items()
            for quantity, path in paths.items()
            for part in ("mid", "low", "high")
        }
        # Not `save_file`, whose files only their owner can read, whatever the umask says.
        (folder / _ARRAYS).write_bytes(save(arrays))
        document = {
            "dim": self.dim,
            "rows": self.rows,
            "time": self.time,
            "hours": self.hours,
            "level": self.level,
            "draws": self.draws,
            "origins": self.origins,
            "readings": {name: asdict(item) for name, item in self.readings.items()},
            "arms": dict(self.arms),
            "totals": _as_lists(self.totals),
            "differences": _as_lists(self.differences),
            "weeks": {
                name: [[item.mid, item.low, item.high] for item in rows]
                for name, rows in self.weeks.items()
            },
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
            document["dim"],
            tuple(document["rows"]),
            document["time"],
            tuple(document["hours"]),
            document["level"],
            document["draws"],
            document["origins"],
            {name: Reading(**item) for name, item in document["readings"].items()},
            document["arms"],
            {arm: {q: Path3(**item) for q, item in paths.items()} for arm, paths in parts.items()},
            _as_estimates(document["totals"]),
            _as_estimates(document["differences"]),
            {
                name: tuple(Estimate(*item) for item in rows)
                for name, rows in document["weeks"].items()
            },
        )


def make_outlook(
    arms: Mapping[str, "Panel"],
    predict: Callable[["Panel", int], "Panel"],
    *,
    draws: int,
    level: float,
    quantities: Sequence[Quantity],
    words: Mapping[str, str],
    combined: Mapping[str, Mapping[str, float]] | None = None,
    chance: Chance | None = None,
    seed: int = 0,
    progress: Callable[[str, float | None], None] = lambda message, share: None,
) -> Outlook:
    """Forecast every arm with each draw of the parameters.

    Args:
        arms: name -> inputs of the model; must hold ``plan``, the arm others are compared with.
        predict: forecast of inputs under draw number ``i``.
        draws: number of draws.
        level: of the intervals, e.g. 0.9.
        quantities: to forecast, in the order in which they are shown; each runs along time.
        words: what the other arms are called.
        combined: further totals as weighted sums of quantities, e.g. the objective.
        chance: what the models do not explain; none is added by default.
        seed: of the chance.
        progress: told how far it is.

    Ctrl-C ends it with the draws that are done, at least two; the outlook's ``draws`` counts them.

    Raises:
        KeyboardInterrupt: interrupted a second time.
    """
    axes = Axes.among(quantities, next(iter(arms.values())))
    by_name = {quantity.name: quantity for quantity in quantities}
    runs: dict[str, list[Values]] = {arm: [] for arm in arms}

    def forecast(draw: int) -> dict[str, Values]:
        progress("forecasting with draws of the parameters", (draw + 1) / draws)
        return {
            arm: arrays({**inputs, **predict(inputs, draw)}, by_name, axes)
            for arm, inputs in arms.items()
        }

    stopped = False
    for draw in range(draws):
        if stopped and len(runs["plan"]) >= _LEAST_DRAWS:
            break
        try:
            found = forecast(draw)
        except KeyboardInterrupt:
            if stopped:
                raise
            stopped = True
            if len(runs["plan"]) >= _LEAST_DRAWS:
                break
            # An interval needs draws, and what was decided is not lost for want of one.
            found = forecast(draw)
        for arm, values in found.items():
            runs[arm].append(values)
    chances = Chances(chance, len(runs["plan"]), seed)
    plain = {arm: _totals(values, by_name, combined or {}, axes) for arm, values in runs.items()}
    weeks, spread = _weeks(chances.of(runs["plan"]), runs["plan"], by_name, axes)
    return Outlook(
        axes.dim,
        tuple(str(label) for label in axes.rows),
        axes.time,
        tuple(hour.isoformat() for hour in axes.hours),
        level,
        len(runs["plan"]),
        None if chance is None else chance.origins,
        {quantity.name: Reading.of(quantity) for quantity in quantities},
        dict(words),
        {
            arm: _paths(chances.of(values), values, by_name, level, axes)
            for arm, values in runs.items()
        },
        {
            arm: {
                name: _estimate(plain[arm][name], own, level)
                for name, own in _totals(chances.of(values), by_name, combined or {}, axes).items()
            }
            for arm, values in runs.items()
        },
        {
            arm: {
                name: _estimate(own := plain["plan"][name] - values, own, level)
                for name, values in found.items()
            }
            for arm, found in plain.items()
            if arm != "plan"
        },
        {
            name: tuple(
                _estimate(weeks[name][:, row], spread[name][:, row], level)
                for row in range(weeks[name].shape[1])
            )
            for name in weeks
        },
    )


@final
class Chances:
    """Adds chance to the runs of every arm, the same to each.

    Args:
        chance: none leaves runs as they are.
        draws: of the parameters.
        seed: of the chance.
    """

    def __init__(self, chance: Chance | None, draws: int, seed: int) -> None:
        self._chance = chance
        # Tails are told by as many draws as there are; those of chance cost next to nothing.
        self._each = 1 if chance is None else -(-_PREDICTIVE_DRAWS // draws)
        self._drawn = () if chance is None else chance.draws(self._each * draws, seed)

    def of(self, runs: Sequence[Values]) -> Iterator[Values]:
        """Predictive draws, several for each run."""
        for number, values in enumerate(runs):
            if self._chance is None:
                yield values
                continue
            for drawn in self._drawn[self._each * number : self._each * (number + 1)]:
                yield {
                    name: own + self._chance.added(name, own, drawn) for name, own in values.items()
                }


def arrays(
    known: Mapping[str, "IndexTensor"], quantities: Mapping[str, Quantity], axes: Axes
) -> dict[str, Array]:
    """Quantities as (rows, hour), or (1, hour) where they have no rows; other dims rolled up.

    Args:
        known: tensors by name; those a panel lacks are left out.
        quantities: to take, by name.
        axes: of the arrays.
    """
    found = {}
    for name, quantity in quantities.items():
        if name not in known:
            continue
        tensor = _rolled_up(known[name], quantity, known, axes)
        if axes.dim in tensor.dims:
            tensor = tensor.reindex({axes.dim: axes.rows, axes.time: axes.hours})
            values = tensor.values(axes.dim, axes.time)
        else:
            values = tensor.reindex({axes.time: axes.hours}).values(axes.time).reshape(1, -1)
        found[name] = values.detach().numpy().astype(np.float64)
    return found


def _rolled_up(
    tensor: "IndexTensor", quantity: Quantity, known: Mapping[str, "IndexTensor"], axes: Axes
) -> "IndexTensor":
    """Dims beside rows and time, put together as the contract says."""
    for dim in tensor.dims:
        if dim in (axes.dim, axes.time):
            continue
        how = quantity.aggregated(dim)
        if how == "sum":
            tensor = tensor.sum(dim)
        elif isinstance(how, Weighted) and how.by in known and dim in known[how.by].dims:
            weights = known[how.by]
            tensor = (tensor * weights).sum(dim) / weights.sum(dim)
        else:
            tensor = tensor.mean(dim)
    return tensor


def together(values: Values, quantity: Quantity, dim: str, position: int) -> Array:
    """Combine a quantity along the axis of a dim, as its contract says.

    Args:
        values: arrays (rows, hour) by name.
        quantity: which one.
        dim: name of the dim.
        position: its axis, -2 for the rows and -1 for time.
    """
    how = quantity.aggregated(dim)
    own = values[quantity.name]
    if how == "sum":
        return np.asarray(own.sum(axis=position))
    if isinstance(how, Weighted) and how.by in values:
        weights = np.broadcast_to(values[how.by], own.shape)
        total = weights.sum(axis=position)
        mean = (own * weights).sum(axis=position) / np.where(total > 0, total, 1.0)
        return np.asarray(np.where(total > 0, mean, own.mean(axis=position)), dtype=np.float64)
    return np.asarray(own.mean(axis=position))


def with_total(values: Values, quantity: Quantity, axes: Axes) -> Array:
    """A quantity by row, all rows together first: (1 + rows, hour)."""
    own = values[quantity.name]
    if axes.dim in quantity.dim_names:
        return np.vstack([together(values, quantity, axes.dim, -2), own])
    return np.vstack([own, np.full((len(axes.rows), own.shape[1]), np.nan)])


def overall(values: Values, quantity: Quantity, axes: Axes) -> float:
    """One figure for all rows and hours: a sum, or a weighted mean."""
    own = values[quantity.name]
    known = {
        name: np.broadcast_to(array, own.shape)
        for name, array in values.items()
        if len(array) in (1, len(own))
    }
    how = quantity.aggregated(axes.time)
    if axes.dim in quantity.dim_names and quantity.aggregated(axes.dim) != how:
        # A stock that adds up over rows but not over hours: rows first.
        weights = {how.by: known[how.by].sum(-2)} if isinstance(how, Weighted) else {}
        known = {**weights, quantity.name: together(values, quantity, axes.dim, -2)}
    flat = {name: array.reshape(1, -1) for name, array in known.items()}
    return float(together(flat, quantity, axes.time, -1)[0])


def _paths(
    predictive: Iterable[Values],
    runs: Sequence[Values],
    quantities: Mapping[str, Quantity],
    level: float,
    axes: Axes,
) -> dict[str, Path3]:
    # float32 halves what many draws of many rows take; nobody reads more digits off a band.
    drawn: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in quantities}
    for values in predictive:
        for name, quantity in quantities.items():
            drawn[name].append(with_total(values, quantity, axes).astype(np.float32))
    tail = (1 - level) / 2
    paths = {}
    for name, quantity in quantities.items():
        middle = np.mean([with_total(values, quantity, axes) for values in runs], axis=0)
        low, high = np.quantile(np.stack(drawn.pop(name)), [tail, 1 - tail], axis=0)
        least, most = quantity.bounds
        # What cannot be below 0 has no band below 0.
        ends = (np.clip(end.astype(np.float64), least, most) for end in (low, high))
        paths[name] = Path3(middle, *ends)
    return paths


def _weeks(
    predictive: Iterable[Values],
    runs: Sequence[Values],
    quantities: Mapping[str, Quantity],
    axes: Axes,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Totals of each row over the hours, (draws, rows): without and with chance."""
    having = {name: q for name, q in quantities.items() if axes.dim in q.dim_names}

    def rows(found: Iterable[Values]) -> dict[str, Array]:
        kept: dict[str, list[Array]] = {name: [] for name in having}
        for values in found:
            for name, quantity in having.items():
                kept[name].append(together(values, quantity, axes.time, -1))
        return {name: np.stack(items) for name, items in kept.items()}

    return rows(runs), rows(predictive)


def _totals(
    runs: Iterable[Values],
    quantities: Mapping[str, Quantity],
    combined: Mapping[str, Mapping[str, float]],
    axes: Axes,
) -> dict[str, Array]:
    found: dict[str, list[float]] = {name: [] for name in quantities}
    for values in runs:
        for name, quantity in quantities.items():
            found[name].append(overall(values, quantity, axes))
    totals = {name: np.array(items) for name, items in found.items()}
    for name, weights in combined.items():
        totals[name] = np.sum([weight * totals[q] for q, weight in weights.items()], axis=0)
    return totals


def _estimate(plain: Array, predictive: Array, level: float) -> Estimate:
    """The mean over the draws of the parameters, and the interval of predictive draws."""
    tail = (1 - level) / 2
    low, high = np.quantile(predictive, [tail, 1 - tail])
    return Estimate(float(plain.mean()), float(low), float(high))


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
