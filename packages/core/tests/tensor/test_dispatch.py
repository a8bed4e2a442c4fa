"""torch's own functions on labelled tensors."""

import pytest
import torch


def test_torch_functions_take_labelled_tensors(rides):
    scaled = rides / 20 + 0.1
    for function in (torch.exp, torch.log, torch.erf, torch.special.ndtr, torch.sin, torch.sqrt):
        got = function(scaled)
        assert got.layout is rides.layout
        assert got.name == "rides"
        torch.testing.assert_close(got.tensor, function(scaled.tensor))
    part = scaled.isel(region=[2, 0])
    assert torch.maximum(scaled, part).layout is torch.add(scaled, part).layout
    assert torch.where(scaled > 0.5, scaled, 0.0).dims == rides.dims
    assert torch.sum(rides).item() == rides.sum().item()
    assert torch.nn.functional.softplus(rides).dims == rides.dims
    with pytest.raises(TypeError, match=r"name it, as in a\.sum\('hour'\)"):
        torch.sum(rides, dim=1)
    with pytest.raises(TypeError, match=r"cannot apply torch's matmul.*a\.values"):
        torch.matmul(rides, rides)
