"""A marketplace's folder of event files into a metric store."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd

from dagcast.ingest._tables import PROFIT, SESSIONS, TABLES
from dagcast_core.contract import ContractError, Experiment, ExperimentSet
from dagcast_core.data import (
    DataError,
    Ingestion,
    IngestReport,
    LinearMetric,
    MetricStore,
    SourceError,
    local_to_utc,
)

_REGION_FIELDS = "a list of objects with region, zone, neighbours and opened_on"


@final
@dataclass(frozen=True)
class Region:
    """A region of the marketplace.

    Attributes:
        name: its label.
        zone: IANA name of its clock.
        neighbours: regions that share a border.
        opened_at: instant from which on it was served, UTC.
    """

    name: str
    zone: str
    neighbours: tuple[str, ...]
    opened_at: pd.Timestamp


def ingest_marketplace(
    store_folder: Path | str, events_folder: Path | str
) -> tuple[IngestReport, ...]:
    """Reads a folder of event files into a store, all of them or, where one is wrong, none.

    The folder holds ``sessions.parquet`` and, where there are any, ``shifts``, ``spend``,
    ``coupons``, ``fares``, ``weather`` and ``calendar`` (each as .parquet or .csv), with
    ``regions.json`` beside them or in the folder above. Rows of regions it does not name, and
    sessions, shifts, spend and coupons before a region opened, are quarantined. Where there
    is no such file, every region is accepted.

    Metrics: sessions, eta, prime_time, rides, revenue, driver_pay; driver_hours (shifts split over
    hours); incentive_spend; coupon_spend; base_fare; temperature, precipitation (the forecast until
    the observation is known); hour_of_week, holiday, local_event; profit, where all its parts are.
    In an hour with sessions anywhere, a region without rows had none: 0. Hours before a region
    opened, outside the history, or without a session anywhere are missing: NaN. ``eta`` and
    ``prime_time`` are NaN in an hour of no sessions, too.

    Args:
        store_folder: of the metric store; made if needed.
        events_folder: holds the files.

    Returns:
        One report per file found, in the order of the tables.

    Raises:
        SourceError: sessions are absent, or a file is not Parquet or CSV, or lacks a column.
        DataError: ``regions.json`` is not what it should be, or the store is damaged.
    """
    folder = Path(events_folder)
    regions = read_regions(folder)
    names = tuple(region.name for region in regions)
    since = {region.name: region.opened_at.isoformat() for region in regions}
    items = []
    for table in TABLES:
        source = _file(folder, table.name)
        if source is None:
            continue
        # What is not in the log of coupons was not given, as long as sessions were logged.
        like = SESSIONS.name if table.empty == "zero" else None
        labels = {"region": names} if regions else None
        # Calendar, weather and fares are there before a region opens; its business is not.
        opening = since if table.revision == "add" else {}
        items.append(Ingestion(table, source, labels, like=like, since=opening))
    if not items or items[0].spec is not SESSIONS:
        raise SourceError(
            f"the event files in {folder}",
            "sessions.parquet or sessions.csv among them",
            "other files only" if items else "none",
            "Name the folder that holds them.",
        )
    store = MetricStore(store_folder)
    return store.ingest_all(items, derived=_derived(store, items))


def read_regions(events_folder: Path | str) -> tuple[Region, ...]:
    """Reads ``regions.json`` in a folder of event files, or in the folder above it.

    ``opened_on`` is a date, whose 00:00 UTC counts, or an instant.

    Returns:
        The regions in the file's order; none where there is no such file.

    Raises:
        DataError: the file is damaged, names a region twice, an unknown zone or neighbour.
    """
    folder = Path(events_folder)
    places = (folder / "regions.json", folder.parent / "regions.json")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return ()
    entries = _json(path, _REGION_FIELDS)
    if not isinstance(entries, list) or not entries:
        raise _unexpected(path, _REGION_FIELDS, f"{type(entries).__name__} without entries")
    found = tuple(_region(path, entry) for entry in entries)
    names = [region.name for region in found]
    for name in names:
        if names.count(name) > 1:
            raise _unexpected(path, "every region once", f"{name!r} twice")
    for region in found:
        for neighbour in region.neighbours:
            if neighbour not in names:
                raise _unexpected(
                    path, "neighbours among the regions", f"{neighbour!r} beside {region.name!r}"
                )
    return found


def read_experiments(events_folder: Path | str) -> ExperimentSet:
    """Reads and validates ``experiments.json``: a list of experiments, or a set with covariances.

    Returns:
        The experiments; an empty set where there is no such file.

    Raises:
        DataError: the file is damaged, or an experiment in it is not valid.
    """
    path = Path(events_folder) / "experiments.json"
    if not path.is_file():
        return ExperimentSet()
    expected = "a list of experiments, or an object with experiments and covariances"
    content = _json(path, expected)
    try:
        if isinstance(content, list):
            return ExperimentSet(tuple(Experiment.from_json(entry) for entry in content))
        if isinstance(content, dict):
            return ExperimentSet.from_json(content)
    except (ContractError, KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _unexpected(path, expected, what) from error
    raise _unexpected(path, expected, type(content).__name__)


def _derived(store: MetricStore, items: list[Ingestion]) -> tuple[LinearMetric, ...]:
    named = {metric.name for item in items for metric in item.spec.metrics}
    return (PROFIT,) if set(PROFIT.terms) <= named | set(store.metrics()) else ()


def _file(folder: Path, name: str) -> Path | None:
    places = (folder / f"{name}.parquet", folder / f"{name}.csv")
    return next((place for place in places if place.exists()), None)


def _region(path: Path, entry: Any) -> Region:
    try:
        name, zone = str(entry["region"]), str(entry["zone"])
        neighbours = tuple(str(other) for other in entry["neighbours"])
        opened = pd.Timestamp(entry["opened_on"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected(path, _REGION_FIELDS, f"{entry!r}") from error
    # Looking the zone up now refuses a misspelt one before any event is read.
    local_to_utc(pd.DatetimeIndex([]), zone)
    if pd.isna(opened):
        raise _unexpected(path, "a date in opened_on", f"none for {name!r}")
    opened = opened.tz_localize("UTC") if opened.tzinfo is None else opened.tz_convert("UTC")
    return Region(name, zone, neighbours, opened)


def _json(path: Path, expected: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _unexpected(path, expected, f"content that is not JSON ({error})") from error


def _unexpected(path: Path, expected: str, found: str) -> DataError:
    return DataError(
        f"cannot read {path}: expected {expected}; found {found}. Correct the file; nothing was "
        f"changed on disk."
    )
