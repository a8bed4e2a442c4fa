"""Folders of event files into metric stores, whatever tables the packages declare."""

from dagcast.ingest._events import ingest_events, table_files
from dagcast.ingest._experiments import read_experiments

__all__ = ["ingest_events", "read_experiments", "table_files"]
