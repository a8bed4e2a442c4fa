"""From the raw rows of a trial to its effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dagcast_core.estimate._effects import (
    Effect,
    EstimationError,
    difference_in_differences,
    fixed_effects_difference,
    split_ratio,
)
from dagcast_core.estimate._randomisation import RandomisationTest, randomisation_test

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RawTrial:
    """How the raw rows of a trial are to be read; the names are those of columns.

    Attributes:
        design: ``switchback``, ``geo`` or ``user_split``.
        outcome: what was measured; of a user split the numerator, such as rides.
        treated: 0 or 1.
        units: what was assigned to an arm as a whole: region and window, region, or of a user
            split what both arms share, such as region and day.
        pairs: pairs of units of which a coin treated one; errors are then clustered by pair.
        groups: whose fixed effects are taken out, such as region and date.
        covariates: taken out linearly; nothing that treatment moves.
        since: hours since the unit's arm last changed, by which carry-over is discarded,
        washout: rows of less than so many.
        before: 1 for the rows before a geo test, 0 for those in it.
        denominator: of a user split, such as sessions.
        scale: ``absolute`` or ``ratio``; of a user split always a ratio.
    """

    design: Literal["switchback", "geo", "user_split"]
    outcome: str
    treated: str
    units: tuple[str, ...]
    pairs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    since: str | None = None
    washout: float = 0.0
    before: str | None = None
    denominator: str | None = None
    scale: Literal["absolute", "ratio"] = "absolute"

    def __post_init__(self) -> None:
        wrong = None
        if self.design not in ("switchback", "geo", "user_split"):
            wrong = f"a design of switchback, geo or user_split; found {self.design!r}"
        elif not self.units:
            wrong = "columns of units, which say what was assigned as a whole"
        elif self.washout > 0 and self.since is None:
            wrong = "a column since for the washout: hours since the arm last changed"
        elif (self.design == "geo") != (self.before is not None):
            wrong = "a column before for a geo test, and for nothing else"
        elif (self.design == "user_split") != (self.denominator is not None):
            wrong = "a column denominator for a user split, and for nothing else"
        elif self.scale not in ("absolute", "ratio"):
            wrong = f"a scale of absolute or ratio; found {self.scale!r}"
        if wrong:
            raise EstimationError(f"a trial needs {wrong}")


@dataclass(frozen=True)
class Measurement:
    """What a trial's rows say.

    Attributes:
        estimate: the effect, in the trial's scale.
        standard_error: cluster-robust, of the estimate.
        degrees_of_freedom: of the standard error.
        scale: ``absolute`` or ``ratio``.
        clusters: number of clusters.
        rows: that counted.
        discarded: rows that carry-over could have reached.
        test: of no effect at all; None for a user split, whose users are not in the rows.
        method: in words.
    """

    estimate: float
    standard_error: float
    degrees_of_freedom: float
    scale: Literal["absolute", "ratio"]
    clusters: int
    rows: int
    discarded: int
    test: RandomisationTest | None
    method: str


def measure_rows(rows: pd.DataFrame, trial: RawTrial, *, seed: int = 0) -> Measurement:
    """Estimate a trial's effect from its raw rows.

    Switchback: difference within fixed effects, CR2 errors clustered at the unit (the pair, where
    there are pairs) with Satterthwaite's degrees of freedom. Geo test: difference in differences of
    the units' means, Neyman's variance. User split: log of the ratio of the arms' rates,
    linearised, clustered by unit.

    Args:
        rows: one per observation, with the columns that ``trial`` names.
        trial: how they are read.
        seed: of the assignments that are drawn where there are too many to look at all.

    Raises:
        EstimationError: a column is missing or holds no figures, or the rows identify nothing.
    """
    _require(rows, trial)
    discarded = 0
    if trial.since is not None and trial.washout > 0:
        late = rows[trial.since].to_numpy(dtype=np.float64) >= trial.washout
        discarded = int((~late).sum())
        rows = rows[late]
    if rows.empty:
        raise EstimationError(
            "no row is left once carry-over is discarded; the washout is too long"
        )
    measured = {"switchback": _switchback, "geo": _geo, "user_split": _split}[trial.design]
    estimate, error, freedom, scale, clusters, test, method = measured(rows, trial, seed)
    if not error > 0:
        raise EstimationError("the rows do not vary within the arms: no error can be estimated")
    washed = f", first {trial.washout:g} h after a change discarded" if discarded else ""
    return Measurement(
        estimate, error, freedom, scale, clusters, len(rows), discarded, test, method + washed
    )


_Found = tuple[
    float, float, float, Literal["absolute", "ratio"], int, RandomisationTest | None, str
]


def _switchback(rows: pd.DataFrame, trial: RawTrial, seed: int) -> _Found:
    units = _labels(rows, trial.units)
    pairs = _labels(rows, trial.pairs) if trial.pairs else None
    groups = tuple(rows[name].astype(str).to_numpy() for name in trial.groups)
    columns = list(trial.covariates)
    y, d = _figures(rows, trial.outcome), _figures(rows, trial.treated)
    effect = fixed_effects_difference(
        y,
        d,
        groups=groups,
        covariates=rows[columns].to_numpy(dtype=np.float64) if columns else None,
        clusters=units if pairs is None else pairs,
    )
    test = randomisation_test(y, d, units, pairs=pairs, groups=groups, seed=seed)
    effects = f"{', '.join(trial.groups)} effects, " if trial.groups else ""
    by = ", ".join(trial.pairs or trial.units)
    return (*_scaled(effect, trial), test, f"switchback, {effects}CR2 clustered by {by}")


def _geo(rows: pd.DataFrame, trial: RawTrial, seed: int) -> _Found:
    assert trial.before is not None
    units = _labels(rows, trial.units)
    frame = rows.assign(_unit=units)
    before = frame[frame[trial.before].astype(float) == 1].groupby("_unit")[trial.outcome].mean()
    after = frame[frame[trial.before].astype(float) == 0].groupby("_unit")[trial.outcome].mean()
    both = before.index.intersection(after.index)
    if len(both) < len(before.index.union(after.index)):
        raise EstimationError("a unit of the geo test has no rows before it, or none in it")
    arm = frame.groupby("_unit")[trial.treated].max().loc[both].to_numpy(dtype=np.float64)
    first, last = before.loc[both].to_numpy(), after.loc[both].to_numpy()
    effect = difference_in_differences(first, last, arm)
    test = randomisation_test(last - first, arm, np.asarray(both), seed=seed)
    return (*_scaled(effect, trial), test, "geo test, difference in differences, Neyman variance")


def _split(rows: pd.DataFrame, trial: RawTrial, seed: int) -> _Found:
    assert trial.denominator is not None
    log, influence = split_ratio(
        _figures(rows, trial.outcome),
        _figures(rows, trial.denominator),
        _figures(rows, trial.treated),
        _labels(rows, trial.units),
    )
    ratio = float(np.exp(log))
    error = ratio * float(np.sqrt(influence @ influence))
    count = len(influence)
    method = f"user split, ratio of rates, clustered by {', '.join(trial.units)}"
    return ratio - 1, error, float(max(count - 1, 1)), "ratio", count, None, method


def _scaled(
    effect: Effect, trial: RawTrial
) -> tuple[float, float, float, Literal["absolute", "ratio"], int]:
    estimate, error = effect.estimate, effect.standard_error
    if trial.scale == "ratio":
        if effect.control <= 0:
            raise EstimationError("a ratio needs a positive mean of the control arm")
        estimate = effect.treatment / effect.control - 1
        error = error * (1 + estimate) / effect.control
    return estimate, error, effect.degrees_of_freedom, trial.scale, effect.clusters


def _require(rows: pd.DataFrame, trial: RawTrial) -> None:
    one = (trial.outcome, trial.treated, trial.since, trial.before, trial.denominator)
    names = [*trial.units, *trial.pairs, *trial.groups, *trial.covariates, *filter(None, one)]
    for name in names:
        if name not in rows.columns:
            raise EstimationError(
                f"the rows have no column {name!r}; they have {', '.join(map(str, rows.columns))}"
            )
    for name in (*trial.covariates, *filter(None, one)):
        _figures(rows, name)
    if not np.isin(_figures(rows, trial.treated), (0.0, 1.0)).all():
        raise EstimationError(f"the column {trial.treated!r} holds other values than 0 and 1")
    if rows.empty:
        raise EstimationError("there are no rows")


def _figures(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    try:
        found = rows[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EstimationError(f"the column {name!r} holds no figures: {error}") from error
    if not np.isfinite(found).all():
        missing = int((~np.isfinite(found)).sum())
        raise EstimationError(f"the column {name!r} lacks {missing} figures of {len(found)} rows")
    return found


def _labels(
    rows: pd.DataFrame, names: tuple[str, ...]
) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    parts = [rows[name].astype(str) for name in names]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + "\x1f" + part
    return joined.to_numpy(dtype=str)
