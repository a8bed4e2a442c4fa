"""Hypothesis strategies for property tests of models: inputs that shrink to ordinary ones."""

import torch
from hypothesis import strategies as st

from dagcast_core.contract import Input
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._setting import Labels, Setting, labels_of


@st.composite
def panels(
    draw: st.DrawFn,
    model: Model,
    *,
    labels: Labels | None = None,
    least_hours: int = 1,
    most_hours: int = 72,
) -> Panel:
    """Draw inputs of ``model``: ordinary values, extremes of single inputs, labels in any order.

    A failing example shrinks to few hours of ordinary values in the given order of labels.

    Args:
        draw: supplied by hypothesis.
        model: whose declared inputs are drawn.
        labels: by dim; default those of the model's parameters.
        least_hours: fewest steps of the time dim,
        most_hours: and most.
    """
    given = dict(labels or labels_of(model))
    needed = {dim.name for item in model.contract.inputs for dim in item.quantity.dims}
    for dim in sorted(needed & set(given)):
        given[dim] = tuple(draw(st.permutations(given[dim])))
    hours = draw(st.integers(least_hours, most_hours))
    panel = Setting(model, given, hours).panel(draw(st.integers(0, 2**16)))
    return Panel({i.name: draw(_perhaps_extreme(i, panel[i.name])) for i in model.contract.inputs})


def _perhaps_extreme(item: Input, ordinary: IndexTensor) -> st.SearchStrategy[IndexTensor]:
    low, high = item.quantity.bounds
    choices = [ordinary]
    for end in (low, high):
        if end is not None:
            choices.append(ordinary.with_tensor(torch.full_like(ordinary.tensor, end)))
    return st.sampled_from(choices)
