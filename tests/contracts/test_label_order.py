"""Whoever hands in data in another order of labels gets the same forecast."""

import numpy as np
import pytest
import torch

from dagcast.assembly import build_models, check_assembly
from dagcast.plugins import load_plugins
from dagcast_testing import Setting

torch.set_num_threads(1)

LABELS = {
    "region": ("north", "south", "west"),
    "incentive": ("guarantee", "streak"),
}
PLUGINS = load_plugins()
MODELS = {
    model.contract.model: model for model in build_models(PLUGINS, check_assembly(PLUGINS), LABELS)
}


def shuffled(tensor, seed):
    """The same labels and values in another order along every dim."""
    random = np.random.default_rng(seed)
    return tensor.isel({dim: random.permutation(size) for dim, size in tensor.sizes.items()})


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_any_operands_labels_changes_no_forecast(name):
    model = MODELS[name]
    panel = Setting(model, LABELS, 48).panel(7)
    with torch.no_grad():
        expected = model.predict(panel)
        for seed, operand in enumerate(panel):
            got = model.predict(panel.assign({operand: shuffled(panel[operand], seed)}))
            assert list(got) == list(expected)
            for output in expected:
                again = got[output].reindex_like(expected[output])
                assert set(again.dims) == set(expected[output].dims)
                torch.testing.assert_close(
                    again.values(*expected[output].dims), expected[output].tensor
                )


def test_every_team_is_tried():
    assert len(MODELS) >= 5
