"""From trials to measured effects: raw cells, estimates, standard errors."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Arm, Cells, Change, Experiment, ExperimentSet
from dagcast_simulator._environment import Environment
from dagcast_simulator._estimators import (
    Effect,
    EstimationError,
    difference_in_differences,
    fixed_effects_difference,
    split_ratio,
    wald_elasticity,
)
from dagcast_simulator._levers import INCENTIVES
from dagcast_simulator._trials import Trial, fare_split, hour_label, switchback

Array = NDArray[np.float64]

TIGHT_HOURS = (7, 8, 9, 16, 17, 18, 19)
SLACK_HOURS = (10, 11, 12, 13, 14, 15, 20, 21, 22)
# Latent quantities are measured by the observed quantity that the lever moves them through.
MEASURED_AS = {"incremental_driver_hours": "driver_hours", "coupon_sessions": "sessions"}
# Full doses of the trials, USD per typical driver hour, and the low dose as a share of them.
_DOSE = {"guarantee": 0.45, "streak": 0.45, "boost": 0.40}
_LOW = 1 / 3
# Local hours of the quarters of a day that begins with the early shift.
PARTS_OF_DAY: dict[str, tuple[int, ...]] = {
    "morning": (4, 5, 6, 7, 8, 9),
    "midday": (10, 11, 12, 13, 14, 15),
    "evening": (16, 17, 18, 19, 20, 21),
    "night": (0, 1, 2, 3, 22, 23),
}
_COVARIATES = ("usual", "precipitation", "cold", "local_event", "holiday")


@dataclass(frozen=True)
class Measured:
    """An experiment and the cells from which its estimate was computed.

    Args:
        experiment: as the models see it.
        cells: one row per region and hour (and arm, for user splits): arm, whether the analysis
            used the hour, and the outcome.
        influence: what each unit of randomisation contributed to the estimate's error; squares
            sum to its variance, products with another estimate of the same trial to the
            covariance.
    """

    experiment: Experiment
    cells: pd.DataFrame
    influence: Array

    @property
    def clusters(self) -> int:
        """Number of units of randomisation behind the standard error."""
        return len(self.influence)


def as_set(measured: tuple[Measured, ...]) -> ExperimentSet:
    """The experiments with the covariances of those that come from one trial's cells."""
    groups: dict[str, list[Array]] = {}
    for item in measured:
        if item.experiment.group is not None:
            groups.setdefault(item.experiment.group, []).append(item.influence)
    covariances = {}
    for group, influences in groups.items():
        stacked = np.stack(influences)
        covariances[group] = tuple(map(tuple, (stacked @ stacked.T).tolist()))
    return ExperimentSet(tuple(item.experiment for item in measured), covariances)


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


def measure_supply(
    env: Environment, trial: Trial, quantities: dict[str, Array], usual: dict[str, Array]
) -> tuple[Measured, ...]:
    """Elasticities to driver hours: of ETA in tight and in slack hours of the day, and of rides.

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


def measure(
    env: Environment,
    trials: tuple[Trial, ...],
    quantities: dict[str, Array],
    name: str,
    outcome: str,
    *,
    scale: str = "absolute",
    local_hours: tuple[int, ...] = (),
    usual: dict[str, Array] | None = None,
) -> Measured:
    """The effect of a switchback or geo trial on one outcome.

    Args:
        env: the world's environment.
        trials: one trial.
        quantities: hourly values (region, hour) over the history, as observed.
        name: of the experiment.
        outcome: quantity.
        scale: ``absolute`` or ``ratio``.
        local_hours: hours of day that count; all if empty.
        usual: the recorded history, where ``quantities`` are of a replay.
    """
    (trial,) = trials
    effect, cells = _effect(env, trials, quantities, outcome, local_hours, usual)
    estimate, influence = effect.estimate, effect.influence
    if scale == "ratio":
        estimate = effect.treatment / effect.control - 1
        influence = influence * (
            (1 / effect.control + estimate / effect.control) if effect.control else np.nan
        )
    method = (
        "switchback, region and date effects, CR2 by unit of randomisation"
        if trial.design == "switchback"
        else "geo test, difference in differences, Neyman variance"
    )
    experiment = Experiment(
        name=name,
        levers=tuple(dict.fromkeys(change.quantity for change in trial.treatment)),
        outcome=outcome,
        design=trial.design,
        cells=_span(env, trials, local_hours),
        control=Arm("control", trial.control),
        treatment=Arm("treatment", trial.treatment),
        estimate=estimate,
        standard_error=float(np.sqrt(influence @ influence)),
        scale=scale,  # type: ignore[arg-type]
        provenance=f"simulated trial {trial.name}: {method}, {effect.clusters} clusters",
    )
    return Measured(experiment, cells, influence)


def measure_elasticity(
    env: Environment,
    trials: tuple[Trial, ...],
    quantities: dict[str, Array],
    name: str,
    lever: str,
    outcome: str,
    *,
    local_hours: tuple[int, ...] = (),
    usual: dict[str, Array] | None = None,
) -> Measured:
    """Elasticity of an outcome to a quantity that the trials' own lever moved (Wald).

    Valid where the trial's lever reaches the outcome through ``lever`` alone, as bonuses reach
    ETA through driver hours.
    """
    moved, _ = _effect(env, trials, quantities, lever, local_hours, usual)
    followed, cells = _effect(env, trials, quantities, outcome, local_hours, usual)
    estimate, influence = wald_elasticity(followed, moved)
    # Arms are changes of the recorded history, which a replay's control arm is not.
    base = moved.control
    if usual is not None:
        recorded = _cells(env, trials[0], usual[lever], lever, local_hours)
        base = float(recorded.loc[recorded["used"], lever].mean())
    arms = [
        (Change(lever, "scale", mean / base),) if not np.isclose(mean, base) else ()
        for mean in (moved.control, moved.treatment)
    ]
    experiment = Experiment(
        name=name,
        levers=(lever,),
        outcome=outcome,
        design="switchback",
        cells=_span(env, trials, local_hours),
        control=Arm("control", arms[0]),
        treatment=Arm("treatment", arms[1]),
        estimate=estimate,
        standard_error=float(np.sqrt(influence @ influence)),
        scale="elasticity",
        provenance=(
            f"simulated trials {', '.join(t.name for t in trials)} on a replay of the history: "
            f"Wald ratio of two switchback effects, delta method, {followed.clusters} clusters"
        ),
    )
    return Measured(experiment, cells, influence)


def measure_split(env: Environment, trial: Trial, arms: pd.DataFrame, name: str) -> Measured:
    """Elasticity of conversion to the fare from a user split.

    Args:
        env: the world's environment.
        trial: of design ``user_split``.
        arms: columns region, hour, treated, sessions, rides.
        name: of the experiment.
    """
    day = (arms["hour"].to_numpy() - trial.start) // 24
    cluster = arms["region"].to_numpy() * 10_000 + day
    log_ratio, influence = split_ratio(arms["rides"], arms["sessions"], arms["treated"], cluster)
    step = np.log(trial.treatment[0].value / trial.control[0].value)
    frame = arms.assign(
        region=np.array([r.name for r in env.regions])[arms["region"]],
        hour=env.hours[arms["hour"]],
        used=True,
    )
    clusters = len(np.unique(cluster))
    experiment = Experiment(
        name=name,
        levers=("base_fare",),
        outcome="conversion",
        design="user_split",
        cells=_span(env, (trial,), ()),
        control=Arm("control", trial.control),
        treatment=Arm("treatment", trial.treatment),
        estimate=log_ratio / step,
        standard_error=float(np.sqrt(influence @ influence)) / abs(step),
        scale="elasticity",
        provenance=(
            f"simulated trial {trial.name}: log ratio of the arms' conversion, linearised, "
            f"{clusters} region-days; riders of both arms share the drivers"
        ),
    )
    return Measured(experiment, frame, influence / step)


def _bonus(usd: dict[str, float]) -> tuple[Change, ...]:
    return tuple(
        Change("incentive_spend", "set", value, {"incentive": (kind,)})
        for kind, value in usd.items()
    )


def _effect(
    env: Environment,
    trials: tuple[Trial, ...],
    quantities: dict[str, Array],
    outcome: str,
    local_hours: tuple[int, ...],
    usual: dict[str, Array] | None,
) -> tuple[Effect, pd.DataFrame]:
    values = quantities[MEASURED_AS.get(outcome, outcome)]
    if trials[0].design == "geo":
        return _geo_effect(env, trials[0], values, outcome, local_hours)
    record = (quantities if usual is None else usual)[MEASURED_AS.get(outcome, outcome)]
    cells = pd.concat(
        [
            _cells(env, trial, values, outcome, local_hours).assign(
                usual=_usual(env, trial, record)
            )
            for trial in trials
        ],
        ignore_index=True,
    )
    used = cells[cells["used"] & cells[outcome].notna()]
    keys = ["trial", "region", "window"]
    windows = (
        used.groupby(keys, sort=True)
        .agg(
            {
                outcome: "mean",
                "treated": "first",
                "cluster": "first",
                **dict.fromkeys(_COVARIATES, "mean"),
            }
        )
        .reset_index()
    )
    date = windows["trial"] + windows["window"].astype(str)
    groups = [windows["trial"] + windows["region"]]
    # Where all regions switch together, date effects would take the treatment with them.
    if (windows.groupby(date)["treated"].nunique() > 1).sum() > 1:
        groups.append(date)
    # A few windows carry no regression on many covariates.
    names = _COVARIATES if len(windows) >= 40 else _COVARIATES[: int(len(windows) >= 12)]
    covariates = windows[list(names)].to_numpy()
    spread = covariates.std(axis=0)
    effect = fixed_effects_difference(
        windows[outcome],
        windows["treated"].astype(float),
        groups=tuple(groups),
        covariates=covariates[:, spread > 0] / spread[spread > 0],
        clusters=windows["cluster"].astype(str)
        + windows["trial"]
        + (windows["window"] // 2).astype(str),
    )
    return effect, cells


def _usual(env: Environment, trial: Trial, record: Array) -> Array:
    """What was usual in each cell: mean of the region's hour of week outside the trial.

    As a covariate it takes out what hours and regions differ by (CUPED, Deng et al. 2013,
    doi:10.1145/2433396.2433413). Weeks outside the trial know nothing of its arms.
    """
    count = record.shape[1]
    outside = np.ones(count, dtype=bool)
    outside[trial.start : trial.start + trial.hours] = False
    result = []
    for r in trial.regions:
        how, values = env.hour_of_week[r, :count], record[r]
        kept = outside & np.isfinite(values)
        seen = np.bincount(how[kept], minlength=168)
        total = np.bincount(how[kept], values[kept], minlength=168)
        mean = total.sum() / max(seen.sum(), 1)
        profile = np.where(seen > 0, total / np.maximum(seen, 1), mean)
        result.append(profile[env.hour_of_week[r, trial.start : trial.start + trial.hours]])
    return np.concatenate(result)


def _cells(
    env: Environment, trial: Trial, values: Array, outcome: str, local_hours: tuple[int, ...]
) -> pd.DataFrame:
    regions, span = np.asarray(trial.regions), np.arange(trial.start, trial.start + trial.hours)
    row, column = np.divmod(np.arange(len(regions) * len(span)), len(span))
    at = (regions[row], span[column])
    clock = env.hour_of_week[at] % 24
    counted = np.isin(clock, local_hours) if local_hours else np.ones(len(row), dtype=bool)
    return pd.DataFrame(
        {
            "trial": trial.name,
            "region": np.array([region.name for region in env.regions])[at[0]],
            "hour": env.hours[at[1]],
            "window": column // trial.window,
            "cluster": np.asarray(trial.cluster)[row],
            "treated": trial.arm_by_hour()[row, column],
            "used": counted & trial.used_hours()[column],
            "precipitation": np.log1p(env.precipitation[at]),
            "cold": np.maximum(14 - env.temperature[at], 0),
            "local_event": env.local_event[at],
            "holiday": env.holiday[at],
            outcome: values[at],
        }
    )


def _geo_effect(
    env: Environment, trial: Trial, values: Array, outcome: str, local_hours: tuple[int, ...]
) -> tuple[Effect, pd.DataFrame]:
    cells = _cells(env, trial, values, outcome, local_hours)
    regions = np.asarray(trial.regions)
    before = values[regions, trial.start - trial.hours : trial.start]
    clock = env.hour_of_week[regions, trial.start - trial.hours : trial.start] % 24
    if local_hours:
        before = np.where(np.isin(clock, local_hours), before, np.nan)
    used = cells[cells["used"]]
    after = used.groupby("region")[outcome].mean()
    names = [env.regions[r].name for r in trial.regions]
    effect = difference_in_differences(
        np.nanmean(before, axis=1), after.loc[names].to_numpy(), trial.treated[:, 0]
    )
    return effect, cells


def _span(env: Environment, trials: tuple[Trial, ...], local_hours: tuple[int, ...]) -> Cells:
    first = min(trial.start for trial in trials)
    last = max(trial.start + trial.hours for trial in trials) - 1
    return Cells(
        regions=tuple(env.regions[r].name for r in trials[0].regions),
        start=hour_label(env.hours, first),
        end=hour_label(env.hours, last),
        # Whole windows were treated; only what is counted is restricted.
        counted_hours=local_hours,
    )
