"""A model reads what it declares and returns what it declares."""

import pytest
import torch

from dagcast_core.contract import Contract, ContractError, Dim, Input, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelError
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")

X = Quantity("x", (REGION, HOUR), "1")
Z = Quantity("z", (REGION, HOUR), "1")
Y = Quantity("y", (REGION, HOUR), "1")


def data(values=((1.0, 2.0, 3.0),), name="x"):
    hours = [f"2025-01-06T0{i}:00Z" for i in range(len(values[0]))]
    import pandas as pd

    return IndexTensor(list(values), {"region": ["SFO"], "hour": pd.DatetimeIndex(hours)}, name)


class Double(Model):
    contract = Contract("double", inputs=(X,), outputs=(Y,))

    def forward(self, x):
        return 2 * x


def test_predict_names_the_output():
    assert Double().predict(Panel([data()]))["y"].tolist() == [[2.0, 4.0, 6.0]]


def test_forward_that_reads_an_undeclared_input_cannot_be_defined():
    with pytest.raises(ContractError, match="it reads z, which the contract does not declare"):

        class Reads(Model):
            contract = Contract("reads", inputs=(X,), outputs=(Y,))

            def forward(self, x, z):
                return x + z


def test_forward_that_ignores_a_declared_input_cannot_be_defined():
    with pytest.raises(ContractError, match="declares z, which it does not read"):

        class Ignores(Model):
            contract = Contract("ignores", inputs=(X, Z), outputs=(Y,))

            def forward(self, x):
                return x


def test_only_declared_inputs_reach_forward():
    seen = []

    class Spy(Model):
        contract = Contract("spy", inputs=(X,), outputs=(Y,))

        def forward(self, **inputs):
            seen.append(set(inputs))
            return inputs["x"]

    Spy().predict(Panel([data(), data(name="z")]))
    assert seen == [{"x"}]


def test_missing_input_suggests_a_near_name():
    with pytest.raises(ModelError, match=r"double needs 'x' \[region, hour\].*Near: 'x_'"):
        Double().predict(Panel([data(name="x_")]))


def test_input_of_other_dims_is_refused():
    with pytest.raises(ModelError, match=r"reads 'x' with the dims \(region, hour\)"):
        Double().predict(Panel([data().sel(region="SFO")]))


def test_outputs_must_be_those_of_the_contract():
    class Other(Model):
        contract = Contract("other", inputs=(X,), outputs=(Y,))

        def forward(self, x):
            return {"z": x}

    with pytest.raises(ModelError, match="missing y; undeclared z"):
        Other().predict(Panel([data()]))


def test_input_is_brought_into_the_declared_order_of_dims():
    turned = data().transpose("hour", "region")
    given = Double().inputs_from(Panel([turned]))["x"]
    assert given.dims == ("region", "hour")
    assert torch.equal(given.tensor, turned.tensor.T)


def test_output_is_brought_into_the_declared_order_of_dims():
    class Turned(Model):
        contract = Contract("turned", inputs=(X,), outputs=(Y,))

        def forward(self, x):
            return x.transpose("hour", "region")

    assert Turned().predict(Panel([data()]))["y"].dims == ("region", "hour")


def test_optional_input_arrives_as_its_default():
    class Optional(Model):
        contract = Contract(
            "optional", inputs=(X, Input(Z, required=False, default=10.0)), outputs=(Y,)
        )

        def forward(self, x, z):
            return x + z

    assert Optional().predict(Panel([data()]))["y"].tolist() == [[11.0, 12.0, 13.0]]
    both = Panel([data(), data(name="z")])
    assert Optional().predict(both)["y"].tolist() == [[2.0, 4.0, 6.0]]


def test_lagged_input_is_the_value_of_earlier_steps():
    class Late(Model):
        contract = Contract("late", inputs=(Input(X, lag=2),), outputs=(Y,))

        def forward(self, x):
            return x

    assert Late().predict(Panel([data()]))["y"].tolist() == [[1.0, 1.0, 1.0]]
    longer = data(((1.0, 2.0, 3.0, 4.0),))
    assert Late().predict(Panel([longer]))["y"].tolist() == [[1.0, 1.0, 1.0, 2.0]]


def test_labels_are_not_lost_inside_forward():
    class Careless(Model):
        contract = Contract("careless", inputs=(X,), outputs=(Y,))

        def forward(self, x):
            return x + x.isel(hour=[0, 1])

    with pytest.raises(ValueError, match="exact"):
        Careless().predict(Panel([data()]))


def test_parameters_have_their_dotted_names():
    class Nested(torch.nn.Module):
        pass

    class Named(Model):
        contract = Contract("named", inputs=(X,), outputs=(Y,))

        def __init__(self):
            super().__init__()
            self.slope = self.parameter(REGION, labels=["SFO"], start=2.0)

        def forward(self, x):
            return self.slope * x

    model = Named()
    assert [name for name, _ in model.labelled_parameters()] == ["slope"]
    assert model.slope.label == "slope"


def test_parameter_cannot_hide_a_method_of_every_model():
    class Hiding(Model):
        contract = Contract("hiding", outputs=(Y,))

        def __init__(self):
            super().__init__()
            self.half = self.parameter()

        def forward(self):
            return self.half.value()

    with pytest.raises(ModelError, match="of Hiding cannot be called 'half'"):
        Hiding()


def test_parameter_of_two_dims_needs_labels_by_dim():
    with pytest.raises(ModelError, match="needs its labels by dim"):
        Double().parameter(REGION, HOUR, labels=["SFO"])


@pytest.mark.parametrize(
    ("make", "found"),
    [(lambda x: (x,), "tuple"), (lambda x: [x], "list"), (lambda x: None, "None")],
)
def test_outputs_without_names_are_refused_with_what_to_return(make, found):
    class Unnamed(Model):
        contract = Contract("unnamed", inputs=(X,), outputs=(Y,))

        def forward(self, x):
            return make(x)

    with pytest.raises(
        ModelError, match=rf"returned a {found}.*; .*a mapping by name, \{{'y': y\}}"
    ):
        Unnamed().predict(Panel([data()]))


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("join", "outer", "join of Odd is 'outer'; expected 'exact' or 'inner'"),
        ("memory", -1, "memory of Odd is -1; expected 0 or more steps"),
        ("sums", ("z",), r"sums of Odd names 'z'; expected outputs of its contract \(y\)"),
    ],
)
def test_attribute_that_nothing_could_act_on_cannot_be_defined(attribute, value, words):
    with pytest.raises(ContractError, match=words):
        type("Odd", (Double,), {attribute: value, "contract": Double.contract})


def test_parameter_that_starts_at_no_number_is_refused():
    with pytest.raises(ModelError, match="a parameter starts at nan; expected finite numbers"):
        Double().parameter(start=float("nan"))
