"""Labels: which are meant, which cells they name, how they fall into groups."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dagcast_core.decide.declare._declare import Groups, Labels, Limit
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["closest", "group_numbers", "label_text", "limit_values", "mask_of"]


def closest(name: object, known: Iterable[object]) -> str:
    """A hint naming the nearest known name, or the known names."""
    names = [str(item) for item in known]
    near = difflib.get_close_matches(str(name), names, n=1)
    if near:
        return f"Nearest: {near[0]!r}."
    return (
        f"Known: {', '.join(repr(item) for item in names[:8])}{', ...' if len(names) > 8 else ''}."
    )


def label_text(label: object) -> str:
    """A label for people."""
    if isinstance(label, tuple):
        return ", ".join(label_text(item) for item in label)
    if isinstance(label, pd.Timestamp):
        return label.strftime("%Y-%m-%d %H:%M")
    return str(label)


def mask_of(template: IndexTensor, where: Labels, what: str) -> Tensor:
    """Cells that keep to ``where``, bool in the template's shape."""
    mask = torch.ones(tuple(template.shape), dtype=torch.bool)
    for dim, labels in where.items():
        if dim not in template.dims:
            raise DecisionError(
                f"cannot restrict {what} along {dim!r}: {template.name!r} has no such dim. "
                f"{closest(dim, template.dims)}"
            )
        index = template.index(dim)
        for label in labels:
            if label not in index:
                raise DecisionError(
                    f"cannot restrict {what} to {dim} {label_text(label)!r}: no such label. "
                    f"{closest(label, index)}"
                )
        keep = torch.from_numpy(np.asarray(index.isin(list(labels))))
        shape = [1] * template.ndim
        shape[template.dims.index(dim)] = len(index)
        mask &= keep.reshape(shape)
    return mask


def group_numbers(
    template: IndexTensor, by: tuple[str, ...], what: str, groups: Groups | None = None
) -> tuple[Tensor, list[object]]:
    """Number of each cell's group along ``by`` (template's shape), and the label of every group.

    Args:
        template: gives dims and labels.
        by: dims that tell groups apart.
        what: for messages.
        groups: by dim, label -> group; labels without one get the number -1.
    """
    numbers = torch.zeros(tuple(template.shape), dtype=torch.int64)
    inside = torch.ones(tuple(template.shape), dtype=torch.bool)
    labels: list[object] = [()]
    for dim in by:
        if dim not in template.dims:
            raise DecisionError(
                f"cannot group {what} by {dim!r}: {template.name!r} has no such dim. "
                f"{closest(dim, template.dims)}"
            )
        index = template.index(dim)
        shape = [1] * template.ndim
        shape[template.dims.index(dim)] = len(index)
        own: Iterable[object] = index
        codes = torch.arange(len(index))
        if groups and dim in groups:
            own, codes = _grouped(index, groups[dim], dim, what)
        own = list(own)
        codes = codes.reshape(shape)
        numbers = numbers * len(own) + codes.clamp(min=0)
        inside &= codes >= 0
        labels = [(*before, label) for before in labels for label in own]  # type: ignore[misc]
    flat = [label[0] if len(by) == 1 else label for label in labels]  # type: ignore[index]
    return torch.where(inside, numbers, torch.tensor(-1)), flat if by else [()]


def _grouped(
    index: pd.Index, groups: Mapping[Any, object], dim: str, what: str
) -> tuple[list[object], Tensor]:
    """Groups in the order of the mapping, and the number of each label's group or -1."""
    for label in groups:
        if label not in index:
            raise DecisionError(
                f"cannot group {what}: {dim} {label_text(label)!r} is no label. "
                f"{closest(label_text(label), map(label_text, index))}"
            )
    names = list(dict.fromkeys(groups.values()))
    place = {name: k for k, name in enumerate(names)}
    codes = [place[groups[label]] if label in groups else -1 for label in index]
    return names, torch.tensor(codes)


def limit_values(limit: Limit, labels: list[object], by: tuple[str, ...], what: str) -> list[float]:
    """One limit per group; NaN where a mapping leaves a group without one."""
    if not isinstance(limit, Mapping):
        if math.isnan(float(limit)):
            raise DecisionError(f"{what} is NaN. Give a number.")
        return [float(limit)] * len(labels)
    if not by:
        raise DecisionError(f"{what} has limits by label but no dim in by; write by=('region',).")
    known = {label_text(label): k for k, label in enumerate(labels)}
    values = [float("nan")] * len(labels)
    for label, value in limit.items():
        key = label_text(label)
        if math.isnan(float(value)):
            raise DecisionError(
                f"{what} is NaN for {key!r}. Give a number, or leave the label out."
            )
        if key not in known:
            raise DecisionError(
                f"{what} has a limit for {key!r}, which is no label along {', '.join(by)}. "
                f"{closest(key, known)}"
            )
        values[known[key]] = float(value)
    return values
