"""Budgets: there as rows of flat cells, back as prices, as what is overspent, as what holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._goal import Goal
from dagcast_core.decide.compile._price import ShadowPrice, priced
from dagcast_core.decide.compile._rows import (
    RowName,
    check_stated_once,
    label_words,
    limits_with_cells,
)
from dagcast_core.decide.declare import (
    Budget,
    DecisionProblem,
    Space,
    budget_unit,
    group_numbers,
    label_text,
    mask_of,
)
from dagcast_core.solver import DecisionError, EmptySetError, LinearSet, RowLayer

__all__ = ["Budgets"]


@final
@dataclass(frozen=True)
class Budgets:
    """Rows of every budget.

    Attributes:
        layers: one per budget that has rows.
        names: meaning of every row, layers in order.
    """

    layers: tuple[RowLayer, ...]
    names: tuple[RowName, ...]

    @classmethod
    def of(cls, problem: DecisionProblem, space: Space) -> Budgets:
        """Rows of a problem's budgets.

        Raises:
            DecisionError: levers of one purse have other labels, a limit concerns no cell, or one
                is stated twice.
        """
        layers: list[RowLayer] = []
        names: list[RowName] = []
        for item in problem.constraints:
            if isinstance(item, Budget):
                layer, own = _layer(problem, space, item)
                if own:
                    layers.append(layer)
                    names += own
        check_stated_once(names, [(layer.group, layer.limit) for layer in layers])
        return cls(tuple(layers), tuple(names))

    def spent(self, x: Tensor) -> Tensor:
        """Left-hand sides of all rows, (rows,)."""
        sums = [layer.sums(x) for layer in self.layers]
        return torch.cat(sums) if sums else torch.zeros(0, dtype=x.dtype)

    def priced(self, x: Tensor, prices: Tensor, goal: Goal) -> list[ShadowPrice]:
        """One record per row.

        Args:
            x: (cells,) decisions.
            prices: (rows,) of the maximised objective, per unit of limit.
            goal: gives unit and sense.
        """
        return priced(self.names, self.spent(x), prices, goal)

    def overspent(self, error: EmptySetError) -> DecisionError:
        """Budgets that the lower bounds exceed, with the amounts."""
        offsets = [0]
        for layer in self.layers:
            offsets.append(offsets[-1] + layer.limit.numel())
        parts = []
        for place, excess in zip(error.places, error.excess, strict=True):
            name = self.names[offsets[place[0]] + place[1]]
            parts.append(f"{name} is exceeded by {name.amount(excess)} even at the lower bounds")
        return DecisionError(
            "; ".join(parts) + ". Raise the budget, or lower bounds or fixed cells."
        )

    def holding(self, weights: Tensor, least: float) -> str | None:
        """The budget that holds back most, if any does by more than ``least``.

        Args:
            weights: (rows,) of the proof that limits cannot be kept.
            least: weight from which a budget counts.
        """
        held = [
            (float(weight), str(name))
            for weight, name in zip(weights, self.names, strict=True)
            if float(weight) > least
        ]
        return max(held)[1] if held else None

    def nearly_used_up(self, linear: LinearSet, margin: float) -> list[str]:
        """Budgets of which bounds and fixed cells leave no more than a margin."""
        found = []
        offset = 0
        for layer in self.layers:
            room = layer.limit - layer.sums(linear.lower)
            for k in torch.nonzero(room <= margin * layer.limit).flatten().tolist():
                name = self.names[offset + k]
                if name.limit > 0:
                    found.append(
                        f"{name} leaves {name.amount(float(room[k]), 4)} to decide about: bounds "
                        "and fixed cells take the rest"
                    )
            offset += layer.limit.numel()
        return found


def _layer(
    problem: DecisionProblem, space: Space, budget: Budget
) -> tuple[RowLayer, list[RowName]]:
    what = f"the budget of {budget.name!r}"
    group = torch.full((space.size,), -1)
    labels: list[object] = []
    for lever in budget.levers:
        template = space.templates[lever]
        numbers, own = group_numbers(template, budget.by, what, budget.groups)
        if not labels:
            labels = own
        # Levers may have their labels in different orders.
        place = {label_text(label): k for k, label in enumerate(labels)}
        try:
            renumber = torch.tensor([place[label_text(label)] for label in own])
        except KeyError as error:
            raise DecisionError(
                f"{what} is one purse, but {lever!r} has the label {error.args[0]!r} along "
                f"{', '.join(budget.by)}, which {budget.levers[0]!r} has not. Use one budget "
                "each."
            ) from None
        inside = mask_of(template, budget.where, what) & (numbers >= 0)
        theirs = torch.where(inside, renumber[numbers.clamp(min=0)], torch.tensor(-1))
        group[space.slices[lever]] = theirs.reshape(-1)
    present = torch.zeros(len(labels), dtype=torch.bool)
    present[group[group >= 0]] = True
    limits, kept = limits_with_cells(budget, labels, present, what)
    renumber = torch.full((len(labels),), -1)
    renumber[kept] = torch.arange(len(kept))
    group = torch.where(group >= 0, renumber[group.clamp(min=0)], group)
    unit = budget_unit(problem.quantity(budget.levers[0]), budget)
    names = [
        RowName("budget", budget.name, label_words(labels[k], budget.where), "<=", limits[k], unit)
        for k in kept
    ]
    limit = torch.tensor([limits[k] for k in kept], dtype=torch.float64)
    return RowLayer(group, torch.ones(space.size, dtype=torch.float64), limit), names
