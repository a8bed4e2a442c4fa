"""Where the public records are: beside the project, or where $DAGCAST_REAL_DATA says."""

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
RECORDS = Path(os.environ.get("DAGCAST_REAL_DATA", _BESIDE))
