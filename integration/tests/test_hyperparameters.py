"""Hyperparameters in dagcast.toml: by package or model, within their declared ranges."""

from dataclasses import dataclass, field

import pytest

from dagcast.config import Config, config_text, load_config
from dagcast.errors import ConfigError
from dagcast.hyperparameters import tuned
from dagcast_core import Model, ModelCollection
from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR
from dagcast_core.model import hyperparameters_of

SITE = Dim("site")
A, B, C = (Quantity(name, dims=(SITE, HOUR), unit="1") for name in "abc")


@dataclass(frozen=True)
class Choices:
    """Of both models."""

    spread: float = field(default=0.1, metadata={"range": (0.01, 1.0), "unit": "1"})


@dataclass(frozen=True)
class More:
    """Of the second."""

    spread: float = field(default=0.2, metadata={"range": (0.01, 1.0), "unit": "1"})
    trip: float = field(default=15.0, metadata={"range": (5.0, 60.0), "unit": "min"})


class First(Model):
    contract = Contract(model="first", version="1.0.0", inputs=(A,), outputs=(B,))

    def __init__(self, hyperparameters=Choices()):
        super().__init__()
        self.hyperparameters = hyperparameters

    def forward(self, a):
        return a * 2


class Second(Model):
    contract = Contract(model="second", version="1.0.0", inputs=(B,), outputs=(C,))

    def __init__(self, hyperparameters=More()):
        super().__init__()
        self.hyperparameters = hyperparameters

    def forward(self, b):
        return b + 1


def models():
    return {"team": [ModelCollection([First(), Second()], "both")]}


def values(found):
    (collection,) = found["team"]
    return {name: hyperparameters_of(leaf) for name, leaf in collection.leaves.items()}


def test_a_value_goes_to_the_model_that_has_it():
    found = values(tuned(models(), {"team": {"trip": 33}, "first": {"spread": 0.5}}))
    assert found == {"first": {"spread": 0.5}, "second": {"spread": 0.2, "trip": 33.0}}
    assert values(tuned(models(), {})) == values(models())


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"team": {"trip": 99.0}}, r"trip in \[models.team\] .* to be 5 to 60 min; found 99"),
        ({"team": {"trap": 9.0}}, "'trap' of none. Did you mean 'trip'"),
        ({"team": {"spread": 0.5}}, r"Say \[models.first\] or \[models.second\]"),
        ({"tean": {"trip": 9.0}}, "a package or a model .*Did you mean 'team'"),
    ],
)
def test_what_no_model_takes_is_refused(chosen, words):
    with pytest.raises(ConfigError, match=words):
        tuned(models(), chosen)


def test_they_are_settings_like_others(tmp_path):
    config = Config(models={"eta": {"trip": 33.0, "learned": True}})
    (tmp_path / "dagcast.toml").write_text(config_text(config))
    assert load_config(tmp_path / "dagcast.toml") == config
