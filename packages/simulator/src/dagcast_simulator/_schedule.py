"""The operator's programme of trials within a history, and what each of them is asked."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Change
from dagcast_core.estimate import EstimationError
from dagcast_simulator._environment import Environment
from dagcast_simulator._history import History
from dagcast_simulator._levers import INCENTIVES
from dagcast_simulator._measure import measure, measure_elasticity, measure_split
from dagcast_simulator._measured import Measured
from dagcast_simulator._trials import Trial, fare_split, switchback

Array = NDArray[np.float64]

TIGHT_HOURS = (7, 8, 9, 16, 17, 18, 19)
SLACK_HOURS = (10, 11, 12, 13, 14, 15, 20, 21, 22)
# Full doses of the trials, USD per typical driver hour, and the low dose as a share of them.
_DOSE = {"guarantee": 0.45, "streak": 0.45, "boost": 0.40}
_LOW = 1 / 3
# Outcomes that are measured of each lever.
REACHED = {
    "incentive_spend": ("incremental_driver_hours", "rides"),
    "coupon_spend": ("sessions",),
    "base_fare": ("conversion", "rides"),
    "prime_time": ("conversion", "rides"),
    "driver_hours": ("eta", "rides"),
    "sessions": ("eta", "rides"),
}
# Local hours of the quarters of a day that begins with the early shift.
PARTS_OF_DAY: dict[str, tuple[int, ...]] = {
    "morning": (4, 5, 6, 7, 8, 9),
    "midday": (10, 11, 12, 13, 14, 15),
    "evening": (16, 17, 18, 19, 20, 21),
    "night": (0, 1, 2, 3, 22, 23),
}


def scheduled_trials(env: Environment, weeks: int, seed: int) -> tuple[Trial, ...]:
    """The operator's trials within a history of ``weeks`` weeks; none below four weeks.

    The first week and the last two are left to habit. From seven weeks on, one bonus is tried
    after the other, first at a full and, where there is time, at a low dose, because one dose says
    nothing of how the response bends; then all together. Shorter histories try the three at once.
    Neighbours switch together in what moves drivers: trips carry them over the border, and with
    neighbours in different arms a tenth of the effect would be lost to the comparison.
    """
    free = weeks - 3
    regions = [i for i in range(len(env.regions)) if env.open[i, 0] > 0]
    if free < 1:
        return ()
    scale = float(np.median(env.supply_reference[regions]))
    usd = {kind: float(round(max(1.0, dose * scale))) for kind, dose in _DOSE.items()}
    lengths = [free // 4 + (i < free % 4) for i in range(4)] if free >= 4 else [free] * 3
    trials, begin = [], 1

    def bonus_trial(
        name: str, control: dict[str, float], treatment: dict[str, float], length: int
    ) -> Trial:
        return switchback(
            name,
            env,
            regions=regions,
            start=168 * begin,
            hours=168 * length,
            control=_bonus(control),
            treatment=_bonus(treatment),
            seed=seed,
            border_clusters=True,
        )

    for kind, length in zip(INCENTIVES, lengths, strict=False):
        low = length // 3 if free >= 4 else 0
        full = length - low
        trials.append(bonus_trial(f"{kind}-switchback", {kind: 0.0}, {kind: usd[kind]}, full))
        begin += full if free >= 4 else 0
        if low:
            few = float(round(max(1.0, _LOW * usd[kind])))
            trials.append(bonus_trial(f"{kind}-low-switchback", {kind: 0.0}, {kind: few}, low))
            begin += low
    if free >= 4:
        none = dict.fromkeys(INCENTIVES, 0.0)
        trials.append(bonus_trial("bonus-pause", none, usd, lengths[3]))
    half = max(1, free // 2)
    size = float(np.median([env.regions[i].size for i in regions]))
    trials.append(
        switchback(
            "coupon-switchback",
            env,
            regions=regions,
            start=168,
            hours=168 * half,
            seed=seed,
            # Coupons borrow sessions from the next day: only then has an arm its steady effect.
            window=56,
            washout=28,
            control=(Change("coupon_spend", "set", 0.0),),
            treatment=(Change("coupon_spend", "set", float(round(0.7 * size))),),
        )
    )
    late = 1 + half if free >= 2 else 1
    trials.append(
        fare_split(
            "fare-split",
            env,
            regions=regions,
            start=168 * late,
            hours=168 * max(1, min(3, free - half)),
            factor=1.15,
        )
    )
    return tuple(trials)


def supply_trial(env: Environment, weeks: int, seed: int) -> Trial | None:
    """A trial of fewer and of more starts, for four weeks; run as a replay of the history.

    That many drivers more or less are nothing that the recorded levers could explain, so within the
    history they would be noise to every model of driver hours. A replay is the place to try them.
    """
    free = weeks - 3
    if free < 1:
        return None
    return switchback(
        "supply-switchback",
        env,
        regions=[i for i in range(len(env.regions)) if env.open[i, 0] > 0],
        start=168,
        hours=168 * min(4, free),
        # To both sides of the usual: waiting answers to fewer drivers more than to further ones,
        # and bonuses do both, being there or not.
        control=(Change("driver_hours", "scale", 0.7),),
        treatment=(Change("driver_hours", "scale", 1.4),),
        seed=seed,
        border_clusters=True,
    )


def measured_experiments(history: History) -> tuple[Measured, ...]:
    """All experiments of a history: the operator's programme, then those of played weeks."""
    market = history.market
    scheduled = history.trials[: len(history.trials) - len(_later(history))]
    if not scheduled:
        return measure_played(history, _later(history))
    # What was measured once stays as it was, however long the world goes on.
    usual = {name: values[:, : 168 * market.weeks] for name, values in history.quantities().items()}
    splits = [trial for trial in scheduled if trial.design == "user_split"]
    arms = pd.concat([history.arms(trial) for trial in splits]) if splits else None
    measured = measure_scheduled(market.environment, scheduled, usual, arms)
    supply = supply_trial(market.environment, market.weeks, market.seed)
    if supply is not None:
        replay = {
            name: values[:, : 168 * market.weeks]
            for name, values in history.with_trial(supply).items()
        }
        measured += measure_supply(market.environment, supply, replay, usual)
    return (*measured, *measure_played(history, _later(history)))


def measure_played(history: History, trials: Sequence[Trial]) -> tuple[Measured, ...]:
    """What trials of played weeks say of the outcomes that their levers reach first.

    Trials that have not ended, or are too small to identify their effect, are left out.
    """
    env, found = history.market.environment, []
    quantities = history.quantities()
    for trial in trials:
        end = trial.start + trial.hours
        if end > 168 * history.weeks:
            continue
        # As known when the trial ended, so that the estimate stays as it is.
        known = {name: values[:, : -(-end // 168) * 168] for name, values in quantities.items()}
        if trial.design == "user_split":
            arms = history.arms(trial)
            split = _if_identified(partial(measure_split, env, trial, arms, trial.name))
            found += [split] if split is not None else []
            continue
        outcomes = dict.fromkeys(
            outcome for change in trial.treatment for outcome in REACHED[change.quantity]
        )
        items = [
            _if_identified(
                partial(measure, env, (trial,), known, f"{trial.name}-{outcome}", outcome)
            )
            for outcome in outcomes
        ]
        found += _grouped(tuple(item for item in items if item is not None), trial.name)
    return tuple(found)


def _later(history: History) -> tuple[Trial, ...]:
    """Trials that did not belong to the programme with which the world began."""
    begin = 168 * history.market.weeks
    return tuple(trial for trial in history.trials if trial.start >= begin)


def measure_supply(
    env: Environment, trial: Trial, quantities: dict[str, Array], usual: dict[str, Array]
) -> tuple[Measured, ...]:
    """Elasticities to driver hours of ETA in tight and slack hours, of prime time and of rides.

    Args:
        env: the world's environment.
        trial: of ``supply_trial``.
        quantities: hourly values (region, hour) of the replay over the history.
        usual: the recorded history.
    """
    results = [
        _if_identified(
            partial(
                measure_elasticity,
                env,
                (trial,),
                quantities,
                name,
                "driver_hours",
                outcome,
                local_hours=hours,
                usual=usual,
            )
        )
        for name, outcome, hours in (
            ("supply-eta-tight", "eta", TIGHT_HOURS),
            ("supply-eta-slack", "eta", SLACK_HOURS),
            ("supply-prime-time", "prime_time", ()),
            ("supply-rides", "rides", ()),
        )
    ]
    return _grouped(tuple(item for item in results if item is not None), trial.name)


def measure_scheduled(
    env: Environment,
    trials: tuple[Trial, ...],
    quantities: dict[str, Array],
    arms: pd.DataFrame | None,
) -> tuple[Measured, ...]:
    """The default set: what every trial of the schedule says, from the history's own cells.

    Trials too small to identify their effect are left out.

    Args:
        env: the world's environment.
        trials: of ``scheduled_trials``.
        quantities: hourly history, (region, hour) by name.
        arms: sessions and rides of the fare split by region, hour and arm, if there was one.
    """
    by_name = {trial.name: trial for trial in trials}
    links: list[tuple[str, str, str, tuple[int, ...]]] = []
    for kind in INCENTIVES:
        links.append((f"{kind}-switchback", f"{kind}-hours", "incremental_driver_hours", ()))
        links.append(
            (f"{kind}-low-switchback", f"{kind}-low-hours", "incremental_driver_hours", ())
        )
    if "bonus-pause" in by_name and by_name["bonus-pause"].hours >= 2 * 168:
        links += [
            ("bonus-pause", f"bonus-pause-{part}-hours", "driver_hours", hours)
            for part, hours in PARTS_OF_DAY.items()
        ]
    else:
        # A single week is too little to say when drivers come.
        links.append(("bonus-pause", "bonus-pause-hours", "driver_hours", ()))
    links += [
        ("bonus-pause", "bonus-pause-rides", "rides", ()),
        ("coupon-switchback", "coupon-sessions", "sessions", ()),
    ]
    results: list[Measured] = []
    for trial in dict.fromkeys(trial for trial, *_ in links):
        if trial not in by_name:
            continue
        found = [
            _if_identified(
                partial(
                    measure, env, (by_name[trial],), quantities, name, outcome, local_hours=hours
                )
            )
            for of, name, outcome, hours in links
            if of == trial
        ]
        results += _grouped(tuple(item for item in found if item is not None), trial)
    if "fare-split" in by_name and arms is not None:
        split = _if_identified(
            partial(measure_split, env, by_name["fare-split"], arms, "fare-conversion")
        )
        results += [split] if split is not None else []
    return tuple(results)


def _grouped(measured: tuple[Measured, ...], trial: str) -> tuple[Measured, ...]:
    """Mark estimates from the cells of one trial, whose errors are correlated."""
    if len(measured) < 2 or len({item.clusters for item in measured}) > 1:
        return measured
    return tuple(
        dataclasses.replace(item, experiment=dataclasses.replace(item.experiment, group=trial))
        for item in measured
    )


def _if_identified(measured: Callable[[], Measured]) -> Measured | None:
    # A trial in a world of one region or few weeks may be too small to say anything.
    try:
        return measured()
    except EstimationError:
        return None


def _bonus(usd: dict[str, float]) -> tuple[Change, ...]:
    return tuple(
        Change("incentive_spend", "set", value, {"incentive": (kind,)})
        for kind, value in usd.items()
    )
