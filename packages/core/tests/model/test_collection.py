"""Collections wire by name, nest without a trace, and can be taken apart."""

import pytest
import torch

from dagcast_core.contract import AssemblyError, Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, ModelError
from dagcast_core.tensor import Panel

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
