"""Collections wire by name, nest without a trace, and can be taken apart."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import AssemblyError, Contract, Dim, Input, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, ModelError
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")


def test_order_follows_the_data_not_the_list(kit):
    models = kit.collection()
    assert models.order.index("bonus") < models.order.index("supply") < models.order.index("pickup")
    assert models.order.index("demand") < models.order.index("pickup")


def test_contract_is_the_union(kit):
    contract = kit.collection().contract
    assert set(contract.input_names) == {"hour_of_week", "spend"}
    assert set(contract.output_names) == {"sessions", "extra_hours", "driver_hours", "eta"}


def test_nested_equals_flat(kit, history):
    flat = kit.collection()
    leaves = flat.leaves
    # Demand and pickup in one group: supply then lies both after and before that group.
    nested = ModelCollection(
        [
            ModelCollection([leaves["pickup"], leaves["demand"]], "riders"),
            ModelCollection([leaves["supply"], leaves["bonus"]], "drivers"),
        ]
    )
    assert nested.order == flat.order or set(nested.order) == set(flat.order)
    one, other = flat.predict(history), nested.predict(history)
    for quantity in one:
        assert torch.equal(one[quantity].tensor, other[quantity].tensor)


def test_all_problems_are_raised_at_once(kit):
    class Wrong(Model):
        contract = Contract(
            "wrong",
            inputs=(Quantity("eta", (REGION, HOUR), "s"),),
            outputs=(Quantity("sessions", (REGION, HOUR), "session/h"),),
        )

        def forward(self, eta):
            return eta

    with pytest.raises(AssemblyError) as caught:
        ModelCollection([kit.Pickup(), kit.Supply(), kit.Bonus(), kit.Demand(), Wrong()])
    text = str(caught.value)
    assert len(caught.value.problems) >= 2
    assert "sessions" in text
    assert "unit" in text


def test_two_members_of_one_name_are_refused(kit):
    with pytest.raises(AssemblyError, match="demand"):
        ModelCollection([kit.Demand(), kit.Demand()])


def test_cycle_is_shown_as_a_path(kit):
    class Back(Model):
        contract = Contract("back", inputs=(kit.ETA,), outputs=(kit.SESSIONS,))

        def forward(self, eta):
            return eta

    with pytest.raises(AssemblyError, match=r"pickup.*eta.*back|back.*sessions.*pickup"):
        ModelCollection([kit.Pickup(), Back(), kit.Supply(), kit.Bonus()])


def test_replace_swaps_one_member_at_any_depth(kit, history):
    nested = ModelCollection(
        [ModelCollection([kit.Pickup(), kit.Demand()], "riders"), kit.Supply(), kit.Bonus()]
    )
    other = kit.Demand()
    other.level.assign(1.0)
    swapped = nested.replace("demand", other)
    assert swapped.leaves["demand"] is other
    assert swapped.leaves["supply"] is nested.leaves["supply"]
    before, after = nested.predict(history)["sessions"], swapped.predict(history)["sessions"]
    assert after.mean().item() < before.mean().item()


def test_unknown_member_is_refused_with_the_known_ones(kit):
    with pytest.raises(ModelError, match="no member 'eta'; it has .*pickup"):
        kit.collection().freeze("eta")


def test_freeze_holds_the_parameters_of_a_member(kit):
    models = kit.collection()
    models.freeze("demand")
    held = {name for name, parameter in models.named_parameters() if not parameter.requires_grad}
    assert held == {"_members.demand.level.raw", "_members.demand.profile.raw"}
    models.unfreeze()
    assert all(parameter.requires_grad for parameter in models.parameters())


def test_isolated_member_reads_true_inputs(kit, history):
    models = kit.collection()
    alone = models.predict(history, isolated=["pickup"])["eta"]
    true = models.leaves["pickup"].predict(history)["eta"]
    assert torch.equal(alone.tensor, true.tensor)
    assert not torch.equal(alone.tensor, models.predict(history)["eta"].tensor)


def test_actuals_replace_observed_cells_only(kit, history):
    models = kit.collection()
    gap = history["sessions"].tensor.clone()
    gap[0, 0] = float("nan")
    happened = Panel({"sessions": history["sessions"].with_tensor(gap)})
    plain = models.predict(history)
    mixed = models.predict(history, actuals={"demand": happened})
    assert mixed["sessions"].tensor[0, 0] == plain["sessions"].tensor[0, 0]
    assert torch.equal(mixed["sessions"].tensor[:, 1:], history["sessions"].tensor[:, 1:])


def test_residuals_reproduce_what_happened(kit, history):
    models = kit.collection()
    residuals = models.residuals(history)
    assert set(residuals) == {"sessions", "driver_hours", "eta"}
    again = models.predict(history, residuals=residuals)
    for quantity in residuals:
        np.testing.assert_allclose(again[quantity].numpy(), history[quantity].numpy(), rtol=1e-9)


def test_residuals_of_some_members_can_be_taken_alone(kit, history):
    models = kit.collection()
    some = models.residuals(history).only(models.outputs_of("demand"))
    again = models.predict(history, residuals=some)
    np.testing.assert_allclose(again["sessions"].numpy(), history["sessions"].numpy(), rtol=1e-9)
    assert not np.allclose(again["driver_hours"].numpy(), history["driver_hours"].numpy())


def test_multiplicative_residual_keeps_counterfactuals_positive(kit, history):
    models = kit.collection()
    residuals = models.residuals(history)
    nothing = history.assign(spend=history["spend"] * 0.0)
    hours = models.predict(nothing, residuals=residuals)["driver_hours"]
    assert bool((hours.tensor >= 0).all())


@pytest.mark.parametrize(("sums", "factor"), [(("driver_hours",), 1.0), ((), 2.0)])
def test_hours_not_foreseen_in_a_sum_leave_the_bonus_as_it_is(kit, history, sums, factor):
    """Twice the hours that were forecast do not make a bonus twice as good, if so declared."""
    models = kit.collection()
    models.leaves["supply"].sums = sums
    forecast = models.predict(history)
    happened = Panel({**history, "driver_hours": forecast["driver_hours"] * 2.0})
    residuals = models.residuals(happened)
    nothing = happened.assign(spend=happened["spend"] * 0.0)
    some, none = (models.predict(panel, residuals=residuals) for panel in (happened, nothing))
    np.testing.assert_allclose(
        some["driver_hours"].numpy(), happened["driver_hours"].numpy(), rtol=1e-12
    )
    added = some["driver_hours"] - none["driver_hours"]
    bought = some["extra_hours"] - none["extra_hours"]
    np.testing.assert_allclose(added.numpy(), factor * bought.numpy(), rtol=1e-9, atol=1e-9)


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
