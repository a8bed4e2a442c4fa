"""Inputs that a model's contract says it must cope with, drawn at random and repeatable."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from dagcast_core.contract import Contract, Dim, Input, Quantity
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

Labels = Mapping[str, tuple[object, ...]]
Ranges = Mapping[str, tuple[float, float]]

_TWO = 2
START = pd.Timestamp("2026-01-05T00:00:00Z")  # a Monday


@dataclass(frozen=True)
class Setting:
    """A model and what it is tried on.

    Attributes:
        model: under test.
        labels: by dim; dims of time come from ``hours``.
        hours: steps of the time dim.
        ranges: ordinary values by quantity, where the contract's are not to be used.
        start: first step of the time dim.
        kept: what several tests need and one of them has computed; by what it is.
    """

    model: Model
    labels: Labels
    hours: int = 72
    ranges: Ranges = field(default_factory=dict)
    start: pd.Timestamp = START
    kept: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def panel(self, seed: int) -> Panel:
        """Draw every declared input, in ordinary ranges and with labels in common."""
        drawn: Panel | None = self.kept.get(("panel", seed))
        if drawn is None:
            rng = np.random.default_rng(seed)
            drawn = Panel({i.name: self.draw(i.quantity, rng) for i in self.model.contract.inputs})
            self.kept["panel", seed] = drawn
        return drawn

    def corners(self, seed: int) -> "Setting":
        """Return the same setting, with every real value at one end of its typical range."""
        ends = self.kept.get("corners")
        if ends is None:
            ends = self.kept["corners"] = replace(self, ranges=self.ranges)
            rng = np.random.default_rng(seed)
            drawn = {n: self._at_ends(n, t, rng) for n, t in self.panel(seed).items()}
            ends.kept["panel", seed] = Panel(drawn)
        return ends

    def _at_ends(self, name: str, drawn: IndexTensor, rng: np.random.Generator) -> IndexTensor:
        ends = self.ranges.get(name, self.model.contract.input(name).quantity.typical)
        if ends is None or not drawn.tensor.is_floating_point():
            return drawn
        high = torch.as_tensor(rng.random(tuple(drawn.tensor.shape)) < 0.5)
        values = torch.where(high, float(ends[1]), float(ends[0])).to(drawn.dtype)
        return drawn.with_tensor(values)

    def outputs(self, seed: int) -> Panel:
        """Predict from the panel drawn with ``seed``, once."""
        return self.traced(seed)[1].detach()

    def traced(self, seed: int) -> tuple[Panel, Panel]:
        """Return the panel drawn with ``seed`` as leaves of a graph, and what is predicted of it.

        Values, signs and gradients are read off the same pass.
        """
        made: tuple[Panel, Panel] | None = self.kept.get(("traced", seed))
        if made is None:
            tensors = Panel(leaves(self.panel(seed)))
            made = self.kept["traced", seed] = (tensors, self.model.predict(tensors))
        return made

    def draw(self, quantity: Quantity, rng: np.random.Generator) -> IndexTensor:
        """Draw one quantity."""
        indexes = {dim.name: self.index(dim) for dim in quantity.dims}
        shape = tuple(len(index) for index in indexes.values())
        values = _values(quantity, shape, rng, self.ranges.get(quantity.name, quantity.typical))
        dtype = getattr(torch, quantity.dtype)
        return IndexTensor(torch.as_tensor(values).to(dtype), indexes, quantity.name)

    def index(self, dim: Dim) -> pd.Index:
        """Labels of ``dim`` in this setting."""
        known: pd.Index | None = self.kept.get(("index", dim))
        if known is None:
            known = self.kept["index", dim] = self._index(dim)
        return known

    def _index(self, dim: Dim) -> pd.Index:
        if dim.kind == "time":
            return pd.date_range(self.start, periods=self.hours, freq=dim.frequency, unit="us")
        if dim.name in self.labels:
            return pd.Index(list(self.labels[dim.name]))
        return pd.RangeIndex(3) if dim.kind == "int" else pd.Index(_ordinary(dim))

    def with_hours(self, hours: int) -> "Setting":
        """Return the same setting over another number of steps."""
        return replace(self, hours=hours)

    def with_labels(self, **labels: tuple[object, ...]) -> "Setting":
        """Return the same setting with other labels along some dims."""
        return replace(self, labels={**self.labels, **labels})

    def with_start(self, start: pd.Timestamp) -> "Setting":
        """Return the same setting from another first step on."""
        return replace(self, start=start)

    @property
    def moved(self) -> "Setting":
        """The same setting with every parameter of the model moved a little, always alike.

        A parameter that starts at 0 hides what it multiplies, and values that start alike hide
        which label each belongs to: so do buffers that a history fills.
        """
        moved: Setting | None = self.kept.get("moved")
        if moved is None:
            fresh: Model = self.kept.get("fresh") or self.model
            model = jittered(fresh, 0)
            _spread(model, {len(labels) for labels in labels_of(fresh).values()})
            moved = self.kept["moved"] = replace(self, model=model)
            moved.kept["fresh"] = copy.deepcopy(moved.model)
            moved.kept["settings"] = self.kept.get("settings")
        return moved

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The declared inputs."""
        return self.model.contract.inputs

    @property
    def reach(self) -> int:
        """Steps that an input may reach forward or back, and the test has to leave room for."""
        return int(self.model.contract.look_ahead) + self.back

    @property
    def back(self) -> int:
        """Steps of the time dim that the model may read back, its members' in a row."""
        parts: list[Model] = [self.model]
        if isinstance(self.model, ModelCollection):
            parts = list(self.model.leaves.values())
        return sum(
            part.memory + max((item.lag for item in part.contract.inputs), default=0)
            for part in parts
        )


def jittered(model: Model, seed: int, scale: float = 0.1) -> Model:
    """A copy with every parameter moved a little at random: a start of 0 hides what it multiplies.

    A copy, because graphs of the model itself are kept for other tests.
    """
    moved = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in moved.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise.to(parameter.dtype), alpha=scale)
    return moved


@torch.no_grad()
def _spread(model: Model, counts: set[int]) -> None:
    """Make buffers differ from label to label where they do not: by up to a tenth."""
    for buffer in model.buffers():
        if not buffer.is_floating_point():
            continue
        for axis, count in enumerate(buffer.shape):
            first = buffer.narrow(axis, 0, 1)
            if (
                count < _TWO
                or count not in counts
                or not torch.equal(buffer, first.expand_as(buffer))
            ):
                continue
            shape = [count if i == axis else 1 for i in range(buffer.ndim)]
            # Before the axis is left, so that buffers with two dims of labels differ along both.
            buffer.mul_(torch.linspace(0.9, 1.1, count, dtype=buffer.dtype).reshape(shape))


def leaves(tensors: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
    """Return copies of ``tensors`` that record gradients where their dtype has any."""
    return {
        name: tensor.with_tensor(
            tensor.tensor.detach().clone().requires_grad_(tensor.tensor.is_floating_point())
        )
        for name, tensor in tensors.items()
    }


def ordinary_labels(contract: Contract) -> dict[str, tuple[object, ...]]:
    """Return labels to build a model for: three of every label dim that its contract names."""
    quantities = (*(item.quantity for item in contract.inputs), *contract.outputs)
    dims = {dim for quantity in quantities for dim in quantity.dims if dim.kind == "label"}
    return {dim.name: _ordinary(dim) for dim in dims}


def labels_of(model: Model) -> Labels:
    """Return the labels that the model has parameters for, else ordinary ones."""
    labels = ordinary_labels(model.contract)
    for _, parameter in model.labelled_parameters():
        for dim in parameter.dims:
            labels[dim] = tuple(parameter.indexes[dim])
    return labels


def _ordinary(dim: Dim) -> tuple[str, ...]:
    return tuple(f"{dim.name} {letter}" for letter in "abc")


def _values(
    quantity: Quantity,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    typical: tuple[float, float] | None,
) -> npt.NDArray[np.generic]:
    low, high = quantity.bounds
    if quantity.dtype == "bool":
        return rng.random(shape) < 0.5
    if quantity.dtype == "int64":
        return _cycle(quantity, shape, rng, typical)
    if typical is not None:
        least, greatest = typical
        if least > 0 and greatest > 20 * least:
            return np.exp(rng.uniform(np.log(least), np.log(greatest), shape))
        return rng.uniform(least, greatest, shape)
    if low is not None and high is not None:
        return rng.uniform(low, high, shape)
    if low is not None:
        return low + 10 * rng.lognormal(0.0, 0.7, shape)
    if high is not None:
        return high - 10 * rng.lognormal(0.0, 0.7, shape)
    return rng.normal(10.0, 10.0, shape)


def _cycle(
    quantity: Quantity,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    typical: tuple[float, float] | None,
) -> npt.NDArray[np.generic]:
    # Whole numbers over time are calendars: they count up and start again, elsewhere per cell.
    low, high = typical or quantity.bounds
    least, greatest = int(low or 0), int(100 if high is None else high)
    time = quantity.time_dim
    if time is None:
        return rng.integers(least, greatest + 1, shape)
    axis = quantity.dim_names.index(time.name)
    phases = tuple(1 if i == axis else size for i, size in enumerate(shape))
    steps = np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    phase = rng.integers(0, greatest - least + 1, phases)
    return least + (steps + phase) % (greatest - least + 1)
