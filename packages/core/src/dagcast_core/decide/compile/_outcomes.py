"""Limits on outcomes: there as rows of the forecast, back as prices and as limits that give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from dagcast_core.decide.compile._goal import Goal
from dagcast_core.decide.compile._price import ShadowPrice, priced
from dagcast_core.decide.compile._rows import (
    RowBlock,
    RowName,
    check_stated_once,
    label_words,
    limits_with_cells,
)
from dagcast_core.decide.declare import (
    Constraint,
    DecisionProblem,
    OutcomeLimit,
    Space,
    group_numbers,
    label_text,
    mask_of,
    outcome_unit,
)
from dagcast_core.solver import OutcomeRows
from dagcast_core.tensor import IndexTensor

__all__ = ["Outcomes"]


@final
@dataclass(frozen=True)
class Outcomes:
    """Rows of every limit on an outcome.

    Attributes:
        space: the cells.
        blocks: one per limit.
        names: meaning of every row, blocks in order.
    """

    space: Space
    blocks: tuple[RowBlock, ...]
    names: tuple[RowName, ...]

    @classmethod
    def of(
        cls,
        problem: DecisionProblem,
        space: Space,
        forecast: Callable[[], Mapping[str, IndexTensor]],
    ) -> Outcomes:
        """Rows of a problem's limits.

        Args:
            problem: with limits on outcomes, or none.
            space: the cells.
            forecast: any forecast, for dims and labels; called if there is a limit.

        Raises:
            DecisionError: a limit concerns no cell, or one is stated twice.
        """
        limits = [item for item in problem.constraints if isinstance(item, OutcomeLimit)]
        shapes = forecast() if limits else {}
        blocks = tuple(_block(problem, limit, shapes[limit.quantity]) for limit in limits)
        names = tuple(name for block in blocks for name in block.names)
        rows = [(block.group, torch.zeros(len(block.names))) for block in blocks]
        check_stated_once(names, rows)
        return cls(space, blocks, names)

    def parts(self) -> Iterator[tuple[RowBlock, slice]]:
        """Every block, and where its rows are."""
        start = 0
        for block in self.blocks:
            yield block, slice(start, start + len(block.names))
            start += len(block.names)

    def values(self, known: Mapping[str, IndexTensor]) -> Tensor:
        """Left-hand sides from outputs, levers and context, (rows,) in their units."""
        parts = [block.reduced(known) for block in self.blocks]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def rows(self, at_baseline: Callable[[], Tensor]) -> OutcomeRows:
        """The rows for the solver; which cells they touch is found out later.

        Args:
            at_baseline: their values at the least decisions, asked for if there are rows.
        """
        limit = torch.tensor([name.limit for name in self.names], dtype=torch.float64)
        sign = torch.tensor(
            [1.0 if name.sense == "<=" else -1.0 for name in self.names], dtype=torch.float64
        )
        scale = limit.abs()
        if scale.numel():
            # A limit of 0 is relative to the outcome itself.
            values = at_baseline().detach()
            scale = torch.where(scale > 0, scale, values.abs().clamp(min=1e-12))
        return OutcomeRows(limit, sign, scale, ())

    def candidates(self) -> list[tuple[Tensor, Tensor]]:
        """Per limit: its row numbers, and the row that each cell would touch if labels decide."""
        out = []
        for block, part in self.parts():
            group = torch.full((self.space.size,), -1)
            known = {label_text(label): k for k, label in enumerate(block.labels)}
            for name, template in self.space.templates.items():
                by = block.limit.by
                if not by:
                    group[self.space.slices[name]] = part.start
                    continue
                if any(dim not in template.dims for dim in by):
                    continue
                groups = {dim: given for dim, given in block.limit.groups.items() if dim in by}
                numbers, labels = group_numbers(template, by, name, groups)
                rows_of = torch.tensor([known.get(label_text(label), -1) for label in labels])
                ours = torch.where(numbers >= 0, rows_of[numbers.clamp(min=0)], torch.tensor(-1))
                group[self.space.slices[name]] = torch.where(
                    ours >= 0, ours + part.start, ours
                ).reshape(-1)
            out.append((torch.arange(part.start, part.stop), group))
        return out

    def priced(
        self, outcomes: Tensor, prices: Tensor, goal: Goal, kept: Sequence[float] | None
    ) -> list[ShadowPrice]:
        """One record per row.

        Args:
            outcomes: (rows,) in their units.
            prices: (rows,) of the maximised objective, per unit of limit.
            goal: gives unit and sense.
            kept: share of the draws that keep each row, or None without draws.
        """
        found = priced(self.names, outcomes, prices, goal)
        if kept is None:
            return found
        return [replace(record, kept=share) for record, share in zip(found, kept, strict=True)]

    def relaxed_to(
        self, constraints: Sequence[Constraint], outcomes: Tensor
    ) -> tuple[tuple[Constraint, ...], tuple[str, ...]]:
        """Constraints with every outcome limit that is broken moved to the value reached.

        Args:
            constraints: of the problem that these rows come from.
            outcomes: (rows,) reached.

        Returns:
            The constraints, and the limits that were moved.
        """
        reached = outcomes.tolist()
        moved: list[str] = []
        kept: list[Constraint] = []
        parts = self.parts()
        for item in constraints:
            if not isinstance(item, OutcomeLimit):
                kept.append(item)
                continue
            block, part = next(parts)
            limits: dict[object, float] = {}
            for name, label, value in zip(block.names, block.labels, reached[part], strict=True):
                sign = 1.0 if name.sense == "<=" else -1.0
                broken = sign * (value - name.limit) > 0
                # A hair of room: the executed decisions must count as keeping the limit.
                limits[label] = value + sign * 1e-9 * abs(value) if broken else name.limit
                if broken:
                    moved.append(str(name))
            kept.append(replace(item, limit=limits if item.by else next(iter(limits.values()))))
        return tuple(kept), tuple(moved)


def _block(problem: DecisionProblem, limit: OutcomeLimit, like: IndexTensor) -> RowBlock:
    what = f"the limit on {limit.quantity!r}"
    numbers, labels = group_numbers(like, limit.by, what, limit.groups)
    inside = mask_of(like, limit.where, what) & (numbers >= 0)
    present = torch.zeros(len(labels), dtype=torch.bool)
    present[numbers[inside]] = True
    limits, kept = limits_with_cells(limit, labels, present, what)
    renumber = torch.full((len(labels),), len(kept))
    renumber[kept] = torch.arange(len(kept))
    group = torch.where(inside, renumber[numbers.clamp(min=0)], torch.tensor(len(kept)))
    unit = outcome_unit(problem.quantity(limit.quantity), limit)
    reduce = str(limit.reduce)
    if limit.chance is not None:
        reduce = f"{limit.chance:.0%} sure {reduce}"
    names = [
        RowName(
            "outcome",
            limit.quantity,
            label_words(labels[k], limit.where),
            limit.sense,
            limits[k],
            unit,
            reduce,
        )
        for k in kept
    ]
    return RowBlock(limit, like, group.reshape(-1), names, [labels[k] for k in kept])
