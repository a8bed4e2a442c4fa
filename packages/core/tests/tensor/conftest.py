"""The algebra is tested on one thread, as it is used, with labels that its tests share."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dagcast_core.tensor import IndexTensor

sys.path.insert(0, str(Path(__file__).parent))
from tensor_cases import HOURS, REGIONS


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def rides():
    return IndexTensor(np.arange(18.0).reshape(3, 6), {"region": REGIONS, "hour": HOURS}, "rides")
