"""Loops that are lagged in time run step by step."""

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Input, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, ModelError
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")


def small(values=(1.0, 2.0), name="x"):
    hours = pd.date_range("2025-01-06", periods=len(values), freq="h", tz="UTC")
    return IndexTensor([list(values)], {"region": ["SFO"], "hour": hours}, name)


A = Quantity("a", (REGION, HOUR), "1")
B = Quantity("b", (REGION, HOUR), "1")
DRIVE = Quantity("drive", (REGION, HOUR), "1")


class First(Model):
    contract = Contract("first", inputs=(DRIVE, Input(B, lag=2)), outputs=(A,))

    def forward(self, drive, b):
        return drive + 0.5 * b


class Second(Model):
    contract = Contract("second", inputs=(A,), outputs=(B,))

    def forward(self, a):
        return 0.8 * a


def test_lagged_loop_equals_explicit_recursion():
    rng = np.random.default_rng(3)
    drive = rng.normal(size=20)
    loop = ModelCollection([Second(), First()])
    panel = Panel([small(drive, "drive"), small([4.0] * 20, "b")])
    found = loop.predict(panel)["b"].numpy()[0]
    expected = []
    for step, value in enumerate(drive):
        earlier = expected[step - 2] if step >= 2 else 4.0
        expected.append(0.8 * (value + 0.5 * earlier))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_gradient_flows_through_a_lagged_loop():
    loop = ModelCollection([Second(), First()])
    drive = small([1.0] * 6, "drive")
    drive = drive.with_tensor(drive.tensor.requires_grad_())
    b = loop.predict(Panel([drive, small([0.0] * 6, "b")]))["b"]
    (slope,) = torch.autograd.grad(b.tensor[0, 4], drive.tensor)
    np.testing.assert_allclose(
        slope[0].numpy(), [0.8 * 0.4**2, 0, 0.8 * 0.4, 0, 0.8, 0], rtol=1e-12
    )


def test_lagged_loop_without_a_first_value_says_what_is_missing():
    with pytest.raises(ModelError, match="what it was before the first step"):
        ModelCollection([Second(), First()]).predict(Panel([small([1.0] * 4, "drive")]))
