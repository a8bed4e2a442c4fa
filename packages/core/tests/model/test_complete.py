"""Missing cells are filled where they are inputs, and left out where they are compared."""

import numpy as np
import pytest
import torch

from dagcast_core.model import fit


def test_missing_cells_are_left_out_and_inputs_filled(kit, history):
    rng = np.random.default_rng(1)
    gaps = {}
    for name in ("sessions", "eta", "driver_hours", "spend"):
        values = history[name].tensor.clone()
        values[torch.tensor(rng.random(tuple(values.shape)) < 0.1)] = float("nan")
        gaps[name] = history[name].with_tensor(values)
    models = kit.collection()
    report = fit(models, history.assign(gaps))
    assert report.converged
    np.testing.assert_allclose(
        models.leaves["pickup"].elasticity.value().tensor.detach().numpy(), 0.5, atol=0.05
    )


def test_region_without_data_follows_the_pool(kit, history):
    values = history["eta"].tensor.clone()
    values[3] = float("nan")
    models = kit.collection()
    fit(models, history.assign(eta=history["eta"].with_tensor(values)))
    elasticity = models.leaves["pickup"].elasticity.value().tensor.detach()
    assert elasticity[3].item() == pytest.approx(elasticity[:3].mean().item(), abs=1e-3)
