"""Information about profiles is that of their columns written out."""

import pytest
import torch

from dagcast_core.model._sensitivity import Columns, information

CELLS, BLOCKS, WEEK = 400, 3, 168


def dense(columns, block):
    """Derivatives of all cells of a block by every value, one-hot columns written out."""
    parts = []
    for own in columns:
        if own.index is None:
            parts.append(own.values[block])
            continue
        shared = own.common[block].unsqueeze(1) / WEEK
        hot = torch.nn.functional.one_hot(own.index[block], WEEK).to(torch.float64)
        parts.append(hot * own.values[block].unsqueeze(1) + shared)
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("profiles", [0, 1, 2])
def test_information_is_that_of_columns_written_out(profiles):
    generator = torch.Generator().manual_seed(profiles)

    def noise(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    columns = [Columns(noise(BLOCKS, CELLS, 3)), Columns(noise(BLOCKS, CELLS, 2))]
    for number in range(profiles):
        index = torch.randint(WEEK, (BLOCKS, CELLS), generator=generator)
        own = Columns(noise(BLOCKS, CELLS), index, noise(BLOCKS, CELLS))
        columns.insert(number * 2, own)
    sizes = [WEEK if own.index is not None else own.values.shape[-1] for own in columns]
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    places = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    weight = noise(CELLS).square()
    for block in range(BLOCKS):
        written = dense(columns, block)
        expected = written.mT @ (weight.unsqueeze(1) * written)
        found = information(columns, places, sum(sizes), weight, block)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        assert float((found - 1.001 * expected).abs().max()) > 1e-3
