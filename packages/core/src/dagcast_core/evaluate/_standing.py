"""On what the effects behind a plan stand: a trial, the history, or nothing but a prior.

How good a plan is under its models, and how well anybody knows that the models are right, are two
things. This is the second: for each cell of a lever, whether a trial measured the effect of such a
dose. It needs the declared experiments and the lever's own past, and no fitted model.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dagcast_core.contract import Arm, Change, Experiment
from dagcast_core.tensor import IndexTensor

Standing: TypeAlias = Literal["measured", "history", "prior"]
"""A fresh trial gave such a dose; only the past shows it; nobody ever saw it."""

_Array: TypeAlias = npt.NDArray[np.float64]

# A dose up to a tenth above the greatest one of a trial is still such a dose.
DOSE_MARGIN = 0.1
# Designs that did not assign arms: they show what happened, under an assumption.
_UNASSIGNED = ("natural", "prior")


@final
@dataclass(frozen=True)
class KnownDoses:
    """What is known of one lever at one combination of the labels of its further dims.

    Attributes:
        lever: its name.
        labels: by dim, of the dims beside rows and time.
        low: least dose of a cell that fresh trials gave, in the lever's unit; NaN without one.
        high: greatest dose of a cell that they gave.
        trials: names of the fresh trials.
        stale: names of trials that are too old to count.
        rows: labels of the rows where fresh trials ran.
        used_low: least dose of the past.
        used_high: greatest dose of the past; equal to ``used_low`` where it never varied.
    """

    lever: str
    labels: Mapping[str, str]
    low: float
    high: float
    trials: tuple[str, ...]
    stale: tuple[str, ...]
    rows: tuple[str, ...]
    used_low: float
    used_high: float

    @property
    def label(self) -> str:
        """The labels as one text, empty where the lever has no further dims."""
        return ", ".join(self.labels.values())

    @property
    def cap(self) -> float:
        """Greatest dose that counts as measured; NaN without a fresh trial."""
        return self.high + DOSE_MARGIN * abs(self.high)


@final
@dataclass(frozen=True)
class EvidenceRow:
    """On what a plan stands at one lever and label.

    Attributes:
        tested: what is known there.
        amount: absolute sum over the cells: money where the lever is an amount.
        measured: part of it in cells at doses that a fresh trial gave.
        history: part in cells at doses that only the past shows.
        beyond: part in cells above every measured dose, of labels that have a trial.
        elsewhere: part in rows where no such trial ran.
    """

    tested: KnownDoses
    amount: float
    measured: float
    history: float
    beyond: float
    elsewhere: float

    @property
    def prior(self) -> float:
        """Part in cells at doses that nobody ever saw."""
        return max(self.amount - self.measured - self.history, 0.0)

    @property
    def standing(self) -> Standing:
        """On what most of the amount stands; of a label without any, on what its effect does."""
        if self.amount <= 0:
            if self.tested.trials:
                return "measured"
            return "history" if self.tested.used_high > self.tested.used_low else "prior"
        parts: dict[Standing, float] = {
            "measured": self.measured,
            "history": self.history,
            "prior": self.prior,
        }
        return max(parts, key=lambda name: parts[name])


def known_doses(
    lever: IndexTensor,
    experiments: Iterable[Experiment],
    *,
    outcomes: Collection[str],
    rows: str,
    time: str,
    now: pd.Timestamp,
    fresh_weeks: float,
) -> tuple[KnownDoses, ...]:
    """What trials and the past tested of a lever, by the labels of its further dims.

    Args:
        lever: its past, dims (..., rows, time) in any order; says which labels there are.
        experiments: known by now.
        outcomes: quantities on the lever's way to the objective; a trial of another outcome
            measured something else.
        rows: dim of the rows of pages, such as regions; empty where there is none.
        time: name of the time dim.
        now: end of the history.
        fresh_weeks: age in weeks up to which a trial counts as measured.
    """
    name = str(lever.name)
    others = [dim for dim in lever.dims if dim not in (rows, time)]
    trials = [
        item
        for item in experiments
        if name in item.levers and item.outcome in outcomes and item.design not in _UNASSIGNED
    ]
    found = []
    for labels in itertools.product(*(lever.index(dim) for dim in others)):
        here = dict(zip(others, labels, strict=True))
        own = lever.sel(here) if here else lever
        past = _numbers(own)
        doses: list[float] = []
        fresh: list[str] = []
        stale: list[str] = []
        ran: dict[str, None] = {}
        for item in trials:
            given = _doses(item, name, here, own, time)
            if not given:
                continue
            age = (now - pd.Timestamp(item.cells.end)) / pd.Timedelta(weeks=1)
            if age > fresh_weeks:
                stale.append(item.name)
                continue
            fresh.append(item.name)
            doses += given
            ran.update(dict.fromkeys(item.cells.labels))
        found.append(
            KnownDoses(
                name,
                {dim: str(label) for dim, label in here.items()},
                min(doses, default=float("nan")),
                max(doses, default=float("nan")),
                tuple(fresh),
                tuple(stale),
                tuple(ran),
                float(past.min(initial=np.inf)) if past.size else 0.0,
                float(past.max(initial=-np.inf)) if past.size else 0.0,
            )
        )
    return tuple(found)


def evidence_of(
    decided: IndexTensor, tested: Iterable[KnownDoses], *, rows: str
) -> tuple[EvidenceRow, ...]:
    """On what a decided lever stands, label by label.

    Args:
        decided: its cells, in its unit.
        tested: what is known of it, from `known_doses`.
        rows: dim of the rows.
    """
    found = []
    for item in tested:
        own = decided
        for dim, label in item.labels.items():
            place = [str(known) for known in decided.index(dim)].index(label)
            own = own.isel({dim: place})
        values = own.tensor.detach().double().numpy()
        size = np.abs(values)
        margin = DOSE_MARGIN * np.abs(values)
        measured = np.zeros(values.shape, dtype=bool)
        beyond = np.zeros(values.shape, dtype=bool)
        elsewhere = 0.0
        if item.trials:
            measured = (values <= item.cap) & (values + margin >= item.low)
            beyond = values > item.cap
            if rows in own.dims:
                inside = np.array([str(label) in item.rows for label in own.index(rows)])
                shape = [1] * values.ndim
                shape[own.dims.index(rows)] = len(inside)
                elsewhere = float((size * ~inside.reshape(shape)).sum())
        varied = item.used_high > item.used_low
        reached = values <= item.used_high + DOSE_MARGIN * abs(item.used_high)
        past = ~measured & reached & varied
        found.append(
            EvidenceRow(
                item,
                float(size.sum()),
                float((size * measured).sum()),
                float((size * past).sum()),
                float((size * beyond).sum()),
                elsewhere,
            )
        )
    return tuple(found)


def _doses(
    item: Experiment, lever: str, here: Mapping[str, object], own: IndexTensor, time: str
) -> list[float]:
    """Least and greatest dose of a cell in either arm; none where both do the same here."""
    arms = [_changes(arm, lever, here) for arm in (item.control, item.treatment)]
    if arms[0] == arms[1]:
        return []
    base = own
    if item.cells.dim in own.dims:
        known = [label for label in own.index(item.cells.dim) if label in item.cells.labels]
        base = base.sel({item.cells.dim: known}) if known else base
    hours = base.index(time)
    start, end = pd.Timestamp(item.cells.start), pd.Timestamp(item.cells.end)
    during = (hours >= start) & (hours <= end)
    # A trial from before the history: what is usual now stands in for what was usual then.
    base = base.isel({time: np.flatnonzero(during).tolist()}) if during.any() else base
    found = []
    for changes in arms:
        values = _numbers(base)
        for change in changes:
            values = _changed(values, change)
        if values.size:
            found += [float(values.min()), float(values.max())]
    return found


def _changes(arm: Arm, lever: str, here: Mapping[str, object]) -> tuple[Change, ...]:
    return tuple(
        change
        for change in arm.changes
        if change.quantity == lever
        and all(
            here.get(dim, None) in labels for dim, labels in change.where.items() if dim in here
        )
    )


def _changed(values: _Array, change: Change) -> _Array:
    if change.how == "set":
        return np.full_like(values if values.size else np.zeros(1), change.value)
    return values + change.value if change.how == "add" else values * change.value


def _numbers(tensor: IndexTensor) -> _Array:
    values = tensor.tensor.detach().double().numpy().reshape(-1)
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)
