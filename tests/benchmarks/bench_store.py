"""The metric store at event scale: beside hand-written SQL, a memory-mapped copy, one load.

    python bench_store.py [MILLIONS]

Twenty million ride events (300 regions, 8 weeks, Parquet) become cubes of four metrics in three
ways, each in a process of its own, whose peak memory is that of the process: by a statement as a
person would write it in DuckDB, by the statement that the declaration generates, and by the whole
ingestion with its keys, checks, quarantine and two times. Times are the CPU's, user and system,
of all threads; the least of three, because other work on the machine can only add to it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import torch
from _harness import Row, limit, report
from safetensors.torch import load_file, save_file

from dagcast_core.data import (
    Column,
    CubeQuantity,
    CubeTable,
    EventTable,
    Ingestion,
    MetricSpec,
    MetricStore,
    Sum,
    ledger_sql,
)

MILLIONS = 20.0
REGIONS, WEEKS = 300, 8
START = "2026-01-05"
RUNS = 3
RIDES = EventTable(
    name="rides",
    columns=(
        Column("ride_id", "integer"),
        Column("region", "text"),
        Column("requested_at", "instant"),
        Column("known_at", "instant"),
        Column("fare", "number", lower=0, upper=1e4),
        Column("wait", "number", lower=0, upper=600),
        Column("miles", "number", lower=0, upper=1e4),
    ),
    time="requested_at",
    known_at="known_at",
    key=("ride_id",),
    dims={"region": "region"},
    empty="zero",
    sums=(Sum("fares", "fare"), Sum("waits", "wait"), Sum("driven", "miles")),
    metrics=(
        MetricSpec("rides", "n", "ride/h"),
        MetricSpec("revenue", "fares", "USD/h"),
        MetricSpec("wait", "waits", "min", per="n"),
        MetricSpec("miles", "driven", "mi/h"),
    ),
)
# What somebody would write who needs the four cubes and nothing else.
BY_HAND = """
COPY (
    SELECT region, date_trunc('hour', requested_at) AS hour, COUNT(*) AS rides,
        SUM(fare) AS revenue, AVG(wait) AS wait, SUM(miles) AS miles
    FROM read_parquet('{events}') GROUP BY ALL ORDER BY region, hour
) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def write_events(path: Path, count: int) -> None:
    """Rides at all hours, a hundredth of them known days later."""
    hours = WEEKS * 168
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false; SELECT setseed(0.5)")
        connection.execute(
            f"COPY (SELECT i AS ride_id, 'region-' || (hash(i) % {REGIONS})::INTEGER AS region, "
            f"moment AS requested_at, moment + "
            f"to_seconds(60 + CAST(hash(i + 2) % 3000 AS INTEGER) + "
            f"CASE WHEN i % 100 = 0 THEN 200000 ELSE 0 END) AS known_at, "
            f"round(4 + 30 * (hash(i + 3) % 1000) / 1000, 2) AS fare, "
            f"round(10 * (hash(i + 4) % 1000) / 1000, 2) AS wait, "
            f"round(20 * (hash(i + 5) % 1000) / 1000, 1) AS miles FROM (SELECT range AS i, "
            f"TIMESTAMPTZ '{START} 00:00:00+00' + to_seconds(CAST(range * {hours * 3600.0} / "
            f"{count} AS BIGINT)) AS moment FROM range({count}))) TO '{path}' "
            f"(FORMAT parquet, COMPRESSION zstd)"
        )


def by_hand(events: Path, folder: Path) -> None:
    """The cubes by a statement of a person."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(BY_HAND.format(events=events, target=folder / "cubes.parquet"))


def by_declaration(events: Path, folder: Path) -> None:
    """The ledger by the generated statement, as a warehouse runs it, and into a store."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW rides AS SELECT * FROM read_parquet('{events}')")
        rows = connection.execute(ledger_sql(RIDES, "duckdb")).fetchdf()
    MetricStore(folder / "store").append_components(RIDES, rows)


def by_ingestion(events: Path, folder: Path) -> None:
    """All that an ingestion does."""
    MetricStore(folder / "store").ingest(RIDES, events)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "hand": by_hand, "declaration": by_declaration, "ingestion": by_ingestion,
}  # fmt: skip


def in_a_process(way: str, events: Path, folder: Path) -> tuple[float, float]:
    """CPU seconds and peak megabytes of a way, beyond what importing takes of the former."""
    found = subprocess.run(
        [sys.executable, __file__, way, str(events), str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said: dict[str, float] = json.loads(found.stdout)
    return said["seconds"], said["megabytes"]


def one_way(way: str, events: str, folder: str) -> int:
    """What runs in the process: the way, and what it took."""
    begin = _cpu()
    WAYS[way](Path(events), Path(folder))
    said = {
        "seconds": _cpu() - begin,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(said))
    return 0


def events_to_cubes(folder: Path, count: int) -> list[Row]:
    """The three ways, in turns."""
    events = folder / "rides.parquet"
    write_events(events, count)
    size = f"{events.stat().st_size / 1e6:.0f} MB"
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    megabytes: dict[str, float] = {}
    for turn in range(RUNS):
        for way in WAYS:
            target = folder / f"{way}-{turn}"
            target.mkdir()
            used, peak = in_a_process(way, events, target)
            seconds[way].append(used)
            megabytes[way] = max(peak, megabytes.get(way, 0.0))
    best = {way: min(found) for way, found in seconds.items()}
    what = f"{count / 1e6:g} million events to four cubes"
    beside = {way: f"{found:.1f} s" for way, found in best.items()} | {"file": size}
    _require_equal(folder, "declaration-0", "ingestion-0")
    return [
        limit(f"{what}: the generated statement over one by hand",
              best["declaration"] / best["hand"], at_most=1.25, unit="x", beside=beside),
        limit("the same, peak memory", megabytes["declaration"], at_most=1024, unit="MB",
              beside={"hand": f"{megabytes['hand']:.0f} MB"}),
        limit(f"{what}: the whole ingestion over the same", best["ingestion"] / best["hand"],
              at_most=3.0, unit="x", beside=beside),
        limit("the same, peak memory", megabytes["ingestion"], at_most=1024, unit="MB",
              beside={"hand": f"{megabytes['hand']:.0f} MB"}),
    ]  # fmt: skip


def _require_equal(folder: Path, *names: str) -> None:
    """Both stores say what the statement by hand says."""
    frame = pd.read_parquet(folder / "hand-0" / "cubes.parquet")
    hours = pd.date_range(START, periods=WEEKS * 168, freq="h", tz="UTC")
    for name in names:
        panel = MetricStore(folder / name / "store").read(
            ["rides", "revenue", "wait", "miles"],
            start=hours[0], end=hours[-1], as_of="2027-01-01", cache=False,
        )  # fmt: skip
        regions = list(panel["rides"].index("region"))
        for metric in panel:
            wide = frame.pivot(index="region", columns="hour", values=metric).loc[regions]
            there = ~wide.isna().to_numpy()
            np.testing.assert_allclose(
                panel[metric].tensor.numpy()[there], wide.to_numpy()[there], rtol=1e-9
            )


def warm_read(folder: Path) -> Row:
    """Four metrics of 300 regions and eight weeks as float32, the second time, and from a copy."""
    hours = pd.date_range(START, periods=1344, freq="h", tz="UTC", unit="us")
    names = [f"m{number}" for number in range(4)]
    table = CubeTable(
        name="cube", time="hour", dims={"region": "region"}, absent="missing", known_at="known_at",
        quantities=tuple(CubeQuantity(name, "1/h") for name in names), late_after_hours=1e6,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    regions = [f"region-{number:03d}" for number in range(REGIONS)]
    frame = pd.DataFrame(
        {"region": np.repeat(regions, 1344), "hour": np.tile(hours, REGIONS)}
        | {name: rng.normal(size=REGIONS * 1344) for name in names}
    )
    frame["known_at"] = frame["hour"] + pd.Timedelta(hours=1)
    store = MetricStore(folder / "warm")
    store.ingest(table, frame)
    window = {"start": hours[0], "end": hours[-1], "as_of": "2027-01-01"}

    def ours() -> object:
        panel = store.read(names, **window)
        return [panel[name].tensor.float() for name in names]

    ours()
    copy = folder / "copy.safetensors"
    kept = store.read(names, **window)
    save_file({name: kept[name].tensor.contiguous() for name in names}, copy)

    def plain() -> object:
        found = load_file(copy)
        return [found[name].float() for name in names]

    return _against("300 x 1,344 x 4 as float32, warm, over a memory-mapped copy", ours, plain, 2.0)


def one_day(folder: Path) -> Row:
    """A day of 20 regions beside 52 weeks, over ingesting all of them anew."""
    hours = pd.date_range(START, periods=53 * 168, freq="h", tz="UTC", unit="us")
    frame = _daily(hours, 300)
    year, day = frame[frame["hour"] < hours[52 * 168]], frame["hour"] >= hours[52 * 168]
    one = frame[day & (frame["hour"] < hours[52 * 168 + 24])]
    path, added = folder / "year.parquet", folder / "day.parquet"
    year.to_parquet(path)
    one.to_parquet(added)
    rebuilds, days = [], []
    for turn in range(RUNS):
        store = MetricStore(folder / f"year-{turn}")
        rebuilds.append(_seconds(lambda store=store: store.ingest(DAILY, path)))
        days.append(_seconds(lambda store=store: store.ingest(DAILY, added)))
    ratio = min(rebuilds) / min(days)
    return limit(
        "52 weeks of 300 regions anew, over one day more", ratio, at_least=50, unit="x",
        beside={"ingestion": f"{min(rebuilds):.2f} s", "day": f"{min(days) * 1e3:.0f} ms"},
    )  # fmt: skip


DAILY = CubeTable(
    name="daily", time="hour", dims={"region": "region"}, absent="missing", known_at="known_at",
    quantities=tuple(CubeQuantity(name, "1/h") for name in ("a", "b", "c", "d")),
    late_after_hours=1e6,
)  # fmt: skip


def _daily(hours: pd.DatetimeIndex, regions: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    count = len(hours) * regions
    frame = pd.DataFrame(
        {
            "region": np.tile([f"r{number:03d}" for number in range(regions)], len(hours)),
            "hour": np.repeat(hours, regions),
            **{name: rng.normal(size=count) for name in ("a", "b", "c", "d")},
        }
    )
    frame["known_at"] = frame["hour"].dt.floor("D") + pd.Timedelta(days=1, hours=1)
    return frame


def many_loads(folder: Path) -> list[Row]:
    """A year of 20 regions in 365 loads, read beside the same rows in one; what a load takes."""
    hours = pd.date_range(START, periods=365 * 24, freq="h", tz="UTC", unit="us")
    frame = _daily(hours, 20)
    many, once = MetricStore(folder / "many"), MetricStore(folder / "once")
    took = [
        _seconds(lambda day=day: many.ingest(DAILY, day))
        for _, day in frame.groupby(frame["hour"].dt.floor("D"))
    ]
    once.ingest(DAILY, frame)
    window = {"start": hours[0], "end": hours[-1], "as_of": "2028-01-01", "cache": False}
    read = ["a", "b", "c", "d"]
    first, last = float(np.median(took[:16])), float(np.median(took[-16:]))
    return [
        _against(
            "an as-of read after 365 daily loads, over one after one load",
            lambda: many.read(read, **window), lambda: once.read(read, **window), 1.5, rounds=10,
        ),
        limit("the 365th daily load over the first", last / first, unit="x",
              beside={"first": f"{first * 1e3:.0f} ms", "last": f"{last * 1e3:.0f} ms"}),
    ]  # fmt: skip


def many_deliveries(folder: Path) -> Row:
    """Sixty daily files of a thousand regions in one call, beyond reading their rows."""
    hours = pd.date_range(START, periods=60 * 24, freq="h", tz="UTC", unit="us")
    frame = _daily(hours, 1000)
    paths = []
    for number, (_, day) in enumerate(frame.groupby(frame["hour"].dt.floor("D"))):
        paths.append(folder / f"delivery-{number:02d}.parquet")
        day.to_parquet(paths[-1])
    listed = ", ".join(f"'{path}'" for path in paths)

    def reading() -> None:
        with duckdb.connect() as connection:
            connection.execute(
                f"CREATE TABLE held AS SELECT * FROM read_parquet([{listed}])"
            )  # as much as reading is

    read = _seconds(reading)
    store = MetricStore(folder / "deliveries")
    whole = _seconds(lambda: store.ingest_all([Ingestion(DAILY, path) for path in paths]))
    return limit(
        "1,000 regions x 60 deliveries: beyond reading", whole - read, at_most=5.0, unit="s",
        beside={"reading": f"{read:.2f} s"},
    )  # fmt: skip


def new_user(folder: Path) -> list[Row]:
    """From three regions' cube to a forecast, as the how-to page says it."""
    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root / "tests" / "end_to_end"))
    from test_data_pages import follow

    here = Path.cwd()
    os.chdir(folder)
    begin = time.perf_counter()
    try:
        # What the commands print is not the table's.
        with open(os.devnull, "w") as nowhere:
            kept, sys.stdout = sys.stdout, nowhere
            try:
                commands, _ = follow("hourly-aggregates.md")
            finally:
                sys.stdout = kept
    finally:
        os.chdir(here)
    minutes = (time.perf_counter() - begin) / 60
    needed = commands[: commands.index("forecast") + 1]
    declared = (folder / "city" / "sources" / "counts.toml").read_text().splitlines()
    lines = len([line for line in declared if line.strip()])
    what = "from three regions' cube to a forecast"
    return [
        limit(f"{what}: commands", len(needed), at_most=3),
        limit(f"{what}: lines of toml", lines, at_most=15),
        limit(f"{what}: minutes of the machine", minutes, at_most=5),
    ]


def _against(
    case: str,
    ours: Callable[[], object],
    plain: Callable[[], object],
    at_most: float,
    rounds: int = 40,
) -> Row:
    samples: list[list[float]] = [[], []]
    for _ in range(rounds):
        for place, run in enumerate((ours, plain)):
            samples[place].append(_seconds(run))
    mine, other = (float(np.median(found)) for found in samples)
    beside = {"plain": f"{other * 1e3:.2f} ms", "ours": f"{mine * 1e3:.2f} ms"}
    return limit(case, mine / other, at_most=at_most, unit="x", beside=beside)


def _seconds(run: Callable[[], Any]) -> float:
    begin = _cpu()
    run()
    return _cpu() - begin


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure, print the table, and return 1 if a target was missed."""
    if len(sys.argv) > 2:
        return one_way(*sys.argv[1:4])
    torch.set_num_threads(1)
    count = int(1e6 * (float(sys.argv[1]) if len(sys.argv) > 1 else MILLIONS))
    with tempfile.TemporaryDirectory(prefix="dagcast-bench-") as name:
        folder = Path(name)
        rows = [
            *events_to_cubes(folder, count),
            warm_read(folder),
            one_day(folder),
            *many_loads(folder),
            many_deliveries(folder),
            *new_user(folder),
        ]
    return report("The metric store at event scale, CPU seconds", rows)


if __name__ == "__main__":
    sys.exit(main())
