import tempfile
from pathlib import Path

import pandas as pd

from dagcast.plans import LeverShape, read_proposal

hours = pd.date_range("2026-01-05", periods=2, freq="h", tz="UTC")
shape = LeverShape("USD/h", {"region": pd.Index(["SFO", "LAX"]), "hour": hours}, "hour")
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "mine.csv"
    file.write_text("region,hour,usd\nSFO,2026-01-05T01:00Z,12.5\n")
    frame = read_proposal(file, {"spend": shape})
assert frame[["lever", "region", "value"]].values.tolist() == [["spend", "SFO", 12.5]]
