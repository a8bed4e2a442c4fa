import tempfile
from datetime import UTC, datetime
from pathlib import Path

from dagcast.journal import Entry, Journal

with tempfile.TemporaryDirectory() as folder:
    journal = Journal(Path(folder) / "log.jsonl")
    journal.append(Entry(datetime(2026, 1, 5, tzinfo=UTC), who="ana", event="ingested"))
    assert [entry.event for entry in journal.entries()] == ["ingested"]
    assert journal.plans() == {}
    assert journal.examine().damage is None  # no line was edited, moved or cut off
