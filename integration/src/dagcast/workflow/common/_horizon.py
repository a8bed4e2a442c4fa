"""Which hours are history and which are to be decided, and what is known of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd

from dagcast.errors import ProjectError, UsageError
from dagcast.project import Project

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.data import MetricStore
    from dagcast_core.tensor import Panel

CLOCK = "hour_of_week"
# The table whose last hour says how far the marketplace's history goes.
HEARTBEAT = "sessions"
HOUR = pd.Timedelta(hours=1)


@final
@dataclass(frozen=True)
class Moments:
    """The times of one planning round, UTC.

    Attributes:
        as_of: what was known by then is used, nothing later.
        first: first hour of history.
        last: last hour of history.
        start: first hour to decide about.
        end: last hour to decide about.
    """

    as_of: pd.Timestamp
    first: pd.Timestamp
    last: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def hours(self) -> pd.DatetimeIndex:
        """Hours of the horizon."""
        return pd.date_range(self.start, self.end, freq="h", unit="us")


def at_origin(times: Moments, origin: pd.Timestamp, hours: int, weeks: int) -> Moments:
    """The times of a past round that begins at ``origin`` and knows nothing later."""
    first = max(times.first, origin - pd.Timedelta(weeks=weeks))
    return Moments(origin, first, origin - HOUR, origin, origin + hours * HOUR - HOUR)


def open_store(project: Project) -> "MetricStore":
    """The project's store.

    Raises:
        ProjectError: nothing was ingested yet.
    """
    from dagcast_core.data import MetricStore

    store = MetricStore(project.store)
    if not any(project.store.iterdir()) or not store.spans():
        raise ProjectError(
            f"metrics in the store {project.store}",
            "nothing",
            f"Run `dagcast ingest --project {project.folder}` first.",
        )
    return store


def moments(project: Project, store: "MetricStore") -> Moments:
    """The times that the settings ask for; by default the week after the last observed hour.

    Raises:
        ProjectError: the store holds less history than the settings need.
    """
    spans = store.spans()
    observed = spans.get(HEARTBEAT) or max(spans.values(), key=lambda span: span.rows)
    config = project.config
    start = observed.end + HOUR
    if config.data.as_of is not None:
        start = pd.Timestamp(config.data.as_of)
    if config.horizon.start is not None:
        start = pd.Timestamp(config.horizon.start)
    as_of = start if config.data.as_of is None else pd.Timestamp(config.data.as_of)
    last = min(start, as_of) - HOUR
    first = max(observed.start, last + HOUR - pd.Timedelta(weeks=config.data.history_weeks))
    if last - first < pd.Timedelta(weeks=3) - HOUR:
        raise ProjectError(
            "at least 3 weeks of history before the horizon",
            f"the store's {observed.start:%Y-%m-%d %H:%M} to {observed.end:%Y-%m-%d %H:%M} UTC "
            f"for a horizon from {start:%Y-%m-%d %H:%M}",
            "Ingest more history, or set [horizon] start in dagcast.toml.",
        )
    return Moments(as_of, first, last, start, start + config.horizon.hours * HOUR - HOUR)


def zones_of(project: Project) -> dict[str, str]:
    """The clock of every region, by IANA name, as far as the project's regions.json say."""
    zones: dict[str, str] = {}
    for path in sorted(project.events.glob("**/regions.json")):
        for entry in json.loads(path.read_text(encoding="utf-8")):
            zones[str(entry["region"])] = str(entry["zone"])
    return zones


def known_metrics(store: "MetricStore", names: Sequence[str]) -> list[str]:
    """Those of ``names`` that the store holds; latent quantities of models are not in it."""
    held = store.metrics()
    return [name for name in dict.fromkeys(names) if name in held]


def require_metrics(store: "MetricStore", names: Sequence[str], *, what: str) -> None:
    """Refuse names that the store does not hold.

    Raises:
        UsageError: names the nearest.
    """
    import difflib

    held = store.metrics()
    for name in names:
        if name not in held:
            near = difflib.get_close_matches(name, held, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else "Choose one of them."
            raise UsageError(f"{what} that the store holds ({', '.join(held)})", repr(name), advice)


def read_history(
    store: "MetricStore", times: Moments, names: Sequence[str], external: "Sequence[Quantity]"
) -> "Panel":
    """Metrics over the history as known at the data moment.

    Args:
        store: to read from.
        times: of the round.
        names: quantities; those the store does not hold are left out.
        external: those that no model makes. A model cannot leave out a cell of its inputs, so
            their missing cells, such as spend before a region opened, are filled; the outcomes
            of those cells stay missing and weigh nothing.
    """
    from dagcast_core.tensor import Panel

    panel = store.read(
        known_metrics(store, names), start=times.first, end=times.last, as_of=times.as_of
    )
    kept = {quantity.name for quantity in external}
    whole = {q.name: filled(panel[q.name], q) for q in external if q.name in panel}
    return Panel([whole[name] if name in kept else panel[name] for name in panel])


def filled(tensor: Any, quantity: "Quantity") -> Any:
    """Missing sums become 0; missing means the nearest known hour of the same region."""
    if not tensor.tensor.is_floating_point() or not bool(tensor.tensor.isnan().any()):
        return tensor
    if quantity.aggregated("hour") == "sum":
        return tensor.where(~tensor.isnan(), 0.0).named(tensor.name)
    import torch

    values = tensor.values(*tensor.dims).numpy()
    position = tensor.dims.index("hour")
    moved = pd.DataFrame(np.moveaxis(values, position, 0).reshape(values.shape[position], -1))
    known = moved.bfill().ffill().to_numpy().reshape(np.moveaxis(values, position, 0).shape)
    return tensor.with_tensor(torch.from_numpy(np.moveaxis(known, 0, position).copy()))


def read_context(
    store: "MetricStore",
    times: Moments,
    names: Sequence[str],
    *,
    decided: Sequence[str] = (),
    regions: Sequence[str] | None = None,
    zones: Mapping[str, str] | None = None,
) -> "tuple[Panel, tuple[str, ...]]":
    """What comes from outside over the horizon, as far as it was known.

    Args:
        store: to read from.
        times: of the round.
        names: quantities that the models need from outside.
        decided: those among them that somebody decided; a forecast of the past is conditional on
            the decisions that were taken, so they are read as they came out.
        regions: which ones; all of them by default.
        zones: clock of each region. The hour of the week needs no calendar where it is known.

    Returns:
        The panel, and the quantities for which the usual hour of day stands in, because nothing
        was known of them.
    """
    from dagcast_core.tensor import Panel

    tensors, assumed = [], []
    latest = max(span.known_until for span in store.spans().values()) + HOUR
    for name in known_metrics(store, names):
        as_of = latest if name in decided else times.as_of
        found = _read_one(store, name, times.start, times.end, as_of, regions)
        if found is None and name == CLOCK:
            found = _by_the_clock(store, times, regions, zones or {})
        if found is None or bool(found.tensor.isnan().any()):
            usual = _usual(store, name, times, regions)
            found = usual if found is None else found.where(~found.isnan(), usual)
            assumed.append(name)
        tensors.append(found.named(name))
    return Panel(tensors), tuple(assumed)


def _by_the_clock(
    store: "MetricStore",
    times: Moments,
    regions: Sequence[str] | None,
    zones: Mapping[str, str],
) -> Any:
    """Local hours of the week from the regions' clocks, or None where a clock is not known."""
    import torch

    from dagcast_core.data import hour_of_week
    from dagcast_core.tensor import IndexTensor

    seen = _read_one(store, CLOCK, times.last, times.last, times.as_of, regions)
    if seen is None or any(str(region) not in zones for region in seen.index("region")):
        return None
    rows = [hour_of_week(times.hours, zones[str(region)]) for region in seen.index("region")]
    values = torch.tensor(np.stack(rows), dtype=seen.dtype)
    return IndexTensor(values, {"region": seen.index("region"), "hour": times.hours}, CLOCK)


def _usual(store: "MetricStore", name: str, times: Moments, regions: Sequence[str] | None) -> Any:
    """Mean by hour of day over the last four weeks of history, laid over the horizon."""
    from dagcast_core.tensor import IndexTensor

    first = max(times.first, times.last + HOUR - pd.Timedelta(weeks=4))
    found = _read_one(store, name, first, times.last, times.as_of, regions)
    if found is None or not found.tensor.is_floating_point():
        # A mean of labels, such as hours of the week, is none.
        raise ProjectError(
            f"{name!r} for every hour from {times.start:%Y-%m-%d %H:%M} to "
            f"{times.end:%Y-%m-%d %H:%M} UTC",
            "hours without it",
            "Ingest a calendar that covers the horizon, or set [horizon] start in dagcast.toml.",
        )
    dims = (*(dim for dim in found.dims if dim != "hour"), "hour")
    frame = pd.DataFrame(found.values(*dims).numpy().reshape(-1, len(found.index("hour"))).T)
    by_hour = frame.groupby(pd.DatetimeIndex(found.index("hour")).hour).mean()
    by_hour = by_hour.fillna(frame.mean()).fillna(0.0)
    import torch

    values = by_hour.loc[times.hours.hour].to_numpy().T
    shape = [len(found.index(dim)) for dim in dims[:-1]]
    indexes = {dim: found.index(dim) for dim in dims[:-1]}
    return IndexTensor(
        torch.from_numpy(values.reshape(*shape, -1).copy()), {**indexes, "hour": times.hours}, name
    )


def _read_one(
    store: "MetricStore",
    name: str,
    start: Any,
    end: Any,
    as_of: Any,
    regions: Sequence[str] | None,
) -> Any:
    from dagcast_core.data import MissingCellsError

    try:
        return store.read([name], start=start, end=end, as_of=as_of, regions=regions)[name]
    except MissingCellsError:
        return None
