"""From draws of the parameters, with chance on top, to what is expected of several decisions.

A predictive draw is a draw of the parameters with chance on top (see `_chance`), so that an
interval holds what will be observed. Chance has mean 0: every figure is the mean over the draws of
the parameters. All arms share each draw and its chance, so a difference is that of paired forecasts
and far surer than the two intervals suggest.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, final

import numpy as np
import numpy.typing as npt

from dagcast.plans._axes import Array, Axes, Values, arrays, overall, together, with_total
from dagcast.plans._chance import Chance
from dagcast.plans._outlook import Estimate, Gain, Outlook, Path3
from dagcast.plans._reading import Reading
from dagcast_core.contract import Quantity

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel

_LEAST_DRAWS = 2
_PREDICTIVE_DRAWS = 256
# One of so many draws tells the shape of the response to spend: by one draw in all, half of a plan
# was off by 5 % of its gain.
_SHARE_OF_DRAWS = 4
# Where somebody waits for the end: seconds for further draws, and draws of chance.
_HURRY, _HURRIED_DRAWS = 0.2, 64


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
    scaled: Mapping[float, "Panel"] | None = None,
    hurried: bool = False,
    whole: bool = False,
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
        scaled: multiples of the plan -> inputs under them, for the response to spend.
        hurried: Ctrl-C was pressed before, so that it ends soon, with at least two draws.
        whole: an outlook of fewer draws is none.
        progress: told how far it is.

    Ctrl-C ends it with the draws that are done, at least two; the outlook's ``draws`` counts them.

    Raises:
        KeyboardInterrupt: interrupted a second time; or at all, where it has to be ``whole``.
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

    stopped, until = hurried, time.monotonic() + _HURRY
    for draw in range(draws):
        if stopped and len(runs["plan"]) >= _LEAST_DRAWS and time.monotonic() > until:
            break
        try:
            found = forecast(draw)
        except KeyboardInterrupt:
            if stopped or whole:
                raise
            stopped, until = True, 0.0
            if len(runs["plan"]) >= _LEAST_DRAWS:
                break
            # An interval needs draws, and what was decided is not lost for want of one.
            found = forecast(draw)
        for arm, values in found.items():
            runs[arm].append(values)
    levels = _scaled(
        {} if stopped else scaled or {}, predict, runs, by_name, combined or {}, axes, progress
    )
    predictive = _HURRIED_DRAWS if stopped else _PREDICTIVE_DRAWS
    chances = Chances(chance, len(runs["plan"]), seed, predictive)
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
        {
            arm: {
                name: float((plain["plan"][name] > values).mean()) for name, values in found.items()
            }
            for arm, found in plain.items()
            if arm != "plan"
        },
        _row_gains(runs, by_name, combined or {}, level, axes),
        _effects(runs, by_name, combined or {}, level, axes),
        tuple(scaled or {}) if levels else (),
        levels,
    )


def _scaled(
    scaled: Mapping[float, "Panel"],
    predict: Callable[["Panel", int], "Panel"],
    runs: Mapping[str, Sequence[Values]],
    quantities: Mapping[str, Quantity],
    combined: Mapping[str, Mapping[str, float]],
    axes: Axes,
    progress: Callable[[str, float | None], None],
) -> dict[str, Array]:
    """Outcomes under multiples of the plan, (scales, 1 + rows, hour), of what totals combine.

    A few draws give the shape of the response; what these draws say otherwise of the whole plan
    than all of them do is taken off in proportion, so that it goes through the plan's own figures.
    """
    names = [n for n in dict.fromkeys(q for w in combined.values() for q in w) if n in quantities]
    if "none" not in runs or not scaled or not names:
        return {}
    draws = range(max(1, len(runs["plan"]) // _SHARE_OF_DRAWS))
    found: dict[str, list[Array]] = {name: [] for name in names}

    def mean(arm: str, name: str, among: Sequence[int]) -> Array:
        own = [with_total(runs[arm][draw], quantities[name], axes) for draw in among]
        return np.asarray(np.mean(own, axis=0))

    for number, (scale, inputs) in enumerate(scaled.items()):
        progress("forecasting the response to spend", (number + 1) / len(scaled))
        made = [arrays({**inputs, **predict(inputs, draw)}, quantities, axes) for draw in draws]
        for name in names:
            values = np.mean([with_total(own, quantities[name], axes) for own in made], axis=0)
            every = range(len(runs["plan"]))
            off_none = mean("none", name, every) - mean("none", name, draws)
            off_plan = mean("plan", name, every) - mean("plan", name, draws)
            found[name].append(values + off_none + scale * (off_plan - off_none))
    return {name: np.stack(values) for name, values in found.items()}


@final
class Chances:
    """Adds chance to the runs of every arm, the same to each.

    Args:
        chance: none leaves runs as they are.
        draws: of the parameters.
        seed: of the chance.
        least: predictive draws, at least.
    """

    def __init__(
        self, chance: Chance | None, draws: int, seed: int, least: int = _PREDICTIVE_DRAWS
    ) -> None:
        self._chance = chance
        # Tails are told by as many draws as there are; those of chance cost next to nothing.
        self._each = 1 if chance is None else -(-least // draws)
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

    return _by_row(runs, having, axes), _by_row(predictive, having, axes)


def _by_row(
    found: Iterable[Values], having: Mapping[str, Quantity], axes: Axes
) -> dict[str, Array]:
    kept: dict[str, list[Array]] = {name: [] for name in having}
    for values in found:
        for name, quantity in having.items():
            kept[name].append(together(values, quantity, axes.time, -1))
    return {name: np.stack(items) for name, items in kept.items()}


def _row_gains(
    runs: Mapping[str, Sequence[Values]],
    quantities: Mapping[str, Quantity],
    combined: Mapping[str, Mapping[str, float]],
    level: float,
    axes: Axes,
) -> dict[str, tuple[Gain, ...]]:
    """What each row gains over the current plan, by quantity, paired by draw and without chance."""
    if "current" not in runs:
        return {}
    having = {name: q for name, q in quantities.items() if axes.dim in q.dim_names}
    plan, other = (_by_row(runs[arm], having, axes) for arm in ("plan", "current"))
    gains = {name: plan[name] - other[name] for name in having}
    for name, weights in combined.items():
        if weights and all(part in gains for part in weights):
            gains[name] = np.sum([share * gains[part] for part, share in weights.items()], axis=0)

    def gain(values: Array) -> Gain:
        found = _estimate(values, values, level)
        return Gain(found.mid, found.low, found.high, float((values > 0).mean()))

    return {name: tuple(gain(row) for row in values.T) for name, values in gains.items()}


def _effects(
    runs: Mapping[str, Sequence[Values]],
    quantities: Mapping[str, Quantity],
    combined: Mapping[str, Mapping[str, float]],
    level: float,
    axes: Axes,
) -> dict[str, Path3]:
    """What the plan brings over doing nothing, cell by cell, of what the combined totals hold."""
    if "none" not in runs:
        return {}
    tail, found = (1 - level) / 2, {}
    for name in dict.fromkeys(part for weights in combined.values() for part in weights):
        if name not in quantities:
            continue
        plan, none = (
            np.stack([with_total(values, quantities[name], axes) for values in runs[arm]])
            for arm in ("plan", "none")
        )
        low, high = np.quantile(plan - none, [tail, 1 - tail], axis=0)
        found[name] = Path3((plan - none).mean(axis=0), low, high)
    return found


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
