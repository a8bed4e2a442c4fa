import tempfile
from pathlib import Path

from dagcast.sources import propose
from dagcast_core.contract import Dim, Quantity
from dagcast_core.dims import HOUR

parcels = Quantity("parcels", (Dim("site"), HOUR), "parcel/h")
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "scans.csv"
    file.write_text("site,at,parcels\nnorth,2025-01-06T00:00Z,4\nnorth,2025-01-06T01:00Z,7\n")
    # What `dagcast init --from scans.csv` writes, with what is unsure in comments.
    print(propose(str(file), {"parcels": parcels}, {}))
