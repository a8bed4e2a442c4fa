"""What a trial would find before it is run: its error and power, from the history of its outcome.

A trial that changes nothing is laid over the history again and again, wherever it fits and with the
coins thrown anew; each time it is estimated as a real one would be. How far these estimates scatter
is the trial's standard error, with everything that the outcome's own past holds: hours that are
alike, weeks that are not, regions that move together. An effect that is the same in all treated
cells moves an estimate by itself and leaves its error as it is, so that power follows from the same
draws: the share of them in which an effect added would have been told from none.

Method: placebo trials on historical data, as for geo experiments in Vaver & Koehler (2011), and
Student's t with Satterthwaite's degrees of freedom as `fixed_effects_difference` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dagcast_core.estimate._effects import EstimationError, fixed_effects_difference

Array = NDArray[np.float64]

_DAY = 24
_LEVEL = 0.05
# Of effects that are looked through for the least that is found.
_STEPS = 40


@dataclass(frozen=True)
class SwitchbackPlan:
    """A switchback to be run: windows in pairs, of each of which a coin treats one.

    Attributes:
        window: hours of one window.
        windows: number of windows, even.
        washout: hours at the start of every window that do not count.
        together: whether all labels switch at once, with one coin, rather than each with its own.

    Raises:
        EstimationError: windows are odd or fewer than four, or nothing of one is left to count.
    """

    window: int
    windows: int
    washout: int = 0
    together: bool = False

    def __post_init__(self) -> None:
        wrong = None
        if self.windows < 4 or self.windows % 2:
            wrong = f"windows in pairs, four or more; found {self.windows}"
        elif not 0 <= self.washout < self.window:
            wrong = (
                f"windows longer than their washout; found {self.window} hours with "
                f"{self.washout} of washout"
            )
        if wrong:
            raise EstimationError(f"a switchback needs {wrong}")

    @property
    def hours(self) -> int:
        """Length of the trial."""
        return self.window * self.windows

    def assigned(self, labels: int, generator: np.random.Generator) -> NDArray[np.bool_]:
        """Throw the coins; (label, window), True where treated."""
        rows = 1 if self.together else labels
        first = generator.random((rows, self.windows // 2)) < 0.5
        drawn = np.stack([first, ~first], axis=2).reshape(rows, self.windows)
        return np.repeat(drawn, labels, axis=0) if self.together else drawn


@dataclass(frozen=True)
class PlannedTrial:
    """What a trial would find, by the trials without effect that were laid over the history.

    Attributes:
        plan: the trial.
        labels: number of labels that take part.
        estimates: (draw,) of an effect that is 0; the outcome's unit.
        errors: (draw,) their standard errors, as the trial itself would state them.
        degrees_of_freedom: (draw,) of those.
    """

    plan: SwitchbackPlan
    labels: int
    estimates: Array
    errors: Array
    degrees_of_freedom: Array

    @property
    def standard_error(self) -> float:
        """How far estimates scatter; the outcome's unit."""
        return float(np.sqrt((self.estimates**2).mean()))

    @property
    def clusters(self) -> int:
        """Number of coins."""
        return self.plan.windows // 2 * (1 if self.plan.together else self.labels)

    def power(self, effect: float) -> float:
        """Share of trials that would tell an effect from none, two-sided at 5 %.

        Args:
            effect: in the outcome's unit, the same in all treated cells.
        """
        # scipy.stats says the same, and takes a second to import.
        from scipy.special import stdtrit

        least = stdtrit(self.degrees_of_freedom, 1 - _LEVEL / 2) * self.errors
        return float((np.abs(self.estimates + effect) > least).mean())

    def least_effect(self, power: float = 0.8) -> float:
        """The smallest effect that so many trials would find; infinite where none is found.

        Args:
            power: share of trials.
        """
        low, high = 0.0, self.standard_error
        for _ in range(_STEPS):
            if self.power(high) >= power:
                break
            high *= 2
        else:
            return float("inf")
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if self.power(middle) >= power else (middle, high)
        return high


def planned_switchback(
    history: Array, plan: SwitchbackPlan, *, draws: int = 500, seed: int = 0
) -> PlannedTrial:
    """Lay a switchback without effect over the history of its outcome.

    Windows' means are compared within labels, and within windows unless all labels switch at once,
    with errors clustered by pair, as `measure_rows` does with such rows.

    Args:
        history: (label, hour) of the outcome, without gaps in its hours; missing is NaN.
        plan: the trial.
        draws: trials that are laid over the history.
        seed: of their coins and their starts, whole days before the end of the history.

    Raises:
        EstimationError: the history is shorter than the trial, or says nothing of its windows.
    """
    values = np.asarray(history, dtype=np.float64)
    labels, length = values.shape
    spare = length - plan.hours
    if spare < 0:
        raise EstimationError(
            f"a trial of {plan.hours} hours does not fit a history of {length} hours"
        )
    if plan.together and plan.windows < 6:
        raise EstimationError("three pairs or more are needed where all labels switch at once")
    generator = np.random.default_rng(seed)
    starts = spare - _DAY * np.arange(spare // _DAY + 1)
    row, window = np.divmod(np.arange(labels * plan.windows), plan.windows)
    coin = window // 2 + (0 if plan.together else plan.windows * row)
    # Where all labels switch together, effects of windows would take the treatment with them.
    fixed = (row,) if plan.together or labels == 1 else (row, window)
    found = []
    for start in generator.choice(starts, draws):
        y = _means(values[:, start : start + plan.hours], plan).ravel()
        arm = plan.assigned(labels, generator).ravel()
        seen = np.isfinite(y)
        try:
            effect = fixed_effects_difference(
                y[seen],
                arm[seen].astype(np.float64),
                groups=tuple(group[seen] for group in fixed),
                clusters=coin[seen],
            )
        except EstimationError:
            # Coins that fell alike, or a stretch that nobody observed: no trial could use them.
            continue
        found.append((effect.estimate, effect.standard_error, effect.degrees_of_freedom))
    if len(found) < draws / 2:
        raise EstimationError(
            f"{draws - len(found)} of {draws} such trials on the history would say nothing: too "
            "few windows, or too few hours with a value"
        )
    estimates, errors, freedom = np.array(found).T
    return PlannedTrial(plan, labels, estimates, errors, freedom)


def _means(values: Array, plan: SwitchbackPlan) -> Array:
    """Means of the hours that count by label and window; NaN where none was observed."""
    counted = values.reshape(len(values), plan.windows, plan.window)[:, :, plan.washout :]
    seen = np.isfinite(counted)
    total, count = np.where(seen, counted, 0.0).sum(axis=2), seen.sum(axis=2)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


__all__ = ["PlannedTrial", "SwitchbackPlan", "planned_switchback"]
