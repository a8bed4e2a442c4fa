"""A limit as people read it: where the plan stands to it, and what moving it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

__all__ = ["ShadowPrice"]


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
