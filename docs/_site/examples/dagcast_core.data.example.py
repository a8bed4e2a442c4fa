import tempfile
from pathlib import Path

from dagcast_core.data import Column, EventTable, MetricSpec, MetricStore, Sum

TIPS = EventTable(
    name="tips",
    columns=(
        Column("tip_id", "integer"),
        Column("region", "text"),
        Column("given_at", "instant"),
        Column("booked_at", "instant"),
        Column("usd", "number", lower=0),
    ),
    time="given_at",
    known_at="booked_at",
    key=("tip_id",),
    dims={"region": "region"},
    zone="UTC",
    empty="zero",
    sums=(Sum("usd", "usd"),),
    metrics=(MetricSpec("tips", "usd", "USD/h"),),
)

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "tips.csv"
    file.write_text(
        "tip_id,region,given_at,booked_at,usd\n"
        "1,SFO,2026-01-05 08:10,2026-01-05 08:11,2.0\n"
        "2,SFO,2026-01-05 08:40,2026-01-07 09:00,3.0\n"
    )
    store = MetricStore(Path(folder) / "store")
    store.ingest(TIPS, file)
    hour = {"start": "2026-01-05T08:00Z", "end": "2026-01-05T08:00Z"}
    # The second tip was known two days later only.
    then = store.read(["tips"], **hour, as_of="2026-01-06T00:00Z")
    now = store.read(["tips"], **hour, as_of="2026-01-08T00:00Z")
    assert (then["tips"].tensor.item(), now["tips"].tensor.item()) == (2.0, 5.0)
