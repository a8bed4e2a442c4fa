"""Chance: what the models do not explain, drawn from the errors that they made.

A week's error has two parts. Each row's whole week comes out higher or lower than forecast; how
much, and how rows and quantities go together in it, is learnt from forecasts of past weeks that
knew nothing of them. Around that level single hours scatter; their errors are drawn a whole week at
a time, all rows and quantities of that week together, so that hours and places that err together
stay together.

    y = f + |f| e + c |f|^p n,    e = t sum_o w_o e_o,  w_o ~ N(0, 1 / O),  t^2 ~ O / chi2_O

with ``e_o`` the relative error of a row's week in origin ``o``, ``n`` the scaled errors within one
of B past weeks, and ``c`` how much larger those are out of sample, times ((B + 1) / (B - 1))^(1/2):
a week to come scatters more than so few past ones show. The mean over origins is 0 by
assumption: a bias that few origins show is as likely chance.

Sources: block bootstrap (Kunsch 1989, doi:10.1214/aos/1176347265); the scale mixture makes week
errors Student-t with as many degrees of freedom as origins, as a normal variance estimated from so
many deserves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast_core.contract import Quantity

Array: TypeAlias = npt.NDArray[np.float64]

# Counts scatter like their square root.
_COUNTED, _PLAIN = 0.5, 0.0
_TINY = 1e-12
# Weeks that a surprise is measured against, and the fewest weeks that have any.
_LOOK_BACK, _LEAST_WEEKS = 4, 3


@final
@dataclass(frozen=True)
class ErrorHistory:
    """Errors of one quantity.

    Attributes:
        weeks: (origins, rows), relative error of each row's week.
        noise: (blocks, rows, hours), scaled errors within a week; 0 where nothing was observed.
        power: of the level, by which the noise grows.
        inflation: of the noise in a week to come.
    """

    weeks: Array
    noise: Array
    power: float
    inflation: float


@final
@dataclass(frozen=True)
class Chance:
    """Errors of every observed quantity, and where they come from.

    Attributes:
        errors: by quantity.
        origins: forecasts of past weeks behind the errors of whole weeks; 0 where there were none,
            and the fit's own errors stand in.
    """

    errors: Mapping[str, ErrorHistory]
    origins: int

    def draws(self, count: int, seed: int) -> "tuple[ChanceDraw, ...]":
        """Draws that are shared by all quantities and rows."""
        generator = np.random.default_rng(seed)
        weeks = max((len(item.weeks) for item in self.errors.values()), default=0)
        blocks = max((len(item.noise) for item in self.errors.values()), default=1)
        return tuple(
            ChanceDraw(
                generator.standard_normal(weeks)
                / np.sqrt(max(weeks, 1))
                * np.sqrt(weeks / max(generator.chisquare(weeks), _TINY))
                if weeks
                else np.zeros(0),
                int(generator.integers(blocks)),
            )
            for _ in range(count)
        )

    def added(self, name: str, level: Array, draw: "ChanceDraw") -> Array:
        """What chance adds to a quantity.

        Args:
            name: of the quantity; nothing is added where it is not observed.
            level: (rows, hours), its forecast.
            draw: one of ``draws``.
        """
        item = self.errors.get(name)
        if item is None:
            return np.zeros_like(level)
        size = np.abs(level)
        week = draw.weights[: len(item.weeks)] @ item.weeks
        noise = item.noise[draw.block % len(item.noise)][:, : level.shape[1]]
        added: Array = size * week[:, None] + item.inflation * size**item.power * noise
        return added


@final
@dataclass(frozen=True)
class ChanceDraw:
    """One draw: the weight of each origin's week, and the past week whose hours are taken."""

    weights: Array
    block: int


def errors_of(
    quantity: Quantity,
    fitted: tuple[Array, Array],
    forecast: tuple[Array, Array] | None,
) -> ErrorHistory | None:
    """Errors of one quantity from past weeks.

    Args:
        quantity: which one.
        fitted: actual and fitted values of past weeks, the last one first, each (blocks, rows,
            hours); NaN where nothing was observed.
        forecast: actual values and forecasts that knew nothing of their weeks, each (origins, rows,
            hours); None where there are none.

    Returns:
        The errors; None where nothing was observed.
    """
    power = _COUNTED if quantity.bounds[0] == 0 else _PLAIN
    own_weeks, own_noise = _parts(*fitted, power)
    if not np.isfinite(own_noise).any():
        return None
    weeks, inflation = _surprises(own_weeks), 1.0
    if forecast is not None:
        weeks, noise = _parts(*forecast, power)
        ratio = _rms(noise) / max(_rms(own_noise), _TINY)
        inflation = max(1.0, ratio) if np.isfinite(ratio) else 1.0
    blocks = max(len(own_noise), 2)
    inflation *= np.sqrt((blocks + 1) / (blocks - 1))
    return ErrorHistory(_filled(weeks), _filled(own_noise), power, float(inflation))


def _parts(actual: Array, expected: Array, power: float) -> tuple[Array, Array]:
    """Relative errors of rows' weeks, and scaled errors of hours around them."""
    known = np.isfinite(actual) & np.isfinite(expected)
    size = np.where(known, np.abs(expected), 0.0)
    error = np.where(known, actual - expected, 0.0)
    total = size.sum(-1)
    week = np.where(total > _TINY, error.sum(-1) / np.maximum(total, _TINY), np.nan)
    scale = np.maximum(size, _floor(size)) ** power
    noise = np.where(known, (error - np.nan_to_num(week)[..., None] * size) / scale, np.nan)
    return week, noise


def _surprises(weeks: Array) -> Array:
    """A fit's errors of whole weeks as if it had not seen them: against the four weeks before.

    A fit explains the level of its own weeks, and what it leaves of them is less than what weeks to
    come will differ by.
    """
    if len(weeks) < _LEAST_WEEKS:
        return weeks
    known = np.where(np.isfinite(weeks), weeks, 0.0)
    count = np.isfinite(weeks).astype(np.float64)
    found = []
    for week in range(len(weeks) - 1):
        before = slice(week + 1, week + 1 + _LOOK_BACK)
        usual = known[before].sum(0) / np.maximum(count[before].sum(0), 1.0)
        found.append(weeks[week] - usual)
    return np.array(found)


def _floor(size: Array) -> float:
    """Least level by which an error is divided: a tenth of the usual one."""
    positive = size[size > 0]
    return float(0.1 * np.median(positive)) if positive.size else 1.0


def _filled(values: Array) -> Array:
    """Rows without observations, such as a new region, err like the next row that has some."""
    if values.ndim == 2:
        values = values[..., None]
        return _filled(values)[..., 0]
    filled = values.copy()
    for block in filled:
        having = np.flatnonzero(np.isfinite(block).any(-1))
        if not having.size:
            block[:] = 0.0
            continue
        for row in np.flatnonzero(~np.isfinite(block).any(-1)):
            block[row] = block[having[np.searchsorted(having, row) % having.size]]
    return np.nan_to_num(filled)


def _rms(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")
