"""The form of declarations: what is a number, a tuple of names, a label, before any is looked up.

A typing mistake must not become a limit that is not there: `where={"region": ()}` would restrict
nothing, and `by="region"` would read as seven dims of one letter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dagcast_core.decide.declare._declare import Budget, Fallback, Fixed, Lever, OutcomeLimit, Ramp
from dagcast_core.decide.declare._labels import label_text
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["check_forms"]


def check_forms(levers: Sequence[Any], constraints: Sequence[Any]) -> None:
    """Check levers and constraints before their names are.

    Raises:
        DecisionError: something else stands where a number, names or labels belong.
    """
    for lever in levers:
        if not isinstance(lever, Lever):
            raise DecisionError(
                f"{_named(lever)} is no lever; write Lever(name, lower=..., upper=...)."
            )
        _check_lever(lever)
    for item in constraints:
        if isinstance(item, Budget | OutcomeLimit):
            _check_limit(item)
        elif isinstance(item, Ramp):
            _check_number(item.limit, f"the limit of the ramp of {item.lever!r}")
            if isinstance(item.step, bool) or not isinstance(item.step, int):
                raise DecisionError(
                    f"the ramp of {item.lever!r} has step {item.step!r}; a step is a whole number "
                    f"of labels along {item.dim!r}."
                )
        elif isinstance(item, Fixed):
            if not isinstance(item.values, IndexTensor):
                raise DecisionError(
                    f"the fixed cells of {item.lever!r} are {_named(item.values)}; give an "
                    "IndexTensor, NaN where a cell stays free."
                )
            if bool(torch.isinf(item.values.tensor).any()):
                raise DecisionError(
                    f"a fixed cell of {item.lever!r} is infinite. Give numbers, and NaN where a "
                    "cell stays free."
                )
        elif not isinstance(item, Fallback):
            raise DecisionError(
                f"{_named(item)} is no constraint; use Budget, Ramp, Fixed, Fallback or "
                "OutcomeLimit."
            )


def _check_lever(lever: Lever) -> None:
    for end in ("lower", "upper"):
        value = getattr(lever, end)
        if not isinstance(value, IndexTensor):
            _check_number(value, f"the {end} bound of {lever.name!r}")
    if not isinstance(lever.lower, IndexTensor) and float(lever.lower) == math.inf:
        raise DecisionError(
            f"the lower bound of {lever.name!r} is infinite, which no decision reaches. Give the "
            "least value of a cell, such as 0."
        )


def _check_limit(item: Budget | OutcomeLimit) -> None:
    if isinstance(item, Budget):
        what, sense = f"the budget of {item.name!r}", "<="
    else:
        what, sense = f"the limit on {item.quantity!r}", str(item.sense)
    by: object = item.by
    if isinstance(by, str):
        raise DecisionError(f"{what} has by={by!r}; write by=({by!r},).")
    if len(set(item.by)) < len(tuple(item.by)):
        raise DecisionError(f"{what} names a dim twice in by={tuple(item.by)}; name each once.")
    where: Mapping[str, object] = item.where
    for dim, labels in where.items():
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise DecisionError(
                f"{what} is restricted to {dim} {labels!r}; write where={{{dim!r}: ({labels!r},)}}."
            )
        if not labels:
            raise DecisionError(
                f"{what} is restricted to no label of {dim!r}, so that it would limit nothing. "
                "Name labels in where, or remove the constraint."
            )
    if isinstance(item.limit, Mapping) and not item.limit:
        raise DecisionError(
            f"{what} has no limit for any label. Give one, or remove the constraint."
        )
    never = math.inf if sense == ">=" else -math.inf
    for label, value in (
        item.limit.items() if isinstance(item.limit, Mapping) else [("", item.limit)]
    ):
        at = f" for {label_text(label)!r}" if label != "" else ""
        _check_number(value, f"{what}{at}")
        if float(value) == never:
            raise DecisionError(
                f"{what}{at} is {sense} {never:g}, which nothing keeps. Give a number, or "
                "remove the limit."
            )


def _check_number(value: object, what: str) -> None:
    single = not isinstance(value, Tensor) or value.numel() == 1
    try:
        if isinstance(value, str | bool | IndexTensor) or not single:
            raise TypeError
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DecisionError(f"{what} is {_named(value)}; give a number.") from None


def _named(value: object) -> str:
    """A value that does not belong there, for people."""
    if isinstance(value, str):
        return f"the text {value!r}"
    if value is None:
        return "None"
    return f"a {type(value).__name__}"
