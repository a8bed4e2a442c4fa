"""Public records through the same stages: rides of New York in 2015, trips of one evening."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import GateError, ProjectError, UsageError
from dagcast.figures import number
from dagcast.workflow.common._horizon import Moments, at_origin, read_context
from dagcast.workflow.common._result import Progress, Result, ResultTable, silent
from dagcast.workflow.stages._ingest import TableCounts, table_counts

if TYPE_CHECKING:
    from dagcast_core.data import MetricStore
    from dagcast_core.model import ModelCollection
    from dagcast_core.tensor import Panel

VARIABLE = "DAGCAST_REAL_DATA"

# The boroughs that are judged; the others have hours without any ride in most of the night.
BOROUGHS = ("Manhattan", "Brooklyn", "Queens", "Bronx")
ORIGINS = 8
HORIZON = 168
HISTORY_WEEKS = 16
HVFHV = "hvfhv_2020-04-30_10k.csv"
ZONES = "taxi_zone_lookup.csv"

_DEMAND = "sessions"
_HOUR = pd.Timedelta(hours=1)


@final
@dataclass(frozen=True)
class BoroughErrors:
    """MASE of one borough on the same cells.

    Attributes:
        borough: its name.
        model: of the demand model.
        seasonal_naive: of repeating the week before.
        four_week_mean: of the mean of the last four weeks by hour of week.
    """

    borough: str
    model: float
    seasonal_naive: float
    four_week_mean: float


@final
@dataclass(frozen=True)
class RealResult(Result):
    """What became of public records.

    Attributes:
        source: which records.
        counts: rows read, accepted and set aside, with the oddities that were found.
        errors: backtest by borough; empty where no model was fitted.
        origins: first hours of the backtest's windows.
        cubes: metric -> (labels, hours, cells with a value, total or mean).
    """

    source: str
    counts: tuple[TableCounts, ...]
    errors: tuple[BoroughErrors, ...] = ()
    origins: tuple[str, ...] = ()
    cubes: tuple[tuple[str, str, str, str, str], ...] = ()

    @property
    def better(self) -> int:
        """Boroughs in which the model beats the four-week mean."""
        return sum(row.model < row.four_week_mean for row in self.errors)

    def tables(self) -> tuple[ResultTable, ...]:
        rows = tuple(
            (
                item.table,
                f"{item.read:,}",
                f"{item.accepted:,}",
                f"{sum(item.quarantined.values()) + item.duplicates:,}",
            )
            for item in self.counts
        )
        columns = ("table", "read", "accepted", "set aside")
        tables = [ResultTable(f"Rows of {self.source}", columns, rows)]
        found = tuple(
            (f"{item.table}: {text}",)
            for item in self.counts
            for text in (
                *(f"{count:,} rows set aside: {why}" for why, count in item.quarantined.items()),
                *item.notes,
            )
        )
        if found:
            tables.append(ResultTable("What was odd, and what became of it", (), found))
        if self.cubes:
            head = ("metric", "labels", "hours", "cells", "total or mean")
            tables.append(ResultTable("Cubes", head, self.cubes))
        if self.errors:
            table = tuple(
                (
                    row.borough,
                    number(row.model),
                    number(row.seasonal_naive),
                    number(row.four_week_mean),
                )
                for row in self.errors
            )
            note = (
                f"{len(self.origins)} weekly origins from {self.origins[0][:10]}, {HORIZON} hours "
                f"ahead; the model beats the 4-week mean in {self.better} of {len(self.errors)}"
            )
            titles = ("borough", "MASE of our model", "seasonal naive", "4-week hour-of-week mean")
            tables.append(ResultTable("Backtest", titles, table, note))
        return tuple(tables)

    def next_command(self) -> str:
        return "dagcast demo"


def demo_real(source: str, *, data: Path | None = None, progress: Progress = silent) -> RealResult:
    """Run the stages that public records allow.

    Args:
        source: ``uber-nyc-2015`` (rides by borough and hour: ingest, fit the demand model,
            backtest) or ``hvfhv`` (trip records: ingest into zone x hour cubes).
        data: folder of the records; ``$DAGCAST_REAL_DATA`` by default.
        progress: told what is going on.

    Raises:
        UsageError: the folder is not there, or holds none of these records.
        GateError: no installed package serves the demand model.
    """
    folder = real_data(data)
    if source == "hvfhv":
        return trips(folder)
    return rides_by_borough(folder, progress=progress)


def real_data(data: Path | None = None) -> Path:
    """The folder of public records.

    Raises:
        UsageError: it is not there.
    """
    named = data or (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
    if named is None or not named.is_dir():
        raise UsageError(
            "a folder of public records",
            "none named" if named is None else f"no folder at {named}",
            f"Name it with --data FOLDER or in {VARIABLE}.",
        )
    return named


def rides_by_borough(
    folder: Path,
    *,
    origins: int = ORIGINS,
    boroughs: tuple[str, ...] = BOROUGHS,
    progress: Progress = silent,
) -> RealResult:
    """Fit the installed demand model to New York's rides of 2015 and backtest it.

    Rides stand in for sessions, which nobody recorded. Weather after an origin is not known then:
    the usual weather of the hour of day stands in. Both benchmarks see the same history.

    Args:
        folder: of the records.
        origins: weekly origins, the last a week before the end.
        boroughs: which to fit and compare.
        progress: told what is going on.
    """
    from dagcast.ingest import ingest_uber_2015
    from dagcast_core.data import MetricStore
    from dagcast_core.evaluate import backtest, rolling_origins
    from dagcast_core.model import fit

    progress("reading rides, weather and calendar", None)
    with tempfile.TemporaryDirectory() as temporary:
        reports = ingest_uber_2015(temporary, folder)
        store = MetricStore(temporary)
        span = store.spans()["uber_rides"]
        # Boroughs keep their own midnight; weeks begin and end with it.
        times = Moments(
            span.end + _HOUR, span.start, span.end, span.end + _HOUR, span.end + HORIZON * _HOUR
        )
        starts = rolling_origins(times.last, count=origins, horizon=HORIZON)
        warm: list[Any] = [None]

        def forecast(origin: pd.Timestamp) -> "Panel":
            progress(f"backtest from {origin:%Y-%m-%d}", starts.index(origin) / len(starts))
            past = at_origin(times, origin, HORIZON, HISTORY_WEEKS)
            model = demand_model(boroughs)
            fit(model, _demand_history(store, past, model, boroughs), warm=warm[0])
            warm[0] = model
            return model.predict(_demand_context(store, past, model, boroughs)).select(_DEMAND)

        actual = store.read(
            [_DEMAND], start=times.first, end=times.last, as_of=times.as_of, regions=boroughs
        )
        report = backtest(forecast, actual, origins=starts, quantities=(_DEMAND,), horizon=HORIZON)
    by_region = report.by_region(_DEMAND)
    errors = tuple(
        BoroughErrors(
            name,
            by_region[name].mase,
            by_region[name].seasonal_naive,
            by_region[name].hour_of_week_mean,
        )
        for name in boroughs
    )
    return RealResult(
        "Uber in New York, January to June 2015",
        table_counts(reports),
        errors,
        tuple(origin.isoformat() for origin in report.origins),
    )


def trips(folder: Path) -> RealResult:
    """Read trip records into cubes by pickup zone and hour, in a store that is then dropped."""
    from dagcast.ingest import ingest_hvfhv
    from dagcast_core.data import MetricStore

    with tempfile.TemporaryDirectory() as temporary:
        report = ingest_hvfhv(temporary, folder / HVFHV, folder / ZONES)
        store = MetricStore(temporary)
        (span,) = store.spans().values()
        names = list(store.metrics())
        panel = store.read(names, start=span.start, end=span.end, as_of=span.known_until + _HOUR)
        cubes = tuple(_cube(panel[name], store.metrics()[name].unit) for name in names)
    return RealResult(
        "high-volume trip records of 30 April 2020", table_counts([report]), cubes=cubes
    )


def demand_model(boroughs: tuple[str, ...]) -> "ModelCollection":
    """The installed model of demand alone, found by the quantity that it makes.

    Raises:
        GateError: no installed package makes it, or its package is broken.
    """
    from dagcast.assembly import build_models, check_assembly
    from dagcast.plugins import load_plugins
    from dagcast_core.model import ModelCollection

    plugins = load_plugins()
    assembly = check_assembly(plugins, externals=None, required=(), levers=())
    making = [item for item in assembly.registrations if _DEMAND in item.contract.output_names]
    if not making:
        raise GateError(
            f"an installed package whose model makes {_DEMAND!r}",
            "none",
            "Install dagcast-sessions.",
        )
    package = making[0].distribution
    own = tuple(item for item in assembly.registrations if item.distribution == package)
    # Other packages need not even be whole: their models take no part.
    alone = replace(assembly, registrations=own, problems=())
    return ModelCollection(build_models(plugins, alone, {"region": boroughs}), name="demand")


def _demand_history(
    store: "MetricStore", past: Moments, model: "ModelCollection", boroughs: tuple[str, ...]
) -> "Panel":
    names = [q for q in (*model.contract.input_names, _DEMAND) if q in store.metrics()]
    panel = store.read(names, start=past.first, end=past.last, as_of=past.as_of, regions=boroughs)
    return _with_levers(panel, model, _DEMAND)


def _demand_context(
    store: "MetricStore", past: Moments, model: "ModelCollection", boroughs: tuple[str, ...]
) -> "Panel":
    names = [q for q in model.contract.input_names if q in store.metrics()]
    panel, _ = read_context(store, past, names, regions=boroughs)
    return _with_levers(panel, model, "temperature")


def _with_levers(panel: "Panel", model: "ModelCollection", like: str) -> "Panel":
    # The records know of no coupons: none were given, as far as anybody can tell.
    missing = [name for name in model.contract.input_names if name not in panel]
    if set(missing) - {"coupon_spend"}:
        raise ProjectError(
            f"a demand model that reads {', '.join(panel)} and coupon_spend",
            f"one that also reads {', '.join(missing)}",
            "These records do not hold it; choose another model.",
        )
    return panel.assign({name: panel[like].zeros_like().named(name) for name in missing})


def _cube(tensor: Any, unit: str) -> tuple[str, str, str, str, str]:
    known = ~tensor.tensor.double().isnan()
    values = tensor.tensor.double()[known]
    total = values.sum() if unit.endswith("/h") else values.mean()
    kind = unit.removesuffix("/h") if unit.endswith("/h") else f"{unit} on average"
    labels, hours = (len(tensor.index(dim)) for dim in tensor.dims)
    return (
        tensor.name,
        str(labels),
        str(hours),
        f"{int(known.sum()):,}",
        f"{float(total):,.1f} {kind}",
    )
