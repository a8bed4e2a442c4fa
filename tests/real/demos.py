"""Public records through the same stages as a marketplace's own: New York's rides and trips.

Run as `nox -s real`, or alone with the folder of public records in $DAGCAST_REAL_DATA:
`python tests/real/demos.py [uber-nyc-2015] [hvfhv]`. Each prints what became of the rows, what was
odd about them, and what was made of them. Exits 2 without the records.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from _declared import declared_clocks, ingest_declared
from _records import RECORDS

from dagcast.figures import number
from dagcast.workflow import ResultTable
from dagcast.workflow.common._horizon import Moments, at_origin, read_context
from dagcast_core import IndexTensor, Panel, fit
from dagcast_core.data import IngestReport
from dagcast_core.evaluate import BacktestReport, backtest, rolling_origins
from dagcast_sessions import sessions_collection

# The boroughs that are judged; the others have hours without any ride in most of the night.
BOROUGHS = ("Manhattan", "Brooklyn", "Queens", "Bronx")
ORIGINS = 8
HORIZON = 168
HISTORY_WEEKS = 16

_DEMAND = "sessions"
_HOUR = pd.Timedelta(hours=1)

Reports = tuple[IngestReport, ...]


def uber_nyc_2015(folder: Path) -> tuple[ResultTable, ...]:
    """Rides of New York in the first half of 2015, forecast by the demand model."""
    reports, errors = rides_by_borough(folder)
    source = "Uber in New York, January to June 2015"
    return (*_rows(source, reports), backtest_table(errors))


def hvfhv(folder: Path) -> tuple[ResultTable, ...]:
    """Trip records of one evening as cubes by pickup zone and hour."""
    report, cubes = trip_cubes(folder)
    tables = _rows("high-volume trip records of 30 April 2020", [report])
    columns = ("metric", "labels", "hours", "cells", "total or mean")
    return (*tables, ResultTable("Cubes", columns, tuple(map(_cube, *zip(*cubes, strict=True)))))


DEMOS = {"uber-nyc-2015": uber_nyc_2015, "hvfhv": hvfhv}


def rides_by_borough(
    folder: Path, *, origins: int = ORIGINS, boroughs: tuple[str, ...] = BOROUGHS
) -> tuple[Reports, BacktestReport]:
    """Fit the demand model to New York's rides of 2015 and backtest it.

    Rides stand in for sessions, which nobody recorded. Weather after an origin is not known then:
    the usual weather of the hour of day stands in. Both benchmarks see the same history.

    Args:
        folder: of the records.
        origins: weekly origins, the last a week before the end.
        boroughs: which to fit and compare.

    Returns:
        What became of the rows, and the errors of a week ahead.
    """
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "project"
        store, found_rows = ingest_declared("uber_2015", project, folder)
        reports, clocks = tuple(found_rows.values()), declared_clocks(project)
        span = store.spans()["uber_rides"]
        # Boroughs keep their own midnight; weeks begin and end with it.
        times = Moments(
            span.end + _HOUR, span.start, span.end, span.end + _HOUR, span.end + HORIZON * _HOUR
        )
        starts = rolling_origins(times.last, count=origins, horizon=HORIZON)
        model = None

        def forecast(origin: pd.Timestamp) -> Panel:
            nonlocal model
            print(f"  backtest from {origin:%Y-%m-%d}", file=sys.stderr, flush=True)
            past = at_origin(times, origin, HORIZON, HISTORY_WEEKS)
            before, model = model, sessions_collection(boroughs)
            inputs = [q for q in model.contract.input_names if q in store.metrics()]
            history = store.read(
                [*inputs, _DEMAND],
                start=past.first, end=past.last, as_of=past.as_of, labels={"region": boroughs},
            )  # fmt: skip
            clock = {
                name: clocks.read(store, name, past.first, past.last).sel(region=list(boroughs))
                for name in ("hour_of_week", "holiday")
            }
            fit(model, _without_coupons(history.assign(clock)), warm=before)
            context, _ = read_context(store, past, [*inputs, *clock], clocks=clocks)
            context = _without_coupons(context).sel(region=list(boroughs))
            return model.predict(context).select(_DEMAND)

        actual = store.read(
            [_DEMAND],
            start=times.first,
            end=times.last,
            as_of=times.as_of,
            labels={"region": boroughs},
        )
        found = backtest(forecast, actual, origins=starts, quantities=(_DEMAND,), horizon=HORIZON)
    return reports, found


def trip_cubes(folder: Path) -> tuple[IngestReport, tuple[tuple[IndexTensor, str], ...]]:
    """Read trip records into cubes by pickup zone and hour.

    Returns:
        What became of the rows, and every metric with its unit.
    """
    with tempfile.TemporaryDirectory() as temporary:
        store, reports = ingest_declared("hvfhv", Path(temporary) / "project", folder)
        report = reports["hvfhv_trips"]
        (span,) = store.spans().values()
        units = {name: metric.unit for name, metric in store.metrics().items()}
        panel = store.read(
            list(units), start=span.start, end=span.end, as_of=span.known_until + _HOUR
        )
    return report, tuple((panel[name], unit) for name, unit in units.items())


def backtest_table(found: BacktestReport) -> ResultTable:
    """Errors by borough, and in how many of them the model is better than the four-week mean."""
    by_region = found.by_series(_DEMAND)
    better = sum(row.mase < row.hour_of_week_mean for row in by_region.values())
    return ResultTable(
        "Backtest",
        ("borough", "MASE of our model", "seasonal naive", "4-week hour-of-week mean"),
        tuple(
            (name, number(row.mase), number(row.seasonal_naive), number(row.hour_of_week_mean))
            for name, row in by_region.items()
        ),
        f"{len(found.origins)} weekly origins from {found.origins[0]:%Y-%m-%d}, {found.horizon} "
        f"hours ahead; the model beats the 4-week mean in {better} of {len(by_region)}",
    )


def _without_coupons(panel: Panel) -> Panel:
    # The records know of no coupons: none were given, as far as anybody can tell.
    return panel.assign(coupon_spend=panel["temperature"].zeros_like().named("coupon_spend"))


def _rows(source: str, reports: Iterable[IngestReport]) -> tuple[ResultTable, ...]:
    """Rows read, accepted and set aside; what was odd, and what became of it."""
    reports = tuple(reports)
    rows = tuple(
        (
            report.table,
            f"{report.read:,}",
            f"{report.accepted:,}",
            f"{sum(report.quarantined.values()) + report.duplicates:,}",
        )
        for report in reports
    )
    odd = tuple(
        (f"{report.table}: {text}",)
        for report in reports
        for text in (
            *(f"{count:,} rows set aside: {why}" for why, count in report.quarantined.items()),
            *report.notes,
            *(f"{count:,} rows kept: {why}" for why, count in report.remarks.items()),
        )
    )
    return (
        ResultTable(f"Rows of {source}", ("table", "read", "accepted", "set aside"), rows),
        ResultTable("What was odd, and what became of it", (), odd),
    )


def _cube(tensor: IndexTensor, unit: str) -> tuple[str, str, str, str, str]:
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


def main(names: list[str]) -> int:
    """Run the demos that are named, or all; return 2 without records or for an unknown name."""
    unknown = sorted(set(names) - set(DEMOS))
    if unknown:
        print(f"no demo {', '.join(unknown)}; name some of {', '.join(DEMOS)}", file=sys.stderr)
        return 2
    if not RECORDS.is_dir():
        print(f"no folder {RECORDS}; name it in DAGCAST_REAL_DATA", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    for name in names or DEMOS:
        print("\n\n".join(map(str, DEMOS[name](RECORDS))), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
