"""The numbered rows of limits: what each means, which cells count towards it, and its value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from dagcast_core.contract import Weighted
from dagcast_core.decide.declare import Budget, OutcomeLimit, label_text, limit_values
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["RowBlock", "RowName", "check_stated_once", "label_words", "limits_with_cells"]


@final
@dataclass(frozen=True)
class RowName:
    """What a numbered row means.

    Attributes:
        kind: "budget" or "outcome".
        name: lever or quantity.
        label: of the group, empty for one over everything.
        sense: "<=" or ">=".
        limit: in ``unit``.
        unit: of the limit.
        reduce: how an outcome is reduced.
    """

    kind: str
    name: str
    label: str
    sense: str
    limit: float
    unit: str
    reduce: str = "sum"

    def __str__(self) -> str:
        at = f" {self.label}" if self.label else ""
        how, _, weight = self.reduce.partition(" weighted by ")
        weighted = f", weighted by {weight}," if weight else ""
        return f"{how} of {self.name}{at}{weighted} {self.sense} {self.amount(self.limit)}"

    def amount(self, value: float, digits: int = 6) -> str:
        """A value in the limit's unit; a share has none."""
        return f"{value:.{digits}g}{'' if self.unit == '1' else f' {self.unit}'}"


@final
@dataclass(frozen=True)
class RowBlock:
    """The rows of one outcome limit."""

    limit: OutcomeLimit
    like: IndexTensor
    group: Tensor
    names: list[RowName]
    labels: list[object]

    def reduced(self, known: Mapping[str, IndexTensor]) -> Tensor:
        """Reduced values, (rows,)."""
        value = known[self.limit.quantity].values(*self.like.dims).reshape(-1)
        count = len(self.names)
        if isinstance(self.limit.reduce, Weighted):
            weights = known[self.limit.reduce.by]
            missing = [dim for dim in self.like.dims if dim not in weights.dims]
            if missing:
                weights = weights.expand({dim: self.like.index(dim) for dim in missing})
            weight = weights.values(*self.like.dims).reshape(-1)
        else:
            weight = torch.ones_like(value)
        top = torch.zeros(count + 1, dtype=value.dtype).index_add(0, self.group, value * weight)
        if self.limit.reduce == "sum":
            return top[:count]
        bottom = torch.zeros(count + 1, dtype=value.dtype).index_add(0, self.group, weight)
        return top[:count] / bottom[:count]


def limits_with_cells(
    item: Budget | OutcomeLimit, labels: list[object], present: Tensor, what: str
) -> tuple[list[float], list[int]]:
    """Limit of every label, NaN for none, and the numbers of the labels that have a row.

    Args:
        item: whose limits.
        labels: along its dims.
        present: (labels,) bool, whether a label has cells.
        what: for messages.
    """
    limits = limit_values(item.limit, labels, item.by, what)
    finite = [k for k, value in enumerate(limits) if np.isfinite(value)]
    empty = [k for k in finite if not bool(present[k])]
    if empty and (isinstance(item.limit, Mapping) or len(empty) == len(finite)):
        at = f" for {label_text(labels[empty[0]])!r}" if item.by else ""
        raise DecisionError(
            f"{what} has a limit{at} that no cell counts towards: where and groups leave every "
            "one out. Correct them, or remove the limit."
        )
    return limits, [k for k in finite if bool(present[k])]


def check_stated_once(names: Sequence[RowName], blocks: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Refuse the same limit on the same cells twice: its shadow price would be split between both.

    Args:
        names: of the rows of all blocks, in order.
        blocks: per constraint the number of each cell's row, and a tensor of one value per row.
    """
    seen: dict[str, list[tuple[Tensor, int]]] = {}
    start = 0
    for group, rows in blocks:
        for k in range(len(rows)):
            name = names[start + k]
            for other, number in seen.get(str(name), ()):
                if other.shape == group.shape and torch.equal(other == number, group == k):
                    raise DecisionError(
                        f"the limit {name} is stated twice, so that its shadow price would be "
                        "split between both. Remove one."
                    )
            seen.setdefault(str(name), []).append((group, k))
        start += len(rows)


def label_words(label: object, where: Mapping[str, tuple[object, ...]]) -> str:
    """A row's label for people: of its group, then those that it is restricted to."""
    parts = [] if label == () else [label_text(label)]
    parts += [label_text(item) for items in where.values() for item in items]
    return ", ".join(parts)
