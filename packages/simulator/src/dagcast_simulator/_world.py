"""One marketplace: its history, the week to plan, and the truth about both."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_simulator._decisions import LEVER, WorldError, check_size, decided
from dagcast_simulator._environment import Environment
from dagcast_simulator._events import EventLog
from dagcast_simulator._files import Tables, nothing_pending, pending_rows, write_history
from dagcast_simulator._history import History
from dagcast_simulator._hourly import hourly_frame
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._market import make_market
from dagcast_simulator._measure import measure
from dagcast_simulator._measured import Measured, as_set
from dagcast_simulator._planning import Planning
from dagcast_simulator._played import read_played
from dagcast_simulator._playing import Delivered, go_on, play_week
from dagcast_simulator._regions import Region
from dagcast_simulator._saved import read_world, save_world
from dagcast_simulator._scenario import Scenario
from dagcast_simulator._schedule import measured_experiments, scheduled_trials
from dagcast_simulator._search import best_plan
from dagcast_simulator._trials import Trial
from dagcast_simulator._truth import true_effect

Array = NDArray[np.float64]

# The first of the replications that judge a plan: neither played weeks nor searches meet them.
_FRESH = 1000


class MarketWorld:
    """A simulated marketplace that answers what would have happened.

    ``play`` lives through the week ahead and leaves the world as it is, so that many plans can be
    tried; ``after`` is the world that goes on from a week that was played.

    Args:
        past: its history.
        written: numbers of sessions and shifts in it, where they are known.
        pending: rows of it that become known later, where they are known.
    """

    def __init__(
        self,
        past: History,
        written: tuple[int, int] | None = None,
        pending: Tables | None = None,
    ) -> None:
        self.scenario = past.market.scenario
        self.weeks = past.weeks
        self.seed = past.market.seed
        self._past = past
        self._ahead = Planning(past)
        self._log = EventLog(self.scenario, self.environment, self.seed)
        self._counts = written
        self._pending = pending

    # What is where

    @property
    def environment(self) -> Environment:
        """What surrounds the market and no plan can change."""
        return self._past.market.environment

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions, in the order of all arrays."""
        return self._past.market.environment.regions

    @property
    def region_names(self) -> tuple[str, ...]:
        """Labels along ``region``."""
        return self._past.market.region_names

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The trials that ran within the history."""
        return self._past.trials

    @property
    def now(self) -> pd.Timestamp:
        """The moment of planning: the end of the history."""
        return self.environment.hours[168 * self.weeks]

    @property
    def history_hours(self) -> pd.DatetimeIndex:
        """Hours of the history, UTC."""
        return self.environment.hours[: 168 * self.weeks]

    @property
    def planning_hours(self) -> pd.DatetimeIndex:
        """Hours of the first week after the history, UTC."""
        return self.environment.hours[168 * self.weeks : 168 * (self.weeks + 1)]

    @property
    def levers(self) -> Levers:
        """What was decided in the history, and what the operator's habit would be afterwards."""
        return self._past.levers

    # History

    def history(self) -> pd.DataFrame:
        """What happened, exactly: one row per region and hour of the history.

        Columns as ``outcome``; no reporting fault touches them.
        """
        return hourly_frame(self._past.quantities(), self.region_names, self.history_hours)

    def experiments(self) -> tuple[Measured, ...]:
        """The operator's experiments in this history, each with its raw cells.

        Estimates come from the randomised cells alone.
        """
        return measured_experiments(self._past)

    def experiment_set(self) -> ExperimentSet:
        """The operator's experiments, with the covariances of those that share a trial's cells."""
        return as_set(self.experiments())

    def run(
        self,
        trial: Trial,
        outcome: str,
        *,
        name: str | None = None,
        scale: str = "absolute",
        local_hours: tuple[int, ...] = (),
    ) -> Measured:
        """Run another switchback or geo trial as a replay of this history.

        The history is replayed with the trial's arms in its cells; the trial is measured there.

        Args:
            trial: from ``switchback`` or ``geo``, within the history.
            outcome: quantity to measure.
            name: of the experiment; the trial's if not given.
            scale: ``absolute`` or ``ratio``.
            local_hours: hours of day that count; all if empty.

        Raises:
            WorldError: the trial reaches beyond the history, or is a user split.
        """
        end = trial.start + trial.hours
        if end > 168 * self.weeks or trial.design == "user_split":
            raise WorldError(
                f"trial {trial.name!r} ({trial.design}, hours {trial.start} to {end}) cannot be "
                f"replayed: expected a switchback or geo trial within {168 * self.weeks} hours."
            )
        return measure(
            self.environment,
            (trial,),
            self._past.with_trial(trial),
            name or trial.name,
            outcome,
            scale=scale,
            local_hours=local_hours,
            usual=self._past.quantities(),
        )

    def write_events(self, folder: str | Path) -> dict[str, int]:
        """Write the event files of the history as known at ``now``.

        Calendar, campaigns, fares and the weather forecast also cover the planning week. Rows of
        the history that become known later come with ``play``.

        Args:
            folder: made if needed; files of the same names are replaced.

        Returns:
            Rows by file.

        Raises:
            WorldError: the world has gone on; its events lie in several folders by now.
        """
        if self._past.played:
            raise WorldError(
                f"this world has gone on for {len(self._past.played)} weeks; its history was "
                "written before, and `play` writes each week that follows."
            )
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        rows, self._pending, planted = write_history(
            self._past, self._log, self.experiment_set(), target
        )
        save_world(self._past, self._written(), self._pending, planted, target)
        return rows

    # The planning week

    @property
    def carries_out(self) -> tuple[str, ...]:
        """What ``play`` carries out: bonuses. Coupons and fares are announced a week ahead."""
        return (LEVER,)

    def play(
        self,
        folder_out: str | Path,
        decisions: pd.DataFrame,
        hours: pd.DatetimeIndex | None = None,
        *,
        trials: Sequence[Trial] = (),
    ) -> dict[str, int]:
        """Live through the planning week under ``decisions`` and write its event files.

        Also writes what of the history became known after ``now``, the calendar, campaigns, fares
        and weather forecast of the week that follows, and the experiments that ended. The random
        numbers are those of every other plan; spent differs from planned by ``execution_noise``.

        Args:
            folder_out: made if needed.
            decisions: columns incentive, region, hour, usd (USD/h); cells left out are 0.
            hours: whole days from ``now`` on; the planning week if not given.
            trials: that begin now; in their cells they overrule ``decisions``. Coupons and fares
                of this week are announced, so trials of those begin a week later or after it.

        Returns:
            Rows by file.

        Raises:
            WorldError: decisions, hours or trials do not fit this world.
        """
        if self._pending is None:
            self._pending = pending_rows(self._past, self._log)
        delivered = Delivered(self._written(), self._pending)
        return play_week(self._past, delivered, decisions, hours, tuple(trials), Path(folder_out))

    def after(self, folder: str | Path) -> "MarketWorld":
        """The world a week later, as it went on under the plan that was played.

        Its history holds that week, and it can plan and play the next one; drivers, riders'
        memory, drift and trials go on.

        Args:
            folder: in which ``play`` of this world wrote the week.

        Raises:
            WorldError: no whole week was played there, or it is not the next of this world.
        """
        played = read_played(self._past.market, self.weeks, Path(folder))
        return MarketWorld(go_on(self._past, played), played.written, nothing_pending())

    def outcome(
        self, decisions: pd.DataFrame, *, replications: int = 1, hours: int = 168
    ) -> pd.DataFrame:
        """What would happen in the planning week under ``decisions``.

        Args:
            decisions: as for ``play``.
            replications: 1 gives the very week that ``play`` would log; more average over other
                riders and drivers in the same weather, events and shocks.
            hours: length, from ``now`` on.

        Returns:
            One row per region and hour: sessions, requests, rides, eta, prime_time, conversion,
            driver_hours and its parts, revenue, driver_pay, incentive_spend, coupon_spend, profit.

        Raises:
            WorldError: decisions do not fit this world.
        """
        return self._ahead.outcome(decisions, replications, hours)

    def objective(
        self,
        weights: Mapping[str, float],
        spend: Array,
        replications: int | Sequence[int] = 1,
    ) -> float:
        """Weighted weekly sums of outcomes under ``spend``; for searches.

        Args:
            weights: by outcome, e.g. ``{"profit": 1.0}``.
            spend: USD/h, (incentive, region, hour).
            replications: how many to average, or which: others than a search used judge its plan
                without its luck.
        """
        return self._ahead.objective(weights, spend, replications)

    def worth(
        self, decisions: pd.DataFrame, weights: Mapping[str, float], *, replications: int = 4
    ) -> float:
        """What ``decisions`` are worth in the planning week, for judging a plan by the truth.

        Averaged over riders and drivers whom neither the played week nor a search meets, in the
        week's own environment.

        Args:
            decisions: as for ``play``.
            weights: by outcome, e.g. ``{"profit": 1.0}``; of weekly sums.
            replications: over how many to average.

        Raises:
            WorldError: decisions do not fit this world, or an outcome is none of it.
        """
        spend = decided(decisions, self.region_names, self.planning_hours)
        fresh = range(_FRESH, _FRESH + replications)
        try:
            return self.objective(weights, spend, fresh)
        except KeyError as error:
            raise WorldError(f"this market knows no outcome {error}") from error

    def best_decisions(
        self,
        weights: Mapping[str, float],
        *,
        budget: float | None = None,
        start: pd.DataFrame | None = None,
        evaluations: int = 300,
    ) -> pd.DataFrame:
        """Decisions for the planning week that a search finds who knows the truth; see `best_plan`.

        Args:
            weights: what is maximised, by outcome.
            budget: USD for the week; none if not given.
            start: decisions to start from; simple plans if not given.
            evaluations: plans tried.
        """
        found = best_plan(self, weights, budget=budget, start=start, evaluations=evaluations)
        return found.decisions

    def operator_spend(self) -> Array:
        """(incentive, region, hour) of the planning week: the operator's rule, USD/h."""
        return self._ahead.operator_spend()

    def operator_decisions(self) -> pd.DataFrame:
        """What the operator's rule would spend in the planning week; the plan to beat."""
        spend = self.operator_spend()
        index = pd.MultiIndex.from_product(
            [INCENTIVES, self.region_names, self.planning_hours],
            names=["incentive", "region", "hour"],
        )
        return pd.DataFrame({"usd": spend.ravel()}, index=index).reset_index()

    def true_effect(self, experiment: Experiment, *, replications: int = 1) -> float:
        """The effect that ``experiment`` estimates, by replaying both arms in all its cells.

        Args:
            experiment: which effect, on which cells.
            replications: 1 replays the history's own riders and drivers; more average over other
                riders and drivers in the same environment, both arms meeting the same ones.

        Levers: incentive_spend, coupon_spend, base_fare, prime_time, driver_hours (by scaling
        drivers' starts) and sessions (scale). Outcomes: the columns of ``outcome``,
        incremental_driver_hours and coupon_sessions.

        Raises:
            TruthError: this market does not know the lever, the outcome or the cells.
            WorldError: ``replications`` is less than 1.
        """
        if replications < 1:
            raise WorldError(f"replications must be at least 1; got {replications}")
        replay = partial(self._past.replay, replications=replications)
        return true_effect(experiment, self.environment, self.levers, replay)

    def replay(
        self, levers: Levers, *, first: int, hours: int, replications: int = 1
    ) -> pd.DataFrame:
        """What would have happened in a part of the history under other levers.

        Args:
            levers: over the whole history and the planning week; `levers`, changed.
            first: hour at which the part begins, counted from the start of the history; the
                replay starts from the state at the beginning of its week.
            hours: length.
            replications: 1 meets the history's own riders and drivers; more average over others.

        Returns:
            As ``outcome``.

        Raises:
            WorldError: the hours lie outside the history.
        """
        if replications < 1 or first < 0 or hours < 1 or first + hours > 168 * self.weeks:
            raise WorldError(
                f"cannot replay {hours} hours from hour {first} ({replications} replications): "
                f"this history has {168 * self.weeks} hours."
            )
        mean = self._past.replay(levers, first, hours, replications)
        span = self.environment.hours[first : first + hours]
        return hourly_frame(mean, self.region_names, span)

    def _written(self) -> tuple[int, int]:
        """Numbers of sessions and shifts in the history, from which ids go on."""
        if self._counts is None:
            runs = self._past.runs()
            self._counts = (
                sum(run.sessions.shape[1] for run in runs),
                sum(run.shifts.shape[1] for run in runs),
            )
        return self._counts


def make_world(scenario: Scenario, regions: int, weeks: int, seed: int) -> MarketWorld:
    """A new world.

    Args:
        scenario: parameters.
        regions: number of regions, 1 to 1000.
        weeks: weeks of history, 1 to 260.
        seed: every world of a seed is the same, bit by bit.

    Raises:
        WorldError: a number is out of range.
    """
    check_size(regions, weeks, seed)
    market = make_market(scenario, regions, weeks, seed)
    trials = scheduled_trials(market.environment, weeks, seed) if scenario.experiments else ()
    return MarketWorld(History(market, trials))


def reopen_world(world: MarketWorld, folder: Path, manifest: Mapping[str, Any]) -> MarketWorld:
    """The same world with the states and pending rows that ``write_events`` left in ``folder``.

    Raises:
        WorldError: the files were written under other laws.
    """
    saved = read_world(world._past, folder, manifest)
    if saved is None:
        return world
    past, pending = saved
    return MarketWorld(past, (int(manifest["sessions"]), int(manifest["shifts"])), pending)
