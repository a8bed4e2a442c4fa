"""From the cells of a trial to an experiment: estimates and standard errors of its effects."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_core.estimate import (
    Effect,
    difference_in_differences,
    fixed_effects_difference,
    split_ratio,
    wald_elasticity,
)
from dagcast_simulator._environment import Environment
from dagcast_simulator._measured import MEASURED_AS, Measured
from dagcast_simulator._trials import Trial, hour_label

Array = NDArray[np.float64]

_COVARIATES = ("usual", "precipitation", "cold", "local_event", "holiday")


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
        degrees_of_freedom=effect.degrees_of_freedom,
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
        # A ratio is no surer than the less sure of its two effects.
        degrees_of_freedom=min(followed.degrees_of_freedom, moved.degrees_of_freedom),
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
        degrees_of_freedom=clusters - 1.0,
        scale="elasticity",
        provenance=(
            f"simulated trial {trial.name}: log ratio of the arms' conversion, linearised, "
            f"{clusters} region-days; riders of both arms share the drivers"
        ),
    )
    return Measured(experiment, frame, influence / step)


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
        labels=tuple(env.regions[r].name for r in trials[0].regions),
        start=hour_label(env.hours, first),
        end=hour_label(env.hours, last),
        # Whole windows were treated; only what is counted is restricted.
        counted_hours=local_hours,
        dim="region",
    )
