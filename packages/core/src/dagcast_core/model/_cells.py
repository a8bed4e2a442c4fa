"""Cells whose values are not finite, named by their labels."""

from __future__ import annotations

import pandas as pd
import torch

from dagcast_core.model._errors import NonFiniteError
from dagcast_core.tensor import IndexTensor


def raise_bad_cells(member: str, what: str, given: IndexTensor) -> None:
    """Refuse values that are not finite.

    Raises:
        NonFiniteError: names the model, the quantity and the first of its cells.
    """
    bad = int((~torch.isfinite(given.tensor.detach())).sum())
    if bad:
        raise NonFiniteError(
            member,
            f"{what} is not finite in {bad} of {given.tensor.numel()} cells, first "
            f"{_first_bad_cells(given)}",
        )


def _first_bad_cells(given: IndexTensor, count: int = 3) -> str:
    """Labels of the first cells that are not finite, for messages."""
    places = (~torch.isfinite(given.tensor.detach())).nonzero()[:count].tolist()
    cells = [
        "("
        + ", ".join(
            f"{dim}={_shown(given.index(dim)[position])}"
            for dim, position in zip(given.dims, place, strict=True)
        )
        + ")"
        for place in places
    ]
    return ", ".join(cells)


def _shown(label: object) -> str:
    if isinstance(label, pd.Timestamp):
        return f"{label:%Y-%m-%d %H:%M}"
    return repr(label)
