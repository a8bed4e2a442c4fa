"""The effect that a model ascribes to an experiment, on the experiment's own cells."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias, final

import numpy as np
import pandas as pd
import torch

from dagcast_core.contract import Arm, Change, Experiment, nearest
from dagcast_core.dims import HOUR
from dagcast_core.model._collection import ModelCollection, as_collection
from dagcast_core.model._errors import ExperimentError
from dagcast_core.model._model import Model
from dagcast_core.model._parameter import labels_compared
from dagcast_core.model._residual import filled
from dagcast_core.tensor import IndexTensor, Panel

# What models make under control and under treatment, by quantity.
Arms: TypeAlias = tuple[Mapping[str, IndexTensor], Mapping[str, IndexTensor]]
Cuts: TypeAlias = dict[tuple[object, ...], dict[str, IndexTensor]]

_HOUR_OF_WEEK = "hour_of_week"


def effect_of(model: Model, panel: Panel, experiment: Experiment) -> torch.Tensor:
    """The effect of an experiment according to a model, in the form of ``experiment.scale``.

    The models that join the levers to the outcome run under both arms on the experiment's own
    cells; everything else there is as it was observed.

    Args:
        model: a model or a collection.
        panel: history that covers the cells.
        experiment: says which effect.

    Returns:
        0-d, differentiable in the parameters of the models on the path.

    Raises:
        ExperimentError: a quantity is unknown, no path joins lever and outcome, or the cells lie
            outside the panel.
    """
    return ExperimentalEffect(as_collection(model), panel, experiment)()


@final
class ExperimentalEffect:
    """`effect_of` with everything that does not depend on the path's parameters done once.

    Args:
        collection: the models.
        panel: history that covers the cells.
        experiment: says which effect.
        cuts: parts of the panel cut out before; shared by those who evaluate the same experiments
            on the same panel again and again.

    Attributes:
        path: names of the innermost models that join the levers to the outcome, in order.
        weeks_later: how many weeks later in the panel the effect is taken, where the experiment's
            own weeks lie before it: the same hours of the week, the first that the panel has.

    Raises:
        ExperimentError: see `effect_of`.
    """

    def __init__(
        self,
        collection: ModelCollection,
        panel: Panel,
        experiment: Experiment,
        cuts: Cuts | None = None,
    ) -> None:
        self.collection = collection
        self.experiment = experiment
        self.path = path_of(collection, experiment)
        self.weeks_later = self._weeks_later(panel)
        shift = pd.Timedelta(weeks=self.weeks_later)
        self._start = pd.Timestamp(experiment.cells.start) + shift
        self._end = pd.Timestamp(experiment.cells.end) + shift
        hours = self._hours(panel)
        regions = list(experiment.cells.labels)
        key = (experiment.cells.dim, *regions, hours[0], hours[-1])
        cuts = {} if cuts is None else cuts
        if key not in cuts:
            cuts[key] = _cut(panel, regions, hours, experiment)
        given = cuts[key]
        self._require_life(panel, given, hours)
        self._hours_run = hours
        base = self._base(given)
        cells = experiment.cells
        self._treated = self._cells(given, regions, hours, cells.local_hours)
        self._counted = self._cells(given, regions, hours, cells.counted_hours or cells.local_hours)
        self._known = tuple(
            {**base, **self._under(arm, base)} for arm in (experiment.control, experiment.treatment)
        )

    def __call__(self) -> torch.Tensor:
        """The effect at the present parameters; 0-d."""
        return self.within(self.run())

    def run(self) -> Arms:
        """What the models on the path make of both arms, at the present parameters."""
        with labels_compared(self.experiment.side_by_side):
            control, treatment = (
                self.collection.propagate(known, only=self.path) for known in self._known
            )
        return control, treatment

    def covers(self, other: ExperimentalEffect) -> bool:
        """Whether a run of this effect's arms is one of another's too, further quantities beside.

        So it is for several outcomes of one trial: same cells, same arms, and a path that goes on
        where the other ends.
        """
        mine, its = self.experiment, other.experiment
        return (
            (mine.control.changes, mine.treatment.changes)
            == (its.control.changes, its.treatment.changes)
            and mine.side_by_side == its.side_by_side
            and mine.cells.local_hours == its.cells.local_hours
            and self._hours_run.equals(other._hours_run)
            and (mine.cells.dim, mine.cells.labels, mine.cells.start, mine.cells.end)
            == (its.cells.dim, its.cells.labels, its.cells.start, its.cells.end)
            and set(other.path) <= set(self.path)
            and set(other._known[0]) <= set(self._known[0])
        )

    def within(self, arms: Arms) -> torch.Tensor:
        """The effect in a run of its own arms, or of an effect that covers it; 0-d."""
        experiment = self.experiment
        control, treatment = (self._reduced(made[experiment.outcome]) for made in arms)
        if experiment.scale == "absolute":
            return treatment - control
        if experiment.scale == "ratio":
            return treatment / control - 1
        lever = experiment.levers[0]
        doses = [self._reduced(known[lever]) for known in self._known]
        moved = float(torch.log(doses[1] / doses[0])) if float(doses[0]) > 0 else float("nan")
        if not np.isfinite(moved) or moved == 0:
            raise ExperimentError(
                experiment.name,
                f"an elasticity needs {lever!r} to be positive and to differ between the arms; "
                f"its mean is {float(doses[0]):g} under control and {float(doses[1]):g} under "
                "treatment.",
            )
        return torch.log(treatment / control) / moved

    def dose(self) -> tuple[float, float]:
        """Mean of the first lever over the cells, under control and under treatment."""
        lever = self.experiment.levers[0]
        control, treatment = (float(self._reduced(known[lever])) for known in self._known)
        return control, treatment

    @property
    def cells_run(self) -> int:
        """Numbers in the largest tensor that a run of one arm reads."""
        return max((x.tensor.numel() for x in self._known[0].values()), default=1)

    def trained_labels(self) -> bool:
        """Whether no parameter on the path meets a label that it was not trained on."""
        leaves = (self.collection.leaves[name] for name in self.path)
        return all(
            dim not in given.dims or bool(given.index(dim).isin(index).all())
            for leaf in leaves
            for _, parameter in leaf.labelled_parameters()
            for dim, index in parameter.indexes.items()
            for given in self._known[0].values()
        )

    # What is fixed

    def _weeks_later(self, panel: Panel) -> int:
        """Weeks from the experiment to those that stand in for it; 0 where the panel covers it."""
        cells, known = self.experiment.cells, self._known_hours(panel)
        start, end = pd.Timestamp(cells.start), pd.Timestamp(cells.end)
        weeks = max(math.ceil((known[0] - start) / pd.Timedelta(weeks=1)), 0)
        if end + pd.Timedelta(weeks=weeks) > known[-1]:
            raise ExperimentError(
                self.experiment.name,
                f"its cells {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC lie outside the "
                f"history, which covers {known[0]:%Y-%m-%d %H:%M} to {known[-1]:%Y-%m-%d %H:%M} "
                "UTC, and no weeks of it can stand in for them. Read a longer history, or leave "
                "the experiment out.",
            )
        return weeks

    def _known_hours(self, panel: Panel) -> pd.DatetimeIndex:
        known = next((panel[q].index(HOUR) for q in panel if HOUR.name in panel[q].dims), None)
        if known is None:
            raise ExperimentError(self.experiment.name, "the panel has no quantity by hour.")
        return pd.DatetimeIndex(known)

    def _hours(self, panel: Panel) -> pd.DatetimeIndex:
        known = self._known_hours(panel)
        leaves = [self.collection.leaves[name] for name in self.path]
        back = sum(
            leaf.memory + max((item.lag for item in leaf.contract.inputs), default=0)
            for leaf in leaves
        )
        ahead = sum(leaf.contract.look_ahead for leaf in leaves)
        step = pd.Timedelta(hours=1)
        inside = (known >= self._start - back * step) & (known <= self._end + ahead * step)
        return pd.DatetimeIndex(known[inside])

    def _base(self, given: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        """What the path reads from outside: observed where possible, otherwise predicted."""
        wiring, name = self.collection.wiring, self.experiment.name
        made = {q for leaf in self.path for q in wiring.contracts[leaf].output_names}
        items = {
            item.name: item
            for leaf in self.path
            for item in wiring.contracts[leaf].inputs
            if item.name not in made or item.lag
        }
        latent = [q for q in items if not _complete(given.get(q)) and q in wiring.producer]
        predicted: dict[str, IndexTensor] = {}
        if latent:
            upstream = [leaf for leaf in wiring.upstream(latent) if leaf not in self.path]
            with torch.no_grad():
                predicted = self.collection.propagate(given, only=upstream, replaced=given)
        base: dict[str, IndexTensor] = {}
        for quantity, item in items.items():
            if quantity in given and quantity in predicted:
                base[quantity] = filled(given[quantity], predicted[quantity])
            elif quantity in given or quantity in predicted:
                base[quantity] = (given if quantity in given else predicted)[quantity]
            elif item.required and quantity not in made:
                raise ExperimentError(name, f"the panel lacks {quantity!r}, which its path reads.")
            if quantity in base and not bool(torch.isfinite(base[quantity].tensor).all()):
                raise ExperimentError(
                    name,
                    f"{quantity!r} has missing values on its cells, and no model predicts them.",
                )
        return base

    def _cells(
        self,
        given: Mapping[str, IndexTensor],
        regions: list[str],
        hours: pd.DatetimeIndex,
        of_day: tuple[int, ...],
    ) -> IndexTensor:
        """1 on the cells of the experiment, 0 on the hours of context around them."""
        cells = self.experiment.cells
        inside = (hours >= self._start) & (hours <= self._end)
        mask = torch.as_tensor(np.asarray(inside)).expand(len(regions), len(hours)).clone()
        if of_day:
            if _HOUR_OF_WEEK not in given:
                raise ExperimentError(
                    self.experiment.name,
                    f"its cells are hours of the local day, which need {_HOUR_OF_WEEK!r} in the "
                    "panel.",
                )
            local = given[_HOUR_OF_WEEK].values(cells.dim, HOUR).long() % 24
            mask &= torch.isin(local, torch.tensor(of_day))
        if not mask.any():
            raise ExperimentError(self.experiment.name, "no hour of the panel is in its cells.")
        return IndexTensor(mask.to(torch.float64), {cells.dim: regions, HOUR.name: hours}, "cells")

    def _under(self, arm: Arm, base: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        changed: dict[str, IndexTensor] = {}
        for change in arm.changes:
            now = changed.get(change.quantity, base[change.quantity])
            mask = _laid(self._treated, now)
            for dim, labels in change.where.items():
                if dim not in now.dims:
                    raise ExperimentError(
                        self.experiment.name,
                        f"arm {arm.name!r} restricts {change.quantity!r} along {dim!r}, which is "
                        f"none of its dims ({', '.join(now.dims)}).",
                    )
                index = now.index(dim)
                absent = [label for label in labels if label not in index]
                if absent:
                    raise ExperimentError(
                        self.experiment.name,
                        f"arm {arm.name!r} changes {change.quantity!r} at {dim} {absent[0]!r}, "
                        f"which is not among {', '.join(map(str, index[:3]))}, ...",
                    )
                shape = [1] * len(now.dims)
                shape[now.dims.index(dim)] = len(index)
                mask = mask * torch.as_tensor(index.isin(list(labels))).reshape(shape)
            value = torch.full_like(now.tensor, change.value)
            if change.how == "add":
                value = now.tensor + change.value
            elif change.how == "scale":
                value = now.tensor * change.value
            self._require_bounds(arm, change, value[mask > 0])
            changed[change.quantity] = now.with_tensor(torch.where(mask > 0, value, now.tensor))
        return changed

    def _require_bounds(self, arm: Arm, change: Change, values: torch.Tensor) -> None:
        """Refuse an arm that sets a quantity to what it cannot be."""
        low, high = next(
            item.bounds
            for contract in self.collection.wiring.contracts.values()
            for item in (*(i.quantity for i in contract.inputs), *contract.outputs)
            if item.name == change.quantity
        )
        if not values.numel():
            return
        least, most = float(values.min()), float(values.max())
        for bad, word, bound in (
            (low is not None and least < low, "lower", low),
            (high is not None and most > high, "upper", high),
        ):
            if bad:
                raise ExperimentError(
                    self.experiment.name,
                    f"arm {arm.name!r} ({change.how} {change.value:g}) takes {change.quantity!r} "
                    f"to {least if word == 'lower' else most:g}; its {word} bound is {bound:g}, so "
                    "nobody can have done that. Correct the arm.",
                )

    def _require_life(
        self, panel: Panel, given: Mapping[str, IndexTensor], hours: pd.DatetimeIndex
    ) -> None:
        """Refuse labels in which nothing that a model explains was observed during the cells."""
        cells, made = self.experiment.cells, self.collection.wiring.producer
        seen = [
            quantity
            for quantity, tensor in given.items()
            if quantity in made and {cells.dim, HOUR.name} <= set(tensor.dims)
        ]
        inside = torch.as_tensor(np.asarray((hours >= self._start) & (hours <= self._end)))
        if not seen:
            return
        for label in cells.labels:
            if any(bool(_observed(given[q], cells.dim, label)[inside].any()) for q in seen):
                continue
            alive = torch.stack([_observed(panel[q], cells.dim, label) for q in seen]).any(dim=0)
            known = panel[seen[0]].index(HOUR)
            first = (
                f"the first is of {known[int(alive.nonzero()[0])]:%Y-%m-%d %H:%M} UTC"
                if bool(alive.any())
                else "there is none in the history at all"
            )
            raise ExperimentError(
                self.experiment.name,
                f"nothing was observed in {cells.dim} {label!r} from "
                f"{self._start:%Y-%m-%d %H:%M} to {self._end:%Y-%m-%d %H:%M} UTC "
                f"({', '.join(seen[:3])}{', ...' if len(seen) > 3 else ''}); {first}. It cannot "
                "have been run there: correct its cells.",
            )

    # What depends on the parameters

    def _reduced(self, quantity: IndexTensor) -> torch.Tensor:
        mask = _laid(self._counted, quantity)
        total = (quantity.tensor * mask).sum()
        return total if self.experiment.reduce == "sum" else total / mask.sum()


def _laid(cells: IndexTensor, like: IndexTensor) -> torch.Tensor:
    """Cells in the layout of a quantity; dims that it lacks are left out."""
    for dim in cells.dims:
        if dim not in like.dims:
            cells = cells.max(dim)
    shared = [dim for dim in like.dims if dim in cells.dims]
    shape = [like.sizes[dim] if dim in shared else 1 for dim in like.dims]
    return cells.values(*shared).reshape(shape).expand(tuple(like.tensor.shape))


def path_of(collection: ModelCollection, experiment: Experiment) -> tuple[str, ...]:
    """Names of the innermost models that join an experiment's levers to its outcome.

    Raises:
        ExperimentError: a quantity is unknown, or no path joins them.
    """
    wiring = collection.wiring
    for kind, quantity in (
        *(("lever", lever) for lever in experiment.levers),
        ("outcome", experiment.outcome),
    ):
        if quantity not in wiring.quantities:
            near = nearest(quantity, wiring.quantities)
            hint = f" Near: {near!r}." if near else ""
            raise ExperimentError(
                experiment.name, f"no model reads or produces its {kind} {quantity!r}.{hint}"
            )
    path = wiring.between(experiment.levers, [experiment.outcome])
    for lever in experiment.levers:
        if not wiring.between([lever], [experiment.outcome]):
            raise ExperimentError(
                experiment.name,
                f"no chain of models leads from {lever!r} to {experiment.outcome!r}. "
                "The model says that there is no effect; add the missing path or leave the "
                "experiment out.",
            )
    return path


def _cut(
    panel: Panel, regions: Iterable[str], hours: pd.DatetimeIndex, experiment: Experiment
) -> dict[str, IndexTensor]:
    wanted, dim = list(regions), experiment.cells.dim
    cut: dict[str, IndexTensor] = {}
    for quantity in panel:
        given = panel[quantity]
        if dim in given.dims:
            index = given.index(dim)
            absent = [region for region in wanted if region not in index]
            if absent:
                raise ExperimentError(
                    experiment.name,
                    f"its {dim} {absent[0]!r} is not in the history, which has "
                    f"{len(index)} labels of it: {', '.join(map(str, index[:3]))}, ...",
                )
            given = given.sel({dim: wanted})
        if HOUR.name in given.dims:
            index = given.index(HOUR)
            if hours[0] < index[0] or hours[-1] > index[-1]:
                continue
            given = given.sel(hour=slice(hours[0], hours[-1]))
        cut[quantity] = given
    return cut


def _observed(tensor: IndexTensor, dim: str, label: str) -> torch.Tensor:
    """Whether anything of a quantity is known of a label, by hour."""
    one = tensor.sel({dim: label})
    others = [name for name in one.dims if name != HOUR.name]
    return torch.isfinite(one.values(*others, HOUR)).reshape(-1, len(one.index(HOUR))).any(dim=0)


def _complete(given: IndexTensor | None) -> bool:
    return given is not None and bool(torch.isfinite(given.tensor).all())
