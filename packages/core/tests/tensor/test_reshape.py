"""Dims rearranged and repeated."""

import pytest
import torch
from tensor_cases import HOURS, REGIONS

from dagcast_core.tensor import AlignmentError, IndexTensor, stack


def test_stack_and_unstack_undo_each_other(rides):
    cells = rides.stack(cell=("hour", "region"))
    assert cells.unstack("cell").layout is rides.transpose().layout
    torch.testing.assert_close(cells.unstack("cell").tensor, rides.transpose().tensor)
    with pytest.raises(AlignmentError, match="combinations do not occur"):
        cells.isel(cell=slice(1, None)).unstack("cell")
    filled = cells.isel(cell=slice(1, None)).unstack("cell", fill=-1.0)
    assert filled.sel(region="SFO", hour=HOURS[0]).item() == -1
    parts = rides.unbind("region")
    assert stack(parts, "region").layout is rides.layout
    assert stack(parts, "region").tolist() == rides.tolist()


def test_expansion_repeats_and_counts_every_copy_in_the_gradient(rides):
    level = IndexTensor([1.0, 2.0, 3.0], {"region": REGIONS}).requires_grad_()
    level.expand_like(rides).sum().backward()
    assert level.grad.tolist() == [6.0] * 3
    assert level.expand_like(rides.transpose()).dims == ("hour", "region")
    assert level.expand(hour=HOURS).tensor.untyped_storage().nbytes() == 24
    with pytest.raises(AlignmentError):
        level.isel(region=[0]).expand_like(rides)
