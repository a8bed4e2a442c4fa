import json
import tempfile
from pathlib import Path

from dagcast.ingest import read_experiments, table_files
from dagcast_marketplace import TABLES

print(table_files(TABLES))  # which files may lie in events/, and which columns they need
with tempfile.TemporaryDirectory() as events:
    assert len(read_experiments(events).experiments) == 0  # none is no error
    (Path(events) / "experiments.json").write_text(json.dumps([]))
    assert len(read_experiments(events).experiments) == 0
