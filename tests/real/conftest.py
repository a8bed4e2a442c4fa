"""Where the real data is; tests that need it skip, saying so, where it is absent."""

import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

# Tests import the modules beside them, as the script of figures does.
sys.path.insert(0, str(Path(__file__).parent))

from _records import RECORDS  # noqa: E402


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data sets, which are not part of the project."""
    if not (RECORDS / "uber_nyc_2015_borough_hour.parquet").is_file():
        pytest.skip(f"no real data in {RECORDS}; set DAGCAST_REAL_DATA to the folder that holds it")
    return RECORDS
