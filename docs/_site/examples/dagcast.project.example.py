import tempfile
from pathlib import Path

from dagcast.config import Config
from dagcast.project import create_project, open_project

with tempfile.TemporaryDirectory() as folder:
    create_project(Path(folder) / "north", Config(), who="ana")
    north = open_project(Path(folder) / "north", flags={"backtest.origins": "6"})
    assert north.config.backtest.origins == 6
    assert [entry.event for entry in north.journal.entries()] == ["created"]
