"""Event files of a history and of a played week, each as its services would have delivered it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dagcast_core.contract import ExperimentSet
from dagcast_simulator._decisions import FORMAT
from dagcast_simulator._engine import Run
from dagcast_simulator._environment import Environment
from dagcast_simulator._events import SCHEMAS, EventLog, Planted, known_by, write_table
from dagcast_simulator._history import History
from dagcast_simulator._levers import Levers
from dagcast_simulator._market import Market

# What comes late: rows of the past that become known after the moment of planning.
LATE_TABLES = ("sessions", "shifts", "spend")
Tables = dict[str, pa.Table]


@dataclass(frozen=True)
class Ahead:
    """What is announced of the time after a played week.

    Args:
        market: drawn far enough.
        log: of that market.
        levers: what was decided of coupons and fares.
    """

    market: Market
    log: EventLog
    levers: Levers


def write_history(
    history: History, log: EventLog, experiments: ExperimentSet, target: Path
) -> tuple[dict[str, int], Tables, Planted]:
    """Write what is known at the moment of planning, and the announcements of the week ahead.

    Returns:
        Rows by file, the rows that become known later, and the planted faults.
    """
    past = 168 * history.weeks
    ahead = past + 168
    levers = history.levers
    regions = history.market.environment.listed(past)
    sessions, shifts, planted = logged(log, history.runs(), levers, (0, 0))
    tables = {
        "sessions": sessions,
        "shifts": shifts,
        "spend": log.spend(levers, 0, past),
        "coupons": log.coupons(levers, 0, ahead, regions),
        "fares": log.fares(levers, 0, ahead, regions),
        "weather": pa.concat_tables(
            [log.weather(0, past, regions), log.forecast(past, 168, regions)]
        ),
        "calendar": log.calendar(0, ahead, regions),
    }
    now = history.market.hours[past]
    rows, pending = {}, {}
    for name, table in tables.items():
        known, later = known_by(table, now)
        rows[f"{name}.parquet"] = write_table(known, target / f"{name}.parquet")
        if name in LATE_TABLES:
            pending[name] = later
    rows["experiments.json"] = len(experiments)
    write_json(target / "experiments.json", experiments.to_json())
    rows["regions.json"] = write_json(
        target / "regions.json", _region_rows(history.market.environment, past)
    )
    return rows, pending, planted


def pending_rows(history: History, log: EventLog) -> Tables:
    """Rows of the past that become known after the moment of planning."""
    sessions, shifts, _ = logged(log, history.runs(), history.levers, (0, 0))
    spend = log.spend(history.levers, 0, 168 * history.weeks)
    now = history.market.hours[168 * history.weeks]
    tables = {"sessions": sessions, "shifts": shifts, "spend": spend}
    return {name: known_by(table, now)[1] for name, table in tables.items()}


def nothing_pending() -> Tables:
    """No row of the past is still to come: each played week delivers all of its own."""
    return {name: SCHEMAS[name].empty_table() for name in LATE_TABLES}


def write_week(
    run: Run,
    levers: Levers,
    log: EventLog,
    pending: Tables,
    first_ids: tuple[int, int],
    ahead: Ahead,
    target: Path,
) -> dict[str, int]:
    """Write a played week, with the rows of the past that became known in it.

    Args:
        run: what happened.
        levers: under which.
        log: of this world.
        pending: rows of the past that come now.
        first_ids: of its sessions and shifts.
        ahead: what is announced of the time after it.
        target: made if needed.

    Returns:
        Rows by file.
    """
    first, count = run.first, run.hours
    sessions, shifts, planted = logged(log, [run], levers, first_ids)
    env = ahead.market.environment
    before, since = env.listed(first), env.listed(first + count)
    # Regions that opened meanwhile come with the whole week, others as far as it is news.
    new = np.setdiff1d(since, before)
    # What is known of the next week comes when this one is over.
    whole = count % 168 == 0
    at, hours = first + 168, count if whole else 0
    later, announced = ahead.log, ahead.levers
    tables = {
        "sessions": pa.concat_tables([pending["sessions"], sessions]),
        "shifts": pa.concat_tables([pending["shifts"], shifts]),
        "spend": pa.concat_tables([pending["spend"], log.spend(levers, first, count)]),
        "coupons": pa.concat_tables(
            [later.coupons(announced, first, 168, new), later.coupons(announced, at, hours, since)]
        ),
        "fares": pa.concat_tables(
            [later.fares(announced, first, 168, new), later.fares(announced, at, hours, since)]
        ),
        "weather": pa.concat_tables(
            [log.weather(first, count, since), later.forecast(first + count, 168 * whole, since)]
        ),
        "calendar": pa.concat_tables(
            [later.calendar(first, 168, new), later.calendar(at, hours, since)]
        ),
    }
    target.mkdir(parents=True, exist_ok=True)
    rows = {
        f"{name}.parquet": write_table(table, target / f"{name}.parquet")
        for name, table in tables.items()
    }
    if len(new):
        rows["regions.json"] = write_json(target / "regions.json", _region_rows(env, first + count))
    played = {"hours": count, "planted": planted.to_json(), "format": FORMAT}
    write_json(target / "played.json", played)
    return rows


def write_json(path: Path, data: Any) -> int:
    """Write JSON and return the number of its items."""
    path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    return len(data)


def logged(
    log: EventLog, runs: list[Run], levers: Levers, first_ids: tuple[int, int]
) -> tuple[pa.Table, pa.Table, Planted]:
    """Session and shift rows of successive runs, and the faults among them."""
    sessions, shifts, planted = [], [], Planted()
    first_session, first_shift = first_ids
    for run in runs:
        table, faults = log.sessions(run, levers, first_session)
        sessions.append(table)
        planted += faults
        table, faults = log.shifts(run, first_shift)
        shifts.append(table)
        planted += faults
        first_session += run.sessions.shape[1]
        first_shift += run.shifts.shape[1]
    return pa.concat_tables(sessions), pa.concat_tables(shifts), planted


def _region_rows(env: Environment, hour: int) -> list[dict[str, Any]]:
    return [
        {
            "region": region.name,
            "zone": region.zone,
            "neighbours": list(region.neighbours),
            "opened_on": str(env.hours[max(region.opened_hour, 0)].date()),
        }
        for region in (env.regions[i] for i in env.listed(hour))
    ]
