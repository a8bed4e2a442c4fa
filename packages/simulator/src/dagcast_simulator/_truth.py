"""Truth by replay: both arms of an experiment, everywhere at once, with the same random numbers.

An experiment compares treated with control cells of one history, so its estimate carries noise and
whatever treated cells do to control cells. The truth replays the span twice from the same state,
once with the control arm in all of the experiment's cells and once with the treatment arm, and
compares the outcome as the experiment's scale says.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Arm, Change, Experiment
from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import Levers
from dagcast_simulator._measured import MEASURED_AS
from dagcast_simulator._trials import TrialError, apply_change

Array = NDArray[np.float64]
Replay = Callable[[Levers, int, int], dict[str, Array]]


class TruthError(ValueError):
    """The market cannot answer for this experiment."""


def true_effect(experiment: Experiment, env: Environment, levers: Levers, replay: Replay) -> float:
    """The effect that ``experiment`` estimates, on its own scale.

    Args:
        experiment: levers and outcome of this market; cells within its hours.
        env: the world's environment.
        levers: as they were.
        replay: runs levers from the start of a week for a number of hours; returns quantities
            (region, hour) from that start on.

    Raises:
        TruthError: outcome, lever, region or hours are not of this market.
    """
    span, first, last = _cells(experiment, env)
    begin = first // 168 * 168
    clock = env.hour_of_week % 24
    treated, counted = experiment.cells.local_hours, experiment.cells.counted_hours
    cells = span & np.isin(clock, treated) if treated else span
    seen = span & np.isin(clock, counted) if counted else cells
    seen = seen[:, begin : last + 1]
    if not seen.any():
        raise TruthError(f"experiment {experiment.name!r} has no open cell in this world.")
    outcome = MEASURED_AS.get(experiment.outcome, experiment.outcome)
    lever = experiment.levers[0]

    def reduced(values: Array) -> float:
        counted = values[seen]
        total = np.nansum(counted) if experiment.reduce == "sum" else np.nanmean(counted)
        return float(total)

    # An elasticity divides by the move that came about, which need not be the one asked for.
    exact = experiment.scale != "elasticity"

    def run(arm: Arm) -> tuple[float, float]:
        changed = _apply(arm, levers, cells, env, replay, (begin, last), seen, exact)
        result = replay(changed, begin, last + 1 - begin)
        if outcome not in result:
            raise TruthError(
                f"experiment {experiment.name!r} measures {experiment.outcome!r}; this market "
                f"knows {', '.join(sorted(result))}, {', '.join(sorted(MEASURED_AS))}."
            )
        if lever in result and lever not in ("incentive_spend", "coupon_spend"):
            level = reduced(result[lever])
        else:
            level = _level(changed, lever, slice(begin, last + 1), reduced)
        return reduced(result[outcome]), level

    control, low = run(experiment.control)
    treatment, high = run(experiment.treatment)
    if experiment.scale == "absolute":
        return treatment - control
    if experiment.scale == "ratio":
        return treatment / control - 1
    if low <= 0 or high <= 0 or low == high:
        raise TruthError(
            f"experiment {experiment.name!r}: {lever!r} is {low:g} in control and {high:g} in "
            "treatment; an elasticity needs two different positive levels."
        )
    return float(np.log(treatment / control) / np.log(high / low))


def _level(levers: Levers, lever: str, now: slice, reduced: Callable[[Array], float]) -> float:
    if lever == "base_fare":
        return reduced((levers.base_fare * (1 + levers.fare_split) / 2)[:, now])
    if lever == "incentive_spend":
        return reduced(levers.incentive_spend.sum(axis=0)[:, now])
    return reduced(levers.coupon_spend[:, now])


def _cells(experiment: Experiment, env: Environment) -> tuple[NDArray[np.bool_], int, int]:
    names = [region.name for region in env.regions]
    unknown = [region for region in experiment.cells.labels if region not in names]
    if unknown:
        raise TruthError(
            f"experiment {experiment.name!r} names the region {unknown[0]!r}; this world has "
            f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
        )
    span = env.hours.get_indexer(pd.DatetimeIndex([experiment.cells.start, experiment.cells.end]))
    if (span < 0).any():
        raise TruthError(
            f"experiment {experiment.name!r} runs from {experiment.cells.start} to "
            f"{experiment.cells.end}; this world knows {env.hours[0].isoformat()} to "
            f"{env.hours[-1].isoformat()}."
        )
    mask = np.zeros(env.sessions.shape, dtype=bool)
    rows = [names.index(region) for region in experiment.cells.labels]
    mask[rows, span[0] : span[1] + 1] = True
    return mask & (env.open > 0), int(span[0]), int(span[1])


def _apply(
    arm: Arm,
    levers: Levers,
    cells: NDArray[np.bool_],
    env: Environment,
    replay: Replay,
    span: tuple[int, int],
    seen: NDArray[np.bool_],
    exact: bool,
) -> Levers:
    for change in arm.changes:
        if change.quantity == "driver_hours" and change.how == "scale" and not exact:
            levers = _more_starts(levers, cells, change.value)
            continue
        if change.quantity == "driver_hours":
            levers = _with_driver_hours(change, levers, cells, replay, span, seen)
            continue
        try:
            levers = apply_change(levers, change, _restricted(cells, change, env))
        except TrialError as error:
            raise TruthError(str(error)) from error
    return levers


def _restricted(cells: NDArray[np.bool_], change: Change, env: Environment) -> NDArray[np.bool_]:
    allowed = change.where.get("region")
    if allowed is None:
        return cells
    rows = np.array([region.name in allowed for region in env.regions])
    kept: NDArray[np.bool_] = cells & rows[:, None]
    return kept


def _with_driver_hours(
    change: Change,
    levers: Levers,
    cells: NDArray[np.bool_],
    replay: Replay,
    span: tuple[int, int],
    seen: NDArray[np.bool_],
) -> Levers:
    """Driver hours are no lever: starts are scaled until their mean is what the arm asks."""
    begin, last = span

    def hours(factor: float) -> float:
        result = replay(_more_starts(levers, cells, factor), begin, last + 1 - begin)
        return float(result["driver_hours"][seen].mean())

    base = hours(1.0)
    goal = {
        "set": change.value,
        "add": base + change.value,
        "scale": base * change.value,
    }[change.how]
    if goal <= 0:
        raise TruthError(f"driver hours cannot be brought to {goal:g} driver-hour/h")
    if abs(np.log(goal / base)) < 1e-6:
        return levers
    # Hours grow about in proportion to starts, so few secant steps in logs are enough.
    x0, y0 = 0.0, np.log(base)
    x1 = float(np.log(goal / base))
    for _ in range(4):
        y1 = np.log(hours(float(np.exp(x1))))
        if abs(y1 - np.log(goal)) < 2e-3 or y1 == y0:
            break
        x0, x1, y0 = x1, x1 + (np.log(goal) - y1) * (x1 - x0) / (y1 - y0), y1
    return _more_starts(levers, cells, float(np.exp(x1)))


def _more_starts(levers: Levers, cells: NDArray[np.bool_], factor: float) -> Levers:
    return levers.replace(starts=np.where(cells, levers.starts * factor, levers.starts))
