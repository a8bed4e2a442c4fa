"""A limit as people read it: where the plan stands to it, and what moving it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from dagcast_core.decide.compile._goal import Goal
from dagcast_core.decide.compile._rows import RowName

__all__ = ["ShadowPrice", "priced"]

_BINDING = 1e-4


@final
@dataclass(frozen=True)
class ShadowPrice:
    """A limit, how the plan stands to it, and what moving it is worth.

    Attributes:
        kind: "budget" or "outcome".
        name: lever or quantity.
        label: of the group; empty for one over everything.
        sense: "<=" or ">=".
        limit: in ``unit``.
        used: value under the plan, in ``unit``.
        unit: of limit and used.
        price: d objective / d limit: what one more unit of limit adds to the optimum.
        price_unit: objective unit per unit of limit.
        binding: whether the plan stands at the limit.
        words: the price in one sentence.
        kept: share of the parameter draws under which the limit is kept; None without draws.
    """

    kind: str
    name: str
    label: str
    sense: str
    limit: float
    used: float
    unit: str
    price: float
    price_unit: str
    binding: bool
    words: str
    kept: float | None = None


def priced(names: Sequence[RowName], used: Tensor, prices: Tensor, goal: Goal) -> list[ShadowPrice]:
    """One record per row.

    Args:
        names: of the rows.
        used: (rows,) left-hand sides, in the units of the limits.
        prices: (rows,) of the maximised objective, per unit of limit.
        goal: gives unit and sense.
    """
    return [
        _record(name, float(used[k]), goal.sign * float(prices[k]), goal.unit, goal.name)
        for k, name in enumerate(names)
    ]


def _record(name: RowName, used: float, price: float, unit: str, objective: str) -> ShadowPrice:
    scale = max(abs(name.limit), 1e-12)
    binding = abs(used - name.limit) <= _BINDING * scale and price != 0.0
    at = f" of {name.label}" if name.label else ""
    if price == 0.0:
        words = (
            f"{name.name}{at} is at {name.amount(used)}, limit {name.sense} {name.limit:.6g}: "
            "moving the limit changes nothing."
        )
    else:
        verb = "adds" if price > 0 else "costs"
        unit_text = "1 unit" if name.unit == "1" else f"1 {name.unit}"
        words = (
            f"Raising the limit on {name.name}{at} ({name.sense} {name.amount(name.limit)}) by "
            f"{unit_text} {verb} {abs(price):.4g} {unit} of {objective}."
        )
    return ShadowPrice(
        name.kind,
        name.name,
        name.label,
        name.sense,
        name.limit,
        used,
        name.unit,
        price,
        f"{unit} per {name.unit}",
        binding,
        words,
    )
