"""Which hours are history and which are to be decided, and what is known of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd

from dagcast.errors import ProjectError, UsageError
from dagcast.project import Project, logged
from dagcast.standing import Held
from dagcast.workflow.common._sources import known_quantities

if TYPE_CHECKING:
    from dagcast.plugins import Plugins
    from dagcast_core.contract import Calendar, Quantity
    from dagcast_core.data import MetricStore
    from dagcast_core.tensor import Panel

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
    """The project's store as it is now: one command reads one content, whatever is ingested.

    Raises:
        ProjectError: nothing was ingested yet, or the store is another than the log tells of.
    """
    from dagcast_core.data import MetricStore

    store = MetricStore(project.store).pinned()
    require_logged(project, store)
    if not any(project.store.iterdir()) or not store.spans():
        raise ProjectError(
            f"metrics in the store {project.store}",
            "nothing",
            f"Run `dagcast ingest --project {project.folder}` first.",
        )
    return store


def require_logged(project: Project, store: "MetricStore") -> None:
    """Refuse a store that was changed as a whole, all its digests made right again.

    Raises:
        ProjectError: it is not what the last ingestion led to, as the log says.
    """
    last = project.logged_store()
    if last is not None and store.manifest_id != last:
        raise ProjectError(
            f"the store {project.store} as the last ingestion left it ({last[:12]})",
            f"another one ({store.manifest_id[:12]})",
            "If an ingestion or `dagcast data accept` was killed or is under way, run it again, "
            "which logs what entered; otherwise restore store/store.json from a copy.",
        )
    copies = store.copies_id
    if copies and logged(project.journal.entries(), "copies") not in (None, copies):
        raise ProjectError(
            f"the merged ledgers in {project.store} as the last ingestion left them",
            f"others ({copies[:12]})",
            "If an ingestion was killed or is under way, run it again; otherwise remove the folder "
            "store/compacted, which holds copies alone.",
        )


def observed_span(project: Project, store: "MetricStore") -> Any:
    """First and last hour of the table that says how far history goes."""
    spans, heartbeat = store.spans(), project.config.data.heartbeat
    named = spans.get(heartbeat) if heartbeat else None
    # A forecast or a calendar reaches into days that nobody has observed.
    ahead = {name for name, table in store.tables().items() if table.foreseeable}
    seen = [span for name, span in spans.items() if name not in ahead] or list(spans.values())
    return named or max(seen, key=lambda span: span.rows)


def moments(project: Project, store: "MetricStore") -> Moments:
    """The times that the settings ask for; by default the week after the last observed hour.

    Raises:
        ProjectError: the store holds less history than the settings need.
    """
    config, observed = project.config, observed_span(project, store)
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


def zones_by_dim(
    project: Project, plugins: "Plugins", labels: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, str]]:
    """The clock of labels, IANA name by dim and label.

    The settings say it, else files beside the events (a later folder replaces what an earlier one
    said), else the zone of the source that the labels come from.

    Args:
        project: the project.
        plugins: which read the files.
        labels: of the store, by dim.
    """
    config = project.config
    zones: dict[str, dict[str, str]] = {}
    for settings in config.sources.values():
        for dim in settings.dims:
            for label in (labels or {}).get(dim, ()):
                zones.setdefault(dim, {}).setdefault(label, settings.zone)
    below = sorted(path for path in project.events.glob("**/") if path.is_dir())
    for folder in dict.fromkeys((project.events, *below)):
        for dim, found in plugins.labels(folder).items():
            zones.setdefault(dim, {}).update(found.zones)
    for dim, said in config.labels.items():
        if said.zone is not None:
            zones.setdefault(dim, {}).update(dict.fromkeys((labels or {}).get(dim, ()), said.zone))
        zones.setdefault(dim, {}).update(said.zones)
    return zones


def countries_by_dim(
    project: Project, zones: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """The country of labels whose clock is known: as the settings say, else where the zone lies."""
    from dagcast_core.data import zone_country

    found: dict[str, dict[str, str]] = {}
    for dim, clocks in zones.items():
        said = project.config.labels.get(dim)
        for label, zone in clocks.items():
            own = None if said is None else said.holidays_of.get(label, said.holidays)
            country = own or zone_country(zone)
            if country is not None:
                found.setdefault(dim, {})[label] = country
    return found


def clocks_of(
    project: Project,
    plugins: "Plugins",
    store: "MetricStore",
    quantities: "Iterable[Quantity] | None" = None,
) -> "Clocks":
    """Quantities that follow from the clocks and countries of the labels in the store.

    Args:
        project: whose settings say clocks and countries.
        plugins: which declare the calendars.
        store: whose labels have them.
        quantities: that are asked for; all that models know by default.
    """
    zones = zones_by_dim(project, plugins, store.labels())
    asked = known_quantities(plugins).values() if quantities is None else quantities
    return Clocks(
        {calendar.quantity: calendar for calendar in plugins.calendars},
        {quantity.name: quantity for quantity in asked},
        zones,
        countries_by_dim(project, zones),
    )


def held_by(project: Project, plugins: "Plugins", store: "MetricStore") -> Held:
    """What the project's store offers to models."""
    clocks, labels = clocks_of(project, plugins, store), store.labels()
    given = frozenset(name for name in clocks.calendars if clocks.gives(name, labels))
    return Held(frozenset(store.metrics()), given)


def zones_of(project: Project) -> dict[str, str]:
    """The clock of every label that has one, whatever its dim."""
    from dagcast.plugins import load_plugins
    from dagcast_core.data import MetricStore

    plugins = load_plugins(disable=project.config.disable)
    held = MetricStore(project.store).labels() if project.config.sources else {}
    return {
        label: zone
        for labels in zones_by_dim(project, plugins, held).values()
        for label, zone in labels.items()
    }


@final
@dataclass(frozen=True)
class Clocks:
    """Quantities that need no table where the clocks of labels are known.

    Attributes:
        calendars: by quantity.
        quantities: their declarations, which say along which dim labels have clocks.
        zones: IANA name by dim and label.
        countries: code by dim and label, for those that follow from a country besides.
    """

    calendars: "Mapping[str, Calendar]"
    quantities: "Mapping[str, Quantity]"
    zones: Mapping[str, Mapping[str, str]]
    countries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def gives(self, name: str, labels: Mapping[str, Sequence[str]]) -> bool:
        """Whether every label has what a quantity by the clock follows from."""
        dim = self._dim(name)
        if dim is None or not labels.get(dim):
            return False
        known = [self.zones.get(dim, {})]
        if self.calendars[name].by_country:
            known.append(self.countries.get(dim, {}))
        return all(label in found for found in known for label in labels[dim])

    def _dim(self, name: str) -> str | None:
        """The one dim of labels that a quantity by the clock has."""
        if name not in self.calendars or name not in self.quantities:
            return None
        dims = [dim.name for dim in self.quantities[name].dims if dim.kind == "label"]
        return dims[0] if len(dims) == 1 else None

    def read(self, store: "MetricStore", name: str, start: pd.Timestamp, end: pd.Timestamp) -> Any:
        """A quantity by the clock for every label in the store; None where one has no clock."""
        import torch

        from dagcast_core.tensor import IndexTensor

        held = store.labels()
        dim = self._dim(name)
        if dim is None or not self.gives(name, held):
            return None
        quantity, calendar, labels = self.quantities[name], self.calendars[name], held[dim]
        hours = pd.date_range(start, end, freq="h", unit="us")
        rows = [
            calendar.of(hours, self.zones[dim][label], self.countries[dim][label])
            if calendar.by_country
            else calendar.of(hours, self.zones[dim][label])
            for label in labels
        ]
        values = torch.tensor(np.stack(rows), dtype=getattr(torch, quantity.dtype))
        return IndexTensor(values, {dim: pd.Index(list(labels)), "hour": hours}, name)


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
    store: "MetricStore",
    times: Moments,
    names: Sequence[str],
    external: "Sequence[Quantity]",
    clocks: Clocks | None = None,
) -> "Panel":
    """Metrics over the history as known at the data moment.

    Args:
        store: to read from.
        times: of the round.
        names: quantities; those the store does not hold are left out.
        external: those that no model makes. A model cannot leave out a cell of its inputs, so
            their missing cells, such as spend before a label did business, are filled; the outcomes
            of those cells stay missing and weigh nothing.
        clocks: give what the store holds no table of.
    """
    from dagcast_core.tensor import Panel

    panel = store.read(
        known_metrics(store, names), start=times.first, end=times.last, as_of=times.as_of
    )
    kept = {quantity.name for quantity in external}
    whole = {q.name: filled(panel[q.name], q) for q in external if q.name in panel}
    ticked = [
        found
        for name in names
        if clocks is not None and name not in panel
        if (found := clocks.read(store, name, times.first, times.last)) is not None
    ]
    return Panel([*(whole[name] if name in kept else panel[name] for name in panel), *ticked])


def filled(tensor: Any, quantity: "Quantity") -> Any:
    """Missing sums become 0; missing means the nearest known hour of the same labels."""
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
    clocks: Clocks | None = None,
) -> "tuple[Panel, tuple[str, ...]]":
    """What comes from outside over the horizon, as far as it was known.

    Args:
        store: to read from.
        times: of the round.
        names: quantities that the models need from outside.
        decided: those among them that somebody decided; a forecast of the past is conditional on
            the decisions that were taken, so they are read as they came out.
        clocks: give what the store does not say of the horizon, such as the hour of the week.

    Returns:
        The panel, and the quantities for which the usual hour of day stands in, because nothing
        was known of them.
    """
    from dagcast_core.tensor import Panel

    tensors, assumed = [], []
    latest = max(span.known_until for span in store.spans().values()) + HOUR
    held = store.metrics()
    for name in dict.fromkeys(names):
        as_of = latest if name in decided else times.as_of
        found = _read_one(store, name, times.start, times.end, as_of) if name in held else None
        if found is None and clocks is not None:
            found = clocks.read(store, name, times.start, times.end)
        if found is None and name not in held:
            continue
        if found is None or bool(found.tensor.isnan().any()):
            usual = _usual(store, name, times)
            found = usual if found is None else found.where(~found.isnan(), usual)
            assumed.append(name)
        tensors.append(found.named(name))
    return Panel(tensors), tuple(assumed)


def _usual(store: "MetricStore", name: str, times: Moments) -> Any:
    """Mean by hour of day over the last four weeks of history, laid over the horizon."""
    from dagcast_core.tensor import IndexTensor

    first = max(times.first, times.last + HOUR - pd.Timedelta(weeks=4))
    found = _read_one(store, name, first, times.last, times.as_of)
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


def _read_one(store: "MetricStore", name: str, start: Any, end: Any, as_of: Any) -> Any:
    from dagcast_core.data import MissingCellsError

    try:
        return store.read([name], start=start, end=end, as_of=as_of)[name]
    except MissingCellsError:
        return None
