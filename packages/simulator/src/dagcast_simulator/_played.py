"""A week that was played, kept beside its event files so that the world can go on from it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dagcast_core.contract import Change
from dagcast_simulator._decisions import FORMAT, WorldError
from dagcast_simulator._engine import State
from dagcast_simulator._history import History
from dagcast_simulator._market import Market
from dagcast_simulator._trials import Trial

Array = NDArray[np.float64]

_FOLDER = ".world"


@dataclass(frozen=True)
class Played:
    """What the weeks after a played week depend on.

    Args:
        week: counted from the start of the history.
        spend: as carried out, before trials; (incentive, region, hour of the week), USD/h.
        trials: that were begun with it, in it or later.
        state: of the market at its end.
        written: numbers of sessions and shifts up to its end, from which ids go on.
    """

    week: int
    spend: Array
    trials: tuple[Trial, ...]
    state: State
    written: tuple[int, int]


def check_new_trials(trials: tuple[Trial, ...], history: History, hours: int) -> None:
    """Refuse trials that cannot begin with the play of ``hours`` after ``history``.

    Raises:
        WorldError: a trial lies in the past, has the name of another, sets what is announced, or
            no whole week is played.
    """
    first = 168 * history.weeks
    names = [trial.name for trial in history.trials]
    for trial in trials:
        announced = [
            change.quantity
            for change in (*trial.control, *trial.treatment)
            if change.quantity in ("coupon_spend", "base_fare")
        ]
        if hours != 168:
            wrong = f"begins with a play of {hours} hours; expected a week, 168 hours."
        elif trial.name in names:
            wrong = "has the name of another trial of this world."
        elif trial.start < first:
            wrong = f"begins in hour {trial.start}; the week to play begins in hour {first}."
        elif announced and trial.start < first + 168:
            wrong = (
                f"sets {announced[0]} from hour {trial.start} on, which is announced until hour "
                f"{first + 168}; let it begin then or later."
            )
        else:
            names.append(trial.name)
            continue
        raise WorldError(f"trial {trial.name!r} {wrong}")


def save_played(played: Played, market: Market, folder: Path) -> None:
    """Write a played week beside its event files in ``folder``."""
    target = folder / _FOLDER
    target.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        target / "week.npz",
        spend=played.spend,
        driver=played.state.driver,
        tired=played.state.tired,
        region=played.state.region,
    )
    document = {
        "format": FORMAT,
        "world": _name(market),
        "week": played.week,
        "minute": played.state.minute,
        "written": list(played.written),
        "trials": [_trial_to_json(trial) for trial in played.trials],
    }
    (target / "week.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read_played(market: Market, week: int, folder: Path) -> Played:
    """The played week whose event files lie in ``folder``.

    Args:
        market: of the world that goes on.
        week: that it must be.
        folder: that ``play`` wrote.

    Raises:
        WorldError: there is none, or it is another world's or another week.
    """
    path = folder / _FOLDER / "week.json"
    if not path.is_file():
        raise WorldError(
            f"no played week in {folder}: expected {path}, which `play` leaves beside the events "
            "of a whole week."
        )
    try:
        document = json.loads(path.read_text("utf-8"))
        found = (document["format"], document["world"], document["week"])
        # numpy leaves a damaged file open when it is given the path.
        with (
            (folder / _FOLDER / "week.npz").open("rb") as file,
            np.load(file, allow_pickle=False) as saved,
        ):
            state = State(saved["driver"], saved["tired"], saved["region"], document["minute"])
            spend = saved["spend"]
        trials = tuple(_trial_from_json(item) for item in document["trials"])
        sessions, shifts = document["written"]
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise WorldError(f"{path} does not describe a played week: {error!r}") from error
    expected = (FORMAT, _name(market), week)
    if found != expected:
        raise WorldError(
            f"{folder} holds week {found[2]} of {found[1]} (format {found[0]}); this world goes on "
            f"with week {week} of {expected[1]} (format {FORMAT}). Weeks follow one another in the "
            "order in which they were played."
        )
    return Played(week, spend, trials, state, (sessions, shifts))


def _name(market: Market) -> str:
    return f"{len(market.region_names)} regions x {market.weeks} weeks, seed {market.seed}"


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    return {
        "name": trial.name,
        "design": trial.design,
        "regions": list(trial.regions),
        "start": trial.start,
        "hours": trial.hours,
        "window": trial.window,
        "washout": trial.washout,
        "control": [change.to_json() for change in trial.control],
        "treatment": [change.to_json() for change in trial.treatment],
        "treated": trial.treated.tolist(),
        "cluster": list(trial.cluster),
    }


def _trial_from_json(data: Mapping[str, Any]) -> Trial:
    return Trial(
        data["name"],
        data["design"],
        tuple(data["regions"]),
        data["start"],
        data["hours"],
        data["window"],
        data["washout"],
        tuple(Change.from_json(item) for item in data["control"]),
        tuple(Change.from_json(item) for item in data["treatment"]),
        np.array(data["treated"], dtype=bool),
        tuple(data["cluster"]),
    )
