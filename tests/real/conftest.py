"""Where the real data is; tests that need it skip, saying so, where it is absent."""

import os
import sys
from pathlib import Path

import pytest
import torch

from dagcast_core.data import MetricStore

torch.set_num_threads(1)

# Tests import the modules beside them, as the script of figures does.
sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("DAGCAST_REAL_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data sets, which are not part of the project."""
    if not (DATA / "uber_nyc_2015_borough_hour.parquet").is_file():
        pytest.skip(f"no real data in {DATA}; set DAGCAST_REAL_DATA to the folder that holds it")
    return DATA


@pytest.fixture
def store(tmp_path: Path) -> MetricStore:
    return MetricStore(tmp_path / "store")
