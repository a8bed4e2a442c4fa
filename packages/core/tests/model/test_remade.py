"""A model made again with other hyperparameters."""

import copy
import inspect
from dataclasses import dataclass, field

import pytest

from dagcast_core import Model
from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import HyperparameterError, hyperparameters_of, remade

SITE = Dim("site")
LOAD, WAIT = (Quantity(name, dims=(SITE, HOUR), unit="1") for name in ("load", "wait"))


@dataclass(frozen=True)
class Choices:
    """Of the model below."""

    steepness: float = field(default=1.0, metadata={"range": (0.5, 2.0), "unit": "min"})
    turns: int = field(default=2, metadata={"range": (1, 5), "unit": "1"})
    learned: bool = True


class Queue(Model):
    contract = Contract(model="queue", version="1.0.0", inputs=(LOAD,), outputs=(WAIT,))

    def __init__(self, sites, hyperparameters=Choices(), *, floor=0.1):
        super().__init__()
        self.hyperparameters = hyperparameters
        self.floor = floor
        self.slope = self.parameter(SITE, labels=sites, start=hyperparameters.steepness)

    def forward(self, load):
        return load * self.slope


@pytest.fixture
def queue():
    return Queue(("A", "B"), floor=0.3)


def test_only_what_is_named_differs(queue):
    made = remade(queue, {"steepness": 2, "turns": 3})
    assert hyperparameters_of(made) == {"steepness": 2.0, "turns": 3, "learned": True}
    assert made.slope.value().tolist() == [2.0, 2.0]
    assert (made.floor, list(made.slope.indexes["site"])) == (0.3, ["A", "B"])
    assert hyperparameters_of(queue)["steepness"] == 1.0
    # Once more, on a copy: what was set before stays.
    again = remade(copy.deepcopy(made), {"learned": False})
    assert hyperparameters_of(again) == {"steepness": 2.0, "turns": 3, "learned": False}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steepness": 3.0}, "expected 0.5 to 2 min; found 3"),
        ({"steepness": "steep"}, "expected a number; found 'steep'"),
        ({"turns": 2.5}, "expected a whole number; found 2.5"),
        ({"turns": True}, "expected a whole number; found True"),
        ({"learned": 1}, "expected true or false; found 1"),
        ({"stepness": 1.0}, "one of steepness, turns, learned, such as 'steepness'"),
    ],
)
def test_what_the_model_does_not_take_is_refused(queue, values, words):
    with pytest.raises(HyperparameterError, match=words):
        remade(queue, values)


def test_help_shows_what_a_model_takes():
    assert list(inspect.signature(Queue).parameters) == ["sites", "hyperparameters", "floor"]
