"""Trials of different weeks that cannot all be right about one response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

# Chance that trials which agree look like this.
_LEVEL = 0.01


@final
@dataclass(frozen=True)
class TrialRatio:
    """How a trial's estimate stands to the model's effect on the same cells and doses.

    Attributes:
        experiment: name.
        path: lever and outcome, by which trials are compared.
        start: first hour, ISO UTC.
        ratio: measured over modelled.
        error: standard error of the ratio.
    """

    experiment: str
    path: tuple[str, str]
    start: str
    ratio: float
    error: float


@final
@dataclass(frozen=True)
class Disagreement:
    """Trials of one path whose ratios to the model differ by more than their errors allow.

    Attributes:
        path: lever and outcome.
        trials: by week, the earliest first.
        chance: of such a spread among trials that agree.
    """

    path: tuple[str, str]
    trials: tuple[TrialRatio, ...]
    chance: float

    @property
    def extremes(self) -> tuple[TrialRatio, TrialRatio]:
        """The trials with the least and the greatest ratio."""
        return (
            min(self.trials, key=lambda item: item.ratio),
            max(self.trials, key=lambda item: item.ratio),
        )


def disagreements(
    trials: Iterable[TrialRatio], *, level: float = _LEVEL
) -> tuple[Disagreement, ...]:
    """Paths on which trials of different weeks disagree.

    The model takes doses, hours and places out of the comparison, so that what is left is the week.
    Cochran's Q of the ratios against their errors decides.

    Args:
        trials: of any paths; those with a ratio or an error that is no number are left out.
        level: chance below which a spread counts.

    Source: Cochran (1954), doi:10.2307/3001666
    """
    import math

    # scipy.stats says the same, and takes a second to import.
    from scipy.special import chdtrc

    by_path: dict[tuple[str, str], list[TrialRatio]] = {}
    for item in trials:
        if math.isfinite(item.ratio) and math.isfinite(item.error) and item.error > 0:
            by_path.setdefault(item.path, []).append(item)
    found = []
    for path, items in by_path.items():
        if len({item.start for item in items}) < 2:
            continue
        weights = [item.error**-2 for item in items]
        mean = sum(w * item.ratio for w, item in zip(weights, items, strict=True)) / sum(weights)
        spread = sum(w * (item.ratio - mean) ** 2 for w, item in zip(weights, items, strict=True))
        chance = float(chdtrc(len(items) - 1, spread))
        if chance < level:
            ordered = tuple(sorted(items, key=lambda item: (item.start, item.experiment)))
            found.append(Disagreement(path, ordered, chance))
    return tuple(found)
