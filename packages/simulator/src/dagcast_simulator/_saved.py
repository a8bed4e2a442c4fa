"""What lies beside the event files so that a world can be reopened without living through it again.

Everything follows from scenario, size and seed, so what is missing or damaged is recomputed. It
lies in a folder of its own, because event files must not show it.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dagcast_simulator._decisions import FORMAT, WorldError
from dagcast_simulator._engine import State
from dagcast_simulator._events import Planted, write_table
from dagcast_simulator._files import LATE_TABLES, Tables, write_json
from dagcast_simulator._history import History
from dagcast_simulator._levers import INCENTIVES
from dagcast_simulator._loop import MARKET_ROWS
from dagcast_simulator._market import Market

Array = NDArray[np.float64]

_FOLDER = ".world"


def save_world(
    history: History, counts: tuple[int, int], pending: Tables, planted: Planted, folder: Path
) -> None:
    """Write manifest, states and pending rows beside the event files of a history.

    Args:
        history: to save.
        counts: of its sessions and shifts.
        pending: rows that become known later.
        planted: faults in the files.
        folder: of the event files.
    """
    target = folder / _FOLDER
    target.mkdir(parents=True, exist_ok=True)
    for name, table in pending.items():
        write_table(table, target / f"pending_{name}.parquet")
    _save_states(history, target / "state.npz")
    market = history.market
    manifest = {
        "format": FORMAT,
        "kind": "market",
        "simulator": version("dagcast-simulator"),
        "regions": len(market.region_names),
        "weeks": market.weeks,
        "seed": market.seed,
        "scenario": market.scenario.to_mapping(),
        "now": market.hours[168 * market.weeks].isoformat(),
        "incentives": list(INCENTIVES),
        "sessions": counts[0],
        "shifts": counts[1],
        "planted": planted.to_json(),
        "first_day": _first_day(market),
    }
    write_json(folder / "world.json", manifest)


def read_world(
    history: History, folder: Path, manifest: Mapping[str, Any]
) -> tuple[History, Tables] | None:
    """A history that knows its states, and its pending rows, as ``save_world`` left them.

    None where they cannot be read.

    Raises:
        WorldError: the files were written under other laws.
    """
    found = _first_day(history.market)
    if found != list(manifest["first_day"]):
        raise WorldError(
            f"the world in {folder} was written by simulator {manifest['simulator']} under "
            f"other laws: its first day had {manifest['first_day']} (sessions, rides, USD, "
            f"driver minutes), this version's has {found}. Write its events again."
        )
    with suppress(OSError, ValueError, KeyError, BadZipFile, pa.ArrowInvalid):
        states, reactions = _read_states(folder / _FOLDER / "state.npz")
        pending = {
            name: pq.read_table(folder / _FOLDER / f"pending_{name}.parquet")
            for name in LATE_TABLES
        }
        return History(history.market, history.trials, (), states, reactions), pending
    return None


def _first_day(market: Market) -> list[float]:
    """A fingerprint of the market: figures of its first day, cheap to live through again."""
    # No trial has begun on it, so the operator's habits are what was decided.
    run = market.engine.run(market.habits, market.engine.initial_state(), 24)
    sessions = run.sessions
    return [
        float(sessions.shape[1]),
        float(sessions[5].sum()),
        round(float(sessions[6].sum()), 2),
        float(run.driver_minutes.sum()),
    ]


def _save_states(history: History, path: Path) -> None:
    states = history.states()
    np.savez_compressed(
        path,
        driver=np.stack([state.driver for state in states]).astype(np.int32),
        tired=np.stack([state.tired for state in states]),
        region=np.stack([state.region for state in states]),
        reactions=np.stack(history.reactions),
    )


def _read_states(path: Path) -> tuple[list[State], list[Array]]:
    # numpy leaves a damaged file open when it is given the path.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
        driver, tired, region = saved["driver"], saved["tired"], saved["region"]
        reactions = list(saved["reactions"])
    if region.shape[1] != MARKET_ROWS:
        raise ValueError(f"{path} was written by an older simulator")
    states = [
        State(driver[week].astype(np.int64), tired[week].copy(), region[week].copy(), 10080 * week)
        for week in range(len(driver))
    ]
    return states, reactions
