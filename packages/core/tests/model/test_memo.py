"""Results of unchanged branches are used again, and only those."""

import copy

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")


class Counting(Model):
    contract = Contract(
        "counting",
        inputs=(Quantity("x", (REGION, HOUR), "1"),),
        outputs=(Quantity("y", (REGION, HOUR), "1"),),
    )

    def __init__(self):
        super().__init__()
        self.slope = self.parameter(start=2.0)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.slope * x


def small(values=(1.0, 2.0), name="x"):
    hours = pd.date_range("2025-01-06", periods=len(values), freq="h", tz="UTC")
    return IndexTensor([list(values)], {"region": ["SFO"], "hour": hours}, name)


def test_unchanged_branch_is_not_run_again():
    model = Counting()
    models, panel = ModelCollection([model]), Panel([small()])
    with torch.no_grad():
        first, second = models.predict(panel)["y"], models.predict(panel)["y"]
    assert model.calls == 1
    assert torch.equal(first.tensor, second.tensor)


def test_changed_parameter_or_input_is_noticed():
    model = Counting()
    models, panel = ModelCollection([model]), Panel([small()])
    with torch.no_grad():
        models.predict(panel)
        model.slope.assign(3.0)
        assert models.predict(panel)["y"].tolist() == [[3.0, 6.0]]
        panel["x"].tensor[0, 0] = 5.0
        assert models.predict(panel)["y"].tolist() == [[15.0, 6.0]]


def test_results_with_a_gradient_are_never_reused():
    model = Counting()
    models, panel = ModelCollection([model]), Panel([small()])
    for _ in range(2):
        models.predict(panel)["y"].tensor.sum().backward()
    assert model.slope.raw.grad.item() == pytest.approx(6.0)


def test_copy_of_a_collection_computes_by_itself(kit, history):
    models = kit.collection()
    other = copy.deepcopy(models)
    other.leaves["demand"].level.assign(1.0)
    assert not torch.equal(
        models.predict(history)["sessions"].tensor, other.predict(history)["sessions"].tensor
    )
