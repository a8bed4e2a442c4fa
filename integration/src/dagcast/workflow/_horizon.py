"""Which hours are history and which are to be decided, and what is known of them."""

from collections.abc import Sequence
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
        return pd.date_range(self.start, self.end, freq="h")


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
    filled = {q.name: _filled(panel[q.name], q) for q in external if q.name in panel}
    return Panel([filled[name] if name in kept else panel[name] for name in panel])


def _filled(tensor: Any, quantity: "Quantity") -> Any:
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
    store: "MetricStore", times: Moments, names: Sequence[str], *, as_of: Any = None
) -> "tuple[Panel, tuple[str, ...]]":
    """Exogenous quantities over the horizon: forecasts and calendar, else last week again.

    Args:
        store: to read from.
        times: of the round.
        names: quantities that the models need from outside.
        as_of: another data moment, as for looking back.

    Returns:
        The panel, and the quantities that repeat the week before because nothing was known.
    """
    from dagcast_core.tensor import Panel

    as_of = times.as_of if as_of is None else as_of
    week = pd.Timedelta(weeks=1)
    tensors, repeated = [], []
    for name in known_metrics(store, names):
        found = _read_one(store, name, times.start, times.end, as_of)
        if found is None or bool(found.tensor.isnan().any()):
            earlier = _repeated(store, name, times, as_of, week)
            found = earlier if found is None else found.where(~found.isnan(), earlier)
            repeated.append(name)
        tensors.append(found)
    return Panel(tensors), tuple(repeated)


def _repeated(
    store: "MetricStore", name: str, times: Moments, as_of: Any, week: pd.Timedelta
) -> Any:
    # Whole weeks back until the hours lie in the history.
    weeks = 1
    while times.end - weeks * week > times.last:
        weeks += 1
    found = _read_one(store, name, times.start - weeks * week, times.end - weeks * week, as_of)
    if found is None:
        raise ProjectError(
            f"{name!r} for the horizon or the week before it",
            "an integer quantity with missing hours",
            "Ingest a calendar that covers the horizon.",
        )
    return found.relabel(hour=found.index("hour") + weeks * week).named(name)


def _read_one(store: "MetricStore", name: str, start: Any, end: Any, as_of: Any) -> Any:
    from dagcast_core.data import MissingCellsError

    try:
        return store.read([name], start=start, end=end, as_of=as_of)[name]
    except MissingCellsError:
        return None
