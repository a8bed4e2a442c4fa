"""Constraints in a few words, for the screen of a problem."""

from __future__ import annotations

from collections.abc import Mapping

from dagcast_core.decide.declare._declare import (
    Budget,
    Constraint,
    Fallback,
    Limit,
    OutcomeLimit,
    Ramp,
)

__all__ = ["constraint_words"]


def constraint_words(item: Constraint) -> str:
    """One line about a constraint."""
    if isinstance(item, Budget):
        levers = item.lever if isinstance(item.lever, str) else " + ".join(item.lever)
        return f"sum of {levers} <= {_amount(item.limit, item.by)}{_where(item.where)}"
    if isinstance(item, Ramp):
        return f"{item.lever} changes by at most {item.limit:g} over {item.step} of {item.dim}"
    if isinstance(item, OutcomeLimit):
        sure = f", {item.chance:.0%} sure" if item.chance is not None else ""
        amount = _amount(item.limit, item.by)
        return f"{item.reduce} of {item.quantity} {item.sense} {amount}{_where(item.where)}{sure}"
    if isinstance(item, Fallback):
        return f"{item.lever} from {item.rule_name} where its response is too uncertain"
    return f"{item.lever} fixed by people in some cells"


def _amount(limit: Limit, by: tuple[str, ...]) -> str:
    if not isinstance(limit, Mapping):
        return f"{limit:g}" + (f" per {', '.join(by)}" if by else "")
    low, high = min(limit.values(), default=0.0), max(limit.values(), default=0.0)
    return f"{low:g} to {high:g} in {len(limit)} of {', '.join(by)}"


def _where(where: Mapping[str, tuple[object, ...]]) -> str:
    parts = [f"{len(labels)} of {dim}" for dim, labels in where.items()]
    return f" where {', '.join(parts)}" if parts else ""
