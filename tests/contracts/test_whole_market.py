"""All teams' models together obey the model contract too: a collection is a model."""

import pytest
import torch

from dagcast.assembly import build_collection
from dagcast.plugins import load_plugins
from dagcast_core.model import ModelCollection
from dagcast_testing import ModelContract, explained

torch.set_num_threads(1)

LABELS = {
    "region": ("north", "south", "west"),
    "incentive": ("guarantee", "streak"),
}


class TestMarketContract(ModelContract):
    """The assembled marketplace keeps labels, reads no future and is repeatable."""

    @pytest.fixture
    def model(self) -> ModelCollection:
        return build_collection(load_plugins(), LABELS)

    @pytest.fixture
    def labels(self):
        return LABELS

    @explained("Members claim effects with their other inputs held; the whole adds further paths.")
    def test_effects_have_the_declared_sign_in_every_region(self) -> None:
        """Spend lowers profit directly and may raise it through rides."""
