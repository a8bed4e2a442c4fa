"""The cells of a problem: several labelled levers as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from torch import Tensor

from dagcast_core.decide.declare._labels import closest, label_text
from dagcast_core.solver import DecisionError
from dagcast_core.tensor import IndexTensor

__all__ = ["Space"]


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
