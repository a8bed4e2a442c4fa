"""Randomised trials: who was treated when, and what that did to the levers.

The operator's experiments run **inside the history**: a trial sets levers in its own cells, so the
event files contain it, and its estimate comes from those cells. Trials of different levers run at
the same time under independent randomisation, as on a real platform. Further trials can be run as
replays of the history (``MarketWorld.run``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Change
from dagcast_simulator._environment import Environment
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._random import generator

Array = NDArray[np.float64]
Design = Literal["switchback", "geo", "user_split"]

_LONGEST_AHEAD = 13 * 168  # hours beyond what is drawn of a world


class TrialError(ValueError):
    """A trial cannot be run in this world."""


@dataclass(frozen=True)
class Trial:
    """One randomised trial.

    Args:
        name: unique within a world.
        design: ``switchback`` (region x window), ``geo`` (region) or ``user_split`` (rider).
        regions: positions of the regions that take part.
        start: first hour, counted from the start of the history.
        hours: length.
        window: hours of one window of a switchback; of the whole trial otherwise.
        washout: hours at the start of every window that the analysis leaves out.
        control: changes of the levers in control cells.
        treatment: changes of the levers in treated cells.
        treated: (region, window) bool; all False for a user split, whose riders draw their arm.
        cluster: (region,) regions of the same number are randomised together.
    """

    name: str
    design: Design
    regions: tuple[int, ...]
    start: int
    hours: int
    window: int
    washout: int
    control: tuple[Change, ...]
    treatment: tuple[Change, ...]
    treated: NDArray[np.bool_]
    cluster: tuple[int, ...]

    def arm_by_hour(self) -> NDArray[np.bool_]:
        """(region, hour) of the trial: True in treated cells."""
        return np.repeat(self.treated, self.window, axis=1)[:, : self.hours]

    def used_hours(self) -> NDArray[np.bool_]:
        """(hour,) True where the analysis looks: after each window's washout."""
        return np.arange(self.hours) % self.window >= self.washout


def switchback(
    name: str,
    env: Environment,
    *,
    regions: Sequence[int],
    start: int,
    hours: int,
    control: tuple[Change, ...],
    treatment: tuple[Change, ...],
    seed: int,
    window: int = 28,
    washout: int = 8,
    border_clusters: bool = False,
) -> Trial:
    """A switchback: each region is treated in a random half of the windows.

    Two successive windows form a pair with one of each arm, so both see the same trend. Windows of
    28 hours begin at another hour of the day each time and six of them fill a week, so the washout
    leaves out every hour of the day equally often; with 24 hours it would always cost the evening.

    Args:
        name: of the trial; also seeds its randomisation.
        env: the world's environment.
        regions: positions that take part.
        start: first hour of the history.
        hours: length, a multiple of ``window``.
        control: changes in control windows.
        treatment: changes in treated windows.
        seed: of the world.
        window: hours.
        washout: hours, shorter than the window.
        border_clusters: neighbours switch together, which keeps spill-over within the arm.

    Raises:
        TrialError: windows do not fit.
    """
    if hours % window or not 0 <= washout < window or hours < 2 * window:
        raise TrialError(
            f"trial {name!r}: {hours} hours in windows of {window} with {washout} of washout; "
            "expected at least two whole windows, longer than their washout."
        )
    _check_span(name, env, regions, start, hours)
    count = hours // window
    lowest = {region.name: i for i, region in enumerate(env.regions)}
    cluster = tuple(
        min([r, *(lowest[n] for n in env.regions[r].neighbours)]) if border_clusters else r
        for r in regions
    )
    treated = np.zeros((len(regions), count), dtype=bool)
    for row, label in enumerate(cluster):
        first = generator(seed, f"trial {name}", label).random((count + 1) // 2) < 0.5
        pairs = np.stack([first, ~first], axis=1).ravel()
        treated[row] = pairs[:count]
    return Trial(
        name,
        "switchback",
        tuple(regions),
        start,
        hours,
        window,
        washout,
        control,
        treatment,
        treated,
        cluster,
    )


def geo(
    name: str,
    env: Environment,
    *,
    regions: Sequence[int],
    start: int,
    hours: int,
    control: tuple[Change, ...],
    treatment: tuple[Change, ...],
    seed: int,
    washout: int = 24,
) -> Trial:
    """A geo test: within pairs of regions of similar size, one is treated throughout.

    The same number of hours before ``start`` serves as baseline.

    Raises:
        TrialError: fewer than four regions, or no room for the baseline.
    """
    _check_span(name, env, regions, start - hours, 2 * hours)
    if len(regions) < 4:
        raise TrialError(f"trial {name!r}: a geo test needs 4 regions or more; got {len(regions)}.")
    order = sorted(range(len(regions)), key=lambda i: env.regions[regions[i]].size)
    heads = generator(seed, f"trial {name}").random(len(order)) < 0.5
    treated = np.zeros((len(regions), 1), dtype=bool)
    for position, i in enumerate(order):
        treated[i, 0] = heads[position // 2] == (position % 2 == 0)
    return Trial(
        name,
        "geo",
        tuple(regions),
        start,
        hours,
        hours,
        washout,
        control,
        treatment,
        treated,
        tuple(regions),
    )


def fare_split(
    name: str, env: Environment, *, regions: Sequence[int], start: int, hours: int, factor: float
) -> Trial:
    """A user split: a random half of the riders sees ``factor`` times the base fare.

    Both halves share the same drivers, so the arms interfere: what one half leaves, the other
    takes. The estimate is the effect at given ETA and prime time, not of a price change for all.

    Raises:
        TrialError: the factor is not positive or changes nothing.
    """
    if not (np.isfinite(factor) and factor > 0 and factor != 1):
        raise TrialError(f"trial {name!r}: factor {factor!r} on the fare; expected e.g. 1.1.")
    _check_span(name, env, regions, start, hours)
    # The recorded fare is the mean over riders, half way between the arms.
    middle = (1 + factor) / 2
    return Trial(
        name,
        "user_split",
        tuple(regions),
        start,
        hours,
        hours,
        0,
        (Change("base_fare", "scale", 1 / middle),),
        (Change("base_fare", "scale", factor / middle),),
        np.zeros((len(regions), 1), dtype=bool),
        tuple(regions),
    )


def apply_trial(levers: Levers, trial: Trial) -> Levers:
    """The levers with the trial's arms in its cells."""
    rows = np.asarray(trial.regions)[:, None]
    # A trial may go on beyond what is drawn of the world.
    last = min(trial.start + trial.hours, levers.base_fare.shape[1])
    columns = np.arange(trial.start, max(trial.start, last))[None, :]
    if trial.design == "user_split":
        split = levers.fare_split.copy()
        split[rows, columns] = trial.treatment[0].value / trial.control[0].value
        return levers.replace(fare_split=split)
    arm = trial.arm_by_hour()[:, : columns.shape[1]]
    for changes, cells in ((trial.control, ~arm), (trial.treatment, arm)):
        mask = np.zeros(levers.base_fare.shape, dtype=bool)
        mask[rows, columns] = cells
        for change in changes:
            levers = apply_change(levers, change, mask)
    return levers


def apply_change(levers: Levers, change: Change, cells: NDArray[np.bool_]) -> Levers:
    """The levers with one change made in ``cells`` (region, hour).

    Raises:
        TrialError: the quantity is not one that this market can set, or a label is unknown.
    """
    if change.quantity == "incentive_spend":
        kinds = change.where.get("incentive", INCENTIVES)
        unknown = [kind for kind in kinds if kind not in INCENTIVES]
        if unknown:
            raise TrialError(f"no incentive {unknown[0]!r}; known: {', '.join(INCENTIVES)}.")
        spend = levers.incentive_spend.copy()
        for kind in kinds:
            k = INCENTIVES.index(str(kind))
            spend[k] = np.where(cells, _changed(spend[k], change), spend[k])
        return levers.replace(incentive_spend=np.maximum(spend, 0))
    if change.quantity in ("coupon_spend", "base_fare"):
        old = getattr(levers, change.quantity)
        if change.quantity == "base_fare":
            # What is recorded is the mean over riders; a change for all ends a split.
            old = old * (1 + levers.fare_split) / 2
            split = np.where(cells, 1.0, levers.fare_split)
            new = np.where(cells, _changed(old, change), levers.base_fare)
            return levers.replace(base_fare=new, fare_split=split)
        return levers.replace(coupon_spend=np.where(cells, _changed(old, change), old))
    if change.quantity == "prime_time":
        scale, add = levers.prime_scale, levers.prime_add
        if change.how == "set":
            scale, add = np.where(cells, 0.0, scale), np.where(cells, change.value, add)
        elif change.how == "add":
            add = np.where(cells, add + change.value, add)
        else:
            scale, add = (np.where(cells, x * change.value, x) for x in (scale, add))
        return levers.replace(prime_scale=scale, prime_add=add)
    if change.quantity == "driver_hours" and change.how == "scale":
        return levers.replace(starts=np.where(cells, levers.starts * change.value, levers.starts))
    if change.quantity == "sessions" and change.how == "scale":
        return levers.replace(demand=np.where(cells, levers.demand * change.value, levers.demand))
    raise TrialError(
        f"this market cannot {change.how} {change.quantity!r}; it can change incentive_spend, "
        "coupon_spend, base_fare, prime_time, and scale driver_hours and sessions."
    )


def _changed(values: Array, change: Change) -> Array:
    if change.how == "set":
        return np.full_like(values, change.value)
    return values + change.value if change.how == "add" else values * change.value


def _check_span(
    name: str, env: Environment, regions: Sequence[int], start: int, hours: int
) -> None:
    longest = len(env.hours) + _LONGEST_AHEAD
    if start < 0 or hours < 1 or start + hours > longest or not len(regions):
        raise TrialError(
            f"trial {name!r} from hour {start} for {hours} hours in {len(regions)} regions does "
            f"not fit a world of {len(env.hours)} hours; it may go on for {_LONGEST_AHEAD} more."
        )
    for r in regions:
        if start < env.regions[r].opened_hour:
            raise TrialError(
                f"trial {name!r}: region {env.regions[r].name} opens only in hour "
                f"{env.regions[r].opened_hour}, the trial begins in hour {start}."
            )


def hour_label(hours: pd.DatetimeIndex, position: int) -> str:
    """ISO form of an hour, as experiments name it."""
    return str(hours[position].isoformat())
