"""The cells of a problem: several labelled levers as one flat vector, and back."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dagcast_core.decide._declare import DecisionError, Groups, Labels, Limit
from dagcast_core.tensor import IndexTensor

__all__ = ["Space", "closest", "group_numbers", "label_text", "limit_values", "mask_of"]


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


@final
class Space:
    """Layout of the levers' cells in one flat vector.

    Args:
        templates: by lever, any tensor with the lever's dims and labels.
    """

    def __init__(self, templates: Mapping[str, IndexTensor]) -> None:
        self.templates = {
            name: given.with_tensor(given.tensor.detach().double()).named(name)
            for name, given in templates.items()
        }
        self.slices: dict[str, slice] = {}
        start = 0
        for name, template in self.templates.items():
            self.slices[name] = slice(start, start + template.numel())
            start += template.numel()
        self.size = start

    def panel(self, x: Tensor) -> dict[str, IndexTensor]:
        """Levers of the flat vector, differentiable."""
        return {
            name: template.with_tensor(x[self.slices[name]].view(template.shape))
            for name, template in self.templates.items()
        }

    def flat(self, panel: Mapping[str, IndexTensor], what: str = "decisions") -> Tensor:
        """Flat vector of the levers in ``panel``.

        Raises:
            DecisionError: a lever or some of its labels are missing.
        """
        parts = []
        for name in self.templates:
            if name not in panel:
                raise DecisionError(
                    f"cannot read the {what}: lever {name!r} is missing. {closest(name, panel)}"
                )
            parts.append(self.values_like(panel[name], name, what).reshape(-1))
        return torch.cat(parts)

    def values_like(self, given: IndexTensor, lever: str, what: str) -> Tensor:
        """Values of ``given`` in the layout of a lever, broadcast over dims that it lacks."""
        template = self.templates[lever]
        for dim in given.dims:
            if dim not in template.dims:
                raise DecisionError(
                    f"cannot read the {what} of {lever!r}: it has no dim {dim!r}; "
                    f"its dims are {', '.join(template.dims)}."
                )
            missing = template.index(dim).difference(given.index(dim))
            if len(missing):
                raise DecisionError(
                    f"cannot read the {what} of {lever!r}: {len(missing)} of its labels along "
                    f"{dim!r} "
                    f"are missing, first {label_text(missing[0])!r}. "
                    f"{closest(label_text(missing[0]), map(label_text, given.index(dim)))}"
                )
        wanted = {dim: template.index(dim) for dim in given.dims}
        chosen = given.double().reindex(wanted, fill=float("nan"))
        order = [dim for dim in template.dims if dim in given.dims]
        values = chosen.values(*order).detach()
        shape = [size if dim in order else 1 for dim, size in template.sizes.items()]
        return values.reshape(shape).expand(template.shape).contiguous()

    def where(self, cell: int) -> str:
        """Name and labels of a flat cell, for messages."""
        for name, part in self.slices.items():
            if part.start <= cell < part.stop:
                template = self.templates[name]
                place = np.unravel_index(cell - part.start, tuple(template.shape))
                labels = [
                    label_text(template.index(dim)[int(at)])
                    for dim, at in zip(template.dims, place, strict=True)
                ]
                return f"{name}[{', '.join(labels)}]"
        raise IndexError(cell)


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
