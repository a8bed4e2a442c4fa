"""Living through the week ahead: what happens, what is written, and what goes on from it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dagcast_simulator._events import EventLog
from dagcast_simulator._files import Ahead, Tables, write_json, write_week
from dagcast_simulator._history import History
from dagcast_simulator._market import Market, make_market
from dagcast_simulator._measured import as_set
from dagcast_simulator._planning import Planning
from dagcast_simulator._played import Played, check_new_trials, save_played
from dagcast_simulator._schedule import measure_played
from dagcast_simulator._trials import Trial, apply_trial


@dataclass(frozen=True)
class Delivered:
    """How far the event files of a history go.

    Args:
        written: numbers of sessions and shifts in it, from which ids go on.
        pending: its rows that become known later.
    """

    written: tuple[int, int]
    pending: Tables


def play_week(
    past: History,
    delivered: Delivered,
    decisions: pd.DataFrame,
    hours: pd.DatetimeIndex | None,
    trials: tuple[Trial, ...],
    target: Path,
) -> dict[str, int]:
    """Live through the hours after ``past`` and write them, with what the next week needs.

    Args:
        past: what came before; it stays as it is.
        delivered: how far its event files go.
        decisions: columns incentive, region, hour, usd.
        hours: whole days; one week if not given.
        trials: that begin with it.
        target: folder of the event files.

    Returns:
        Rows by file.

    Raises:
        WorldError: decisions, hours or trials do not fit.
    """
    planning, market = Planning(past), past.market
    count = planning.count(hours)
    check_new_trials(trials, past, count)
    spend = planning.carried_out(decisions)
    levers = planning.levers(spend, trials)
    run = market.engine.run(levers, past.state_at(past.weeks), count)
    log = EventLog(market.scenario, market.environment, market.seed)
    ahead = _ahead(past, trials, count)
    rows = write_week(run, levers, log, delivered.pending, delivered.written, ahead, target)
    if count != 168:
        return rows
    sessions, shifts = delivered.written
    written = (sessions + run.sessions.shape[1], shifts + run.shifts.shape[1])
    played = Played(past.weeks, spend[:, :, :168], trials, run.state, written)
    save_played(played, market, target)
    ends = 168 * past.weeks, 168 * (past.weeks + 1)
    ended = [
        trial for trial in (*past.trials, *trials) if ends[0] < trial.start + trial.hours <= ends[1]
    ]
    if ended:
        measured = as_set(measure_played(go_on(past, played), ended))
        rows["experiments.json"] = len(measured)
        write_json(target / "experiments.json", measured.to_json())
    return rows


def go_on(past: History, played: Played) -> History:
    """The history that holds the played week, too."""
    return past.after(drawn_further(past, 1), played.spend, played.state, played.trials)


def drawn_further(past: History, weeks: int) -> Market:
    """The same market, drawn so many weeks further than a history's."""
    market, further = past.market, len(past.played) + weeks
    return make_market(
        market.scenario, len(market.region_names), market.weeks, market.seed, further
    )


def _ahead(past: History, trials: tuple[Trial, ...], count: int) -> Ahead:
    """What is announced: the operator's coupons and fares, and the trials of them."""
    further = drawn_further(past, count // 168)
    announced = further.habits
    for trial in (*past.trials, *trials):
        announced = apply_trial(announced, trial)
    log = EventLog(further.scenario, further.environment, further.seed)
    return Ahead(further, log, announced)
