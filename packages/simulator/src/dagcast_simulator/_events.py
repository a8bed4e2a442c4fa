"""Event files: what a marketplace's services would have logged, with the faults such logs have.

Known faults, counted in the manifest: rows delivered twice, negative pickup times, regions that do
not exist, shifts that end before they begin. They are added beside the sound rows, so that a store
that sets aside all of them holds exactly what happened. Late rows, revisions and outages are no
faults. Announcements take the regions that they are about, because a region that nobody knows yet
is in no file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dagcast_simulator._engine import Run
from dagcast_simulator._environment import Environment
from dagcast_simulator._hourly import session_cells
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._random import REPORTING_STREAM, stream_key, uniforms
from dagcast_simulator._scenario import Scenario

Ints = NDArray[np.int64]

_MINUTE = 60_000_000  # in microseconds, the unit of all times in the files
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_TIME = pa.timestamp("us", tz="UTC")
UNKNOWN_REGION = "XXX"
# Ids of corrupt rows, far above those of sound ones.
_CORRUPT_IDS = 1 << 50

SCHEMAS = {
    "sessions": pa.schema(
        [
            ("session_id", pa.int64()),
            ("region", pa.string()),
            ("opened_at", _TIME),
            ("known_at", _TIME),
            ("eta_min", pa.float64()),
            ("prime_time", pa.float64()),
            ("requested", pa.bool_()),
            ("completed", pa.bool_()),
            ("fare", pa.float64()),
            ("driver_pay", pa.float64()),
            ("coupon", pa.float64()),
        ]
    ),
    "shifts": pa.schema(
        [
            ("shift_id", pa.int64()),
            ("driver_id", pa.int64()),
            ("region", pa.string()),
            ("on_at", _TIME),
            ("off_at", _TIME),
            ("known_at", _TIME),
        ]
    ),
    "spend": pa.schema(
        [
            ("region", pa.string()),
            ("hour", _TIME),
            ("incentive", pa.string()),
            ("usd", pa.float64()),
            ("known_at", _TIME),
        ]
    ),
    "coupons": pa.schema(
        [("region", pa.string()), ("hour", _TIME), ("usd", pa.float64()), ("known_at", _TIME)]
    ),
    "fares": pa.schema(
        [
            ("region", pa.string()),
            ("hour", _TIME),
            ("base_fare", pa.float64()),
            ("known_at", _TIME),
        ]
    ),
    "weather": pa.schema(
        [
            ("region", pa.string()),
            ("hour", _TIME),
            ("temperature", pa.float64()),
            ("precipitation", pa.float64()),
            ("known_at", _TIME),
            ("is_forecast", pa.bool_()),
        ]
    ),
    "calendar": pa.schema(
        [
            ("region", pa.string()),
            ("hour", _TIME),
            ("hour_of_week", pa.int64()),
            ("holiday", pa.bool_()),
            ("local_event", pa.float64()),
            ("known_at", _TIME),
        ]
    ),
}


@dataclass(frozen=True)
class Planted:
    """Corrupt and repeated rows in a set of event files, by kind."""

    duplicate_sessions: int = 0
    negative_eta: int = 0
    unknown_region: int = 0
    duplicate_shifts: int = 0
    negative_shift: int = 0

    def __add__(self, other: "Planted") -> "Planted":
        return Planted(*(a + b for a, b in zip(_counts(self), _counts(other), strict=True)))

    def to_json(self) -> dict[str, int]:
        """Counts by kind."""
        return dict(zip(self.__dataclass_fields__, _counts(self), strict=True))


def _counts(planted: Planted) -> tuple[int, ...]:
    return tuple(getattr(planted, name) for name in planted.__dataclass_fields__)


class EventLog:
    """Turns runs and levers of one world into event tables."""

    def __init__(self, scenario: Scenario, env: Environment, seed: int) -> None:
        self._scenario = scenario
        self._names = pa.array([region.name for region in env.regions])
        self._env = env
        self._origin = int(env.hours[0].value // 1000)  # microseconds since the epoch
        self._key = stream_key(seed, REPORTING_STREAM)

    def sessions(self, run: Run, levers: Levers, first_id: int) -> tuple[pa.Table, Planted]:
        """Session rows of a run with ids from ``first_id``, and the faults among them."""
        s = run.sessions
        count = s.shape[1]
        ids = np.arange(first_id, first_id + count, dtype=np.int64)
        cell = session_cells(run, len(self._names))
        cells = len(self._names) * run.hours
        per_cell = np.bincount(cell, minlength=cells)
        coupons = levers.coupon_spend[:, run.first : run.first + run.hours].ravel()
        coupon = (coupons / np.maximum(per_cell, 1))[cell]
        # Milliseconds are all that a phone's clock is worth, and they pack well.
        opened = self._origin + (s[0] * 60_000).astype(np.int64) * 1000
        completed = s[5] > 0
        # A ride is reported when it has ended, other sessions within minutes.
        delay = 1 - 6 * np.log(uniforms(self._key, ids, 0)) + completed * (s[2] + 20)
        known = opened + (delay * 60).astype(np.int64) * 1_000_000 + self._late(ids, 1)
        known, came = self._outage("sessions", known)
        table = pa.table(
            [
                ids,
                self._region(s[1]),
                _time(opened),
                _time(known),
                s[2],
                s[3],
                s[4] > 0,
                completed,
                s[6],
                s[7],
                coupon,
            ],
            schema=SCHEMAS["sessions"],
        )
        share = self._scenario.duplicate_share
        corrupt = self._scenario.corrupt_share
        again = np.flatnonzero(came & (uniforms(self._key, ids, 3) < share))
        negative = np.flatnonzero(came & (uniforms(self._key, ids, 4) < corrupt))
        unknown = np.flatnonzero(came & (uniforms(self._key, ids, 5) < corrupt))
        bad_eta = _replaced(table.take(negative), "session_id", ids[negative] + _CORRUPT_IDS)
        bad_eta = _replaced(bad_eta, "eta_min", -1.0 - s[2][negative])
        bad_region = _replaced(table.take(unknown), "session_id", ids[unknown] + 2 * _CORRUPT_IDS)
        bad_region = _replaced(bad_region, "region", [UNKNOWN_REGION] * len(unknown))
        repeated = table.take(again)
        repeated = _replaced(repeated, "known_at", _time(known[again] + 10 * _MINUTE))
        planted = Planted(len(again), len(negative), len(unknown))
        sound = _kept(table, came)
        return pa.concat_tables([sound, repeated, bad_eta, bad_region]), planted

    def shifts(self, run: Run, first_id: int) -> tuple[pa.Table, Planted]:
        """Shift rows of a run: a driver's spells in one region, cut at midnight UTC."""
        driver, region, on, off = run.shifts
        ids = np.arange(first_id, first_id + len(driver), dtype=np.int64)
        begins, ends = self._origin + on * _MINUTE, self._origin + off * _MINUTE
        delay = (2 - 4 * np.log(uniforms(self._key, ids, 6))) * _MINUTE
        # A roll-over is reported at once, so that a day that is over is complete.
        delay = np.where(off % 1440 == 0, 0, delay)
        late = np.where(off % 1440 == 0, 0, self._late(ids, 7))
        known = ends + delay.astype(np.int64) // 1_000_000 * 1_000_000 + late
        known, came = self._outage("shifts", known)
        table = pa.table(
            [ids, driver, self._region(region), _time(begins), _time(ends), _time(known)],
            schema=SCHEMAS["shifts"],
        )
        share, corrupt = self._scenario.duplicate_share, self._scenario.corrupt_share
        again = np.flatnonzero(came & (uniforms(self._key, ids, 9) < share))
        wrong = np.flatnonzero(came & (uniforms(self._key, ids, 10) < corrupt))
        repeated = _replaced(table.take(again), "known_at", _time(known[again] + 10 * _MINUTE))
        swapped = _replaced(table.take(wrong), "shift_id", ids[wrong] + _CORRUPT_IDS)
        swapped = _replaced(swapped, "on_at", _time(ends[wrong]))
        swapped = _replaced(swapped, "off_at", _time(begins[wrong]))
        planted = Planted(duplicate_shifts=len(again), negative_shift=len(wrong))
        return pa.concat_tables([_kept(table, came), repeated, swapped]), planted

    def spend(self, levers: Levers, first: int, hours: int) -> pa.Table:
        """Bonus spend, known an hour later; some cells are first reported wrong and revised."""
        usd = levers.incentive_spend[:, :, first : first + hours]
        open_cells = self._env.open[:, first : first + hours] > 0
        kind, region, hour = np.nonzero(np.broadcast_to(open_cells, usd.shape))
        value = usd[kind, region, hour]
        moment = self._hour(first + hour)
        cells = ((first + hour) * len(self._names) + region) * len(INCENTIVES) + kind
        revised = uniforms(self._key, cells, 11) < self._scenario.revised_share
        revised &= value > 0
        off = np.round(value * (0.24 * uniforms(self._key, cells, 12) - 0.12), 2) * revised
        days = (1 + 3 * uniforms(self._key, cells, 13)) * _DAY
        kinds = pa.array(list(INCENTIVES))
        known, came = self._outage("spend", moment + _HOUR)
        first_rows = pa.table(
            [
                self._region(region),
                _time(moment),
                kinds.take(pa.array(kind)),
                np.round(value - off, 2),
                _time(known),
            ],
            schema=SCHEMAS["spend"],
        )
        # A correction needs the row that it corrects.
        at = np.flatnonzero(revised & came)
        later, also_came = self._outage("spend", (moment + _HOUR + days.astype(np.int64))[at])
        corrections = pa.table(
            [
                self._region(region[at]),
                _time(moment[at]),
                kinds.take(pa.array(kind[at])),
                off[at],
                _time(later),
            ],
            schema=SCHEMAS["spend"],
        )
        return pa.concat_tables([_kept(first_rows, came), _kept(corrections, also_came)])

    def coupons(self, levers: Levers, first: int, hours: int, regions: Ints) -> pa.Table:
        """Coupon spend by region and hour; campaigns are announced a week ahead."""
        region, hour = self._open(first, hours, regions)
        return pa.table(
            [
                self._region(region),
                _time(self._hour(hour)),
                levers.coupon_spend[region, hour],
                _time(self._hour(hour - 168)),
            ],
            schema=SCHEMAS["coupons"],
        )

    def fares(self, levers: Levers, first: int, hours: int, regions: Ints) -> pa.Table:
        """Mean base fare over riders; changes are announced a week ahead."""
        region, hour = self._open(first, hours, regions)
        mean_fare = levers.base_fare * (1 + levers.fare_split) / 2
        return pa.table(
            [
                self._region(region),
                _time(self._hour(hour)),
                mean_fare[region, hour],
                _time(self._hour(hour - 168)),
            ],
            schema=SCHEMAS["fares"],
        )

    def weather(self, first: int, hours: int, regions: Ints) -> pa.Table:
        """Observed weather, known an hour later."""
        region, hour = _cells(first, hours, regions)
        env = self._env
        known, came = self._outage("weather", self._hour(hour) + _HOUR)
        table = pa.table(
            [
                self._region(region),
                _time(self._hour(hour)),
                env.temperature[region, hour],
                env.precipitation[region, hour],
                _time(known),
                np.zeros(len(hour), dtype=bool),
            ],
            schema=SCHEMAS["weather"],
        )
        return _kept(table, came)

    def forecast(self, first: int, hours: int, regions: Ints) -> pa.Table:
        """The weather forecast issued six hours before ``first``."""
        region, hour = _cells(first, hours, regions)
        env = self._env
        issued = np.full(len(hour), self._origin + first * _HOUR - 6 * _HOUR)
        return pa.table(
            [
                self._region(region),
                _time(self._hour(hour)),
                env.temperature_forecast[region, hour],
                env.precipitation_forecast[region, hour],
                _time(issued),
                np.ones(len(hour), dtype=bool),
            ],
            schema=SCHEMAS["weather"],
        )

    def calendar(self, first: int, hours: int, regions: Ints) -> pa.Table:
        """Local calendar and events, known two months ahead."""
        region, hour = _cells(first, hours, regions)
        env = self._env
        return pa.table(
            [
                self._region(region),
                _time(self._hour(hour)),
                env.hour_of_week[region, hour],
                env.holiday[region, hour] > 0,
                env.local_event[region, hour],
                _time(self._hour(hour) - 60 * _DAY),
            ],
            schema=SCHEMAS["calendar"],
        )

    def _open(self, first: int, hours: int, regions: Ints) -> tuple[Ints, Ints]:
        row, hour = np.nonzero(self._env.open[regions, first : first + hours] > 0)
        return regions[row], hour + first

    def _outage(self, table: str, known: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """When rows become known if that table's rows stop coming for a while, and whether ever."""
        came = np.ones(len(known), dtype=bool)
        hours = self._scenario.outage_hours
        if table != self._scenario.outage_table or not hours:
            return known, came
        start = self._origin + 168 * self._scenario.outage_week * _HOUR
        end = start + hours * _HOUR
        struck = (known >= start) & (known < end)
        return np.where(struck, end, known), came & ~(struck & self._scenario.outage_lost)

    def _hour(self, hour: Ints) -> Ints:
        return self._origin + hour * _HOUR

    def _region(self, index: NDArray[np.generic]) -> pa.Array:
        return self._names.take(pa.array(index.astype(np.int64)))

    def _late(self, ids: Ints, draw: int) -> Ints:
        late = uniforms(self._key, ids, draw) < self._scenario.late_share
        days = 0.2 + self._scenario.late_days * uniforms(self._key, ids, draw + 1) ** 2
        return (late * days * 86_400).astype(np.int64) * 1_000_000


def _cells(first: int, hours: int, regions: Ints) -> tuple[Ints, Ints]:
    row, hour = np.divmod(np.arange(len(regions) * hours), max(hours, 1))
    return regions[row], hour + first


def _kept(table: pa.Table, came: NDArray[np.bool_]) -> pa.Table:
    return table if came.all() else table.filter(pa.array(came))


def known_by(table: pa.Table, moment: pd.Timestamp) -> tuple[pa.Table, pa.Table]:
    """Split a table into what is known by ``moment`` (inclusive) and what comes later."""
    known = table.column("known_at").cast(pa.int64()).to_numpy() <= moment.value // 1000
    return table.filter(pa.array(known)), table.filter(pa.array(~known))


def write_table(table: pa.Table, path: Path) -> int:
    """Write Parquet and return the number of rows."""
    pq.write_table(table, path, compression="zstd", compression_level=1, row_group_size=1 << 18)
    return int(table.num_rows)


def _time(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds.astype(np.int64)).cast(_TIME)


def _replaced(table: pa.Table, name: str, values: object) -> pa.Table:
    position = table.schema.get_field_index(name)
    field = table.schema.field(position)
    column = values if isinstance(values, pa.Array) else pa.array(values, type=field.type)
    return table.set_column(position, field, column)
