"""The metric store: events in, additive components with two times, panels as of a moment out.

Declare an event table once (`EventTable`, `Column`, `Sum`, `MetricSpec`), hand it to
`MetricStore.ingest` with a Parquet or CSV file or a frame, and read its metrics back with
`MetricStore.read(names, start=..., end=..., as_of=...)`. Sums are exact decimals, so results do not
depend on the order of rows, of sources, or on the number of threads.

Names are imported on first use: tables are declared, and claims compared, without pandas or DuckDB.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
