"""Randomisation tests: how often chance alone would have assigned arms that differ so much.

Under the sharp null hypothesis that treatment changed nothing, every outcome is what it would have
been under any other assignment, so the estimate can be computed for all assignments that might have
been drawn. No sample has to be large, and no errors independent or alike (Fisher 1935; Imbens &
Rubin 2015, chapter 5).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dagcast_core.estimate._effects import EstimationError, _basis, _dummies

Array = NDArray[np.float64]

_AT_ONCE = 512


@dataclass(frozen=True)
class RandomisationTest:
    """How unusual an estimate is among those of other assignments.

    Attributes:
        p_value: share of assignments whose estimate lies at least as far from 0, the drawn one
            among them.
        assignments: that were looked at.
        exact: whether these are all that might have been drawn, rather than a sample of them.
    """

    p_value: float
    assignments: int
    exact: bool


def randomisation_test(
    outcome: ArrayLike,
    treated: ArrayLike,
    units: ArrayLike,
    *,
    pairs: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    groups: tuple[ArrayLike, ...] = (),
    most: int = 20_000,
    seed: int = 0,
) -> RandomisationTest:
    """Test of no effect at all by the assignments that might have been drawn, two-sided.

    The statistic is the difference between the arms given fixed effects of ``groups``. Where there
    are more assignments than ``most``, so many are drawn, and the drawn one counts as one more.

    Args:
        outcome: (observation,).
        treated: (observation,) 0 or 1, the same throughout a unit.
        units: (observation,) labels of what was assigned to an arm, e.g. a region's window.
        pairs: (observation,) labels of pairs of units of which one was treated, a coin deciding
            which; a unit without a partner went by a coin of its own.
        strata: (observation,) labels within which as many units were treated as here, in any
            order; all together if not given. Without effect where there are pairs.
        groups: labels (observation,) whose fixed effects are taken out.
        most: assignments to look at.
        seed: of those that are drawn.

    Raises:
        EstimationError: a unit is in both arms, a pair has more than two units, an arm is empty,
            or fixed effects explain the treatment.
    """
    y = np.asarray(outcome, dtype=np.float64)
    d = np.asarray(treated, dtype=np.float64)
    names, unit = np.unique(np.asarray(units), return_inverse=True)
    arm = np.zeros(len(names))
    np.maximum.at(arm, unit, d)
    if not np.array_equal(arm[unit], d):
        wrong = names[unit[int(np.argmax(arm[unit] != d))]]
        raise EstimationError(f"unit {wrong} is in both arms; name what was assigned as a whole")
    if arm.min() == arm.max():
        raise EstimationError(f"all {len(arm)} units belong to one arm")
    controls = _basis(np.hstack([np.ones((len(y), 1)), *(_dummies(np.asarray(g)) for g in groups)]))
    blocks = (
        _blocks(np.asarray(pairs if pairs is not None else strata), unit)
        if (pairs is not None or strata is not None)
        else [np.arange(len(arm))]
    )
    count, drawn, every = _ways(arm, blocks, paired=pairs is not None)
    exact = count <= most
    assignments = every() if exact else drawn(most, np.random.default_rng(seed))
    own = _differences(y, arm[None, :][:, unit], controls)[0]
    if not np.isfinite(own):
        raise EstimationError("fixed effects explain the treatment: no contrast is left")
    far, looked = (0, 0) if exact else (1, 1)
    # Sums in another order differ by rounding; those that are equal in truth count as equal.
    least = abs(own) * (1 - 1e-9)
    while chunk := list(itertools.islice(assignments, _AT_ONCE)):
        found = _differences(y, np.stack(chunk)[:, unit], controls)
        # An assignment that fixed effects explain has no estimate and could not have been used.
        found = found[np.isfinite(found)]
        far += int((np.abs(found) >= least).sum())
        looked += len(found)
    return RandomisationTest(far / looked, looked, exact)


def _blocks(labels: NDArray[np.generic], unit: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Units that were randomised among each other."""
    _, block = np.unique(labels, return_inverse=True)
    of_unit = np.full(int(unit.max()) + 1, -1)
    of_unit[unit] = block
    if not np.array_equal(of_unit[unit], block):
        raise EstimationError("a unit lies in several pairs or strata")
    return [np.flatnonzero(of_unit == label) for label in range(int(block.max()) + 1)]


def _ways(
    arm: Array, blocks: list[NDArray[np.intp]], *, paired: bool
) -> tuple[
    int,
    Callable[[int, np.random.Generator], Iterator[Array]],
    Callable[[], Iterator[Array]],
]:
    """How many assignments there are, a sample of them, and all of them."""
    choices: list[list[Array]] = []
    counts = []
    for members in blocks:
        mine = arm[members]
        if paired:
            if len(members) > 2:
                raise EstimationError(f"a pair has {len(members)} units; expected two or one")
            if len(members) == 2 and mine.sum() != 1:
                raise EstimationError("both units of a pair are in one arm")
            choices.append([mine, 1 - mine])
            counts.append(2)
        else:
            counts.append(math.comb(len(members), int(mine.sum())))
    count = math.prod(counts)

    def every() -> Iterator[Array]:
        sets = choices if paired else [list(_chosen(len(m), int(arm[m].sum()))) for m in blocks]
        for combination in itertools.product(*sets):
            result = np.empty_like(arm)
            for members, mine in zip(blocks, combination, strict=True):
                result[members] = mine
            yield result

    def drawn(number: int, rng: np.random.Generator) -> Iterator[Array]:
        for _ in range(number):
            result = np.empty_like(arm)
            for members in blocks:
                mine = arm[members]
                turned = 1 - mine if rng.random() < 0.5 else mine
                result[members] = turned if paired else rng.permutation(mine)
            yield result

    return count, drawn, every


def _chosen(size: int, treated: int) -> Iterator[Array]:
    for places in itertools.combinations(range(size), treated):
        result = np.zeros(size)
        result[list(places)] = 1.0
        yield result


def _differences(y: Array, assigned: Array, controls: Array) -> Array:
    """Estimate of each assignment, (assignment,); NaN where fixed effects explain it."""
    left = assigned - (assigned @ controls) @ controls.T  # (assignment, observation)
    information = (left**2).sum(axis=1)
    known = information >= 1e-8 * len(y)
    estimate: Array = np.where(known, (left @ y) / np.where(known, information, 1.0), np.nan)
    return estimate
