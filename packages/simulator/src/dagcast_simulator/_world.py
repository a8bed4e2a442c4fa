"""One marketplace: its history, the week to plan, and the truth about both."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dagcast_core.contract import Experiment, ExperimentSet
from dagcast_simulator._decisions import FORMAT, WorldError, check_size, decided
from dagcast_simulator._engine import Engine, Run, State
from dagcast_simulator._environment import make_environment
from dagcast_simulator._events import EventLog, Planted, known_by, write_table
from dagcast_simulator._experiments import (
    Measured,
    as_set,
    measure,
    measure_scheduled,
    measure_supply,
    scheduled_trials,
    supply_trial,
)
from dagcast_simulator._hourly import hourly, hourly_frame
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._operator import operator_levers
from dagcast_simulator._random import EXECUTION_STREAM, stream_key, uniforms
from dagcast_simulator._regions import Region, make_regions
from dagcast_simulator._scenario import Scenario
from dagcast_simulator._trials import Trial, apply_trial
from dagcast_simulator._truth import true_effect

Array = NDArray[np.float64]

_TRUTH = ".world"  # beside the event files, for what they must not show


class MarketWorld:
    """A simulated marketplace that answers what would have happened.

    Args:
        scenario: parameters.
        regions: number of regions, 1 to 1000.
        weeks: weeks of history, 1 to 260.
        seed: every world of a seed is the same, bit by bit.

    Raises:
        WorldError: a number is out of range.
    """

    def __init__(self, scenario: Scenario, regions: int, weeks: int, seed: int) -> None:
        check_size(regions, weeks, seed)
        self.scenario = scenario
        self.weeks = weeks
        self.seed = seed
        self.regions: tuple[Region, ...] = make_regions(scenario, regions, weeks, seed)
        self.environment = make_environment(scenario, self.regions, weeks, seed)
        self._engine = Engine(scenario, self.environment, seed)
        self._log = EventLog(scenario, self.environment, seed)
        self._operator = operator_levers(scenario, self.environment, seed)
        self.trials: tuple[Trial, ...] = (
            scheduled_trials(self.environment, weeks, seed) if scenario.experiments else ()
        )
        self._levers = self._operator
        for trial in self.trials:
            self._levers = apply_trial(self._levers, trial)
        self._states: list[State] = [self._engine.initial_state()]
        self._past: list[Run] = []
        self._sessions_before = 0
        self._shifts_before = 0
        self._pending: dict[str, pa.Table] | None = None

    # What is where

    @property
    def region_names(self) -> tuple[str, ...]:
        """Labels along ``region``."""
        return tuple(region.name for region in self.regions)

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
        return self._levers

    # History

    def history(self) -> pd.DataFrame:
        """What happened, exactly: one row per region and hour of the history.

        Columns as ``outcome``; no reporting fault touches them.
        """
        return hourly_frame(self._quantities(), self.region_names, self.history_hours)

    def experiments(self) -> tuple[Measured, ...]:
        """The operator's experiments in this history, each with its raw cells.

        Estimates come from the randomised cells alone.
        """
        if not self.trials:
            return ()
        splits = [trial for trial in self.trials if trial.design == "user_split"]
        arms = pd.concat([self._split_arms(trial) for trial in splits]) if splits else None
        measured = measure_scheduled(self.environment, self.trials, self._quantities(), arms)
        supply = supply_trial(self.environment, self.weeks, self.seed)
        if supply is None:
            return measured
        replay = self._replayed(supply)
        return (*measured, *measure_supply(self.environment, supply, replay, self._quantities()))

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
            self._replayed(trial),
            name or trial.name,
            outcome,
            scale=scale,
            local_hours=local_hours,
            usual=self._quantities(),
        )

    def write_events(self, folder: str | Path) -> dict[str, int]:
        """Write the event files of the history as known at ``now``.

        Calendar, campaigns, fares and the weather forecast also cover the planning week. Rows of
        the history that become known later come with ``play``.

        Args:
            folder: made if needed; files of the same names are replaced.

        Returns:
            Rows by file.
        """
        target = Path(folder)
        (target / _TRUTH).mkdir(parents=True, exist_ok=True)
        past = 168 * self.weeks
        ahead = past + 168
        sessions, shifts, planted = self._logged(self._history_runs(), self.levers, 0, 0)
        spend = self._log.spend(self.levers, 0, past)
        tables = {
            "sessions": sessions,
            "shifts": shifts,
            "spend": spend,
            "coupons": self._log.coupons(self.levers, 0, ahead),
            "fares": self._log.fares(self.levers, 0, ahead),
            "weather": pa.concat_tables(
                [self._log.weather(0, past), self._log.forecast(past, 168)]
            ),
            "calendar": self._log.calendar(0, ahead),
        }
        rows, pending = {}, {}
        for name, table in tables.items():
            known, later = known_by(table, self.now)
            rows[f"{name}.parquet"] = write_table(known, target / f"{name}.parquet")
            if name in ("sessions", "shifts", "spend"):
                pending[name] = later
                write_table(later, target / _TRUTH / f"pending_{name}.parquet")
        self._pending = pending
        measured = self.experiment_set()
        rows["experiments.json"] = len(measured)
        _write_json(target / "experiments.json", measured.to_json())
        rows["regions.json"] = _write_json(target / "regions.json", self._region_rows())
        self._save_states(target / _TRUTH / "state.npz")
        _write_json(target / "world.json", self._manifest(planted))
        return rows

    # The planning week

    def play(
        self,
        folder_out: str | Path,
        decisions: pd.DataFrame,
        hours: pd.DatetimeIndex | None = None,
    ) -> dict[str, int]:
        """Live through the planning week under ``decisions`` and write its event files.

        Also writes what of the history became known after ``now``. The random numbers are those
        of every other plan; spent differs from planned by ``execution_noise``.

        Args:
            folder_out: made if needed.
            decisions: columns incentive, region, hour, usd (USD/h); cells left out are 0.
            hours: whole days from ``now`` on; the planning week if not given.

        Returns:
            Rows by file.

        Raises:
            WorldError: decisions or hours do not fit this world.
        """
        count = self._played_hours(hours)
        levers = self._planned(decisions)
        first = 168 * self.weeks
        run = self._engine.run(levers, self._state_at(self.weeks), count)
        pending = self._pending_rows()
        sessions, shifts, planted = self._logged(
            [run], levers, self._sessions_before, self._shifts_before
        )
        tables = {
            "sessions": pa.concat_tables([pending["sessions"], sessions]),
            "shifts": pa.concat_tables([pending["shifts"], shifts]),
            "spend": pa.concat_tables([pending["spend"], self._log.spend(levers, first, count)]),
            # Announced before the week and carried out as announced: nothing new to report.
            "coupons": self._log.coupons(levers, first, 0),
            "fares": self._log.fares(levers, first, 0),
            "weather": self._log.weather(first, count),
            "calendar": self._log.calendar(first, 0),
        }
        target = Path(folder_out)
        target.mkdir(parents=True, exist_ok=True)
        rows = {
            f"{name}.parquet": write_table(table, target / f"{name}.parquet")
            for name, table in tables.items()
        }
        played = {"hours": count, "planted": planted.to_json(), "format": FORMAT}
        _write_json(target / "played.json", played)
        return rows

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
        if replications < 1:
            raise WorldError(f"replications must be at least 1; got {replications}")
        levers = self._planned(decisions)
        state = self._state_at(self.weeks)
        parts = [
            hourly(self._engine.run(levers, state, hours, replication), levers)
            for replication in range(replications)
        ]
        mean = {name: _mean([part[name] for part in parts]) for name in parts[0]}
        start = 168 * self.weeks
        return hourly_frame(mean, self.region_names, self.environment.hours[start : start + hours])

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
        levers = self._with_spend(spend)
        state = self._state_at(self.weeks)
        chosen = range(replications) if isinstance(replications, int) else replications
        values = []
        for replication in chosen:
            found = hourly(self._engine.run(levers, state, 168, replication), levers)
            values.append(sum(weight * found[name].sum() for name, weight in weights.items()))
        return float(sum(values) / len(values))

    def operator_spend(self) -> Array:
        """(incentive, region, hour) of the planning week: the operator's rule, USD/h."""
        start = 168 * self.weeks
        return self._operator.incentive_spend[:, :, start : start + 168].copy()

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
        replay = partial(self._replays, replications=replications)
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
        mean = self._replays(levers, first, hours, replications)
        span = self.environment.hours[first : first + hours]
        return hourly_frame(mean, self.region_names, span)

    # Inside

    def _quantities(self) -> dict[str, Array]:
        parts = [hourly(run, self.levers) for run in self._history_runs()]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def _replay(
        self, levers: Levers, first: int, hours: int, replication: int = 0
    ) -> dict[str, Array]:
        week = min(first // 168, self.weeks)
        skip = first - 168 * week
        run = self._engine.run(levers, self._state_at(week), skip + hours, replication)
        return {name: values[:, skip:] for name, values in hourly(run, levers).items()}

    def _replays(
        self, levers: Levers, first: int, hours: int, replications: int
    ) -> dict[str, Array]:
        parts = [self._replay(levers, first, hours, i) for i in range(replications)]
        return {name: _mean([part[name] for part in parts]) for name in parts[0]}

    def _replayed(self, trial: Trial) -> dict[str, Array]:
        """Hourly history with the trial in it; NaN outside the hours that its analysis needs."""
        levers = apply_trial(self.levers, trial)
        first = max(0, trial.start - (trial.hours if trial.design == "geo" else 0)) // 168 * 168
        end = trial.start + trial.hours
        part = self._replay(levers, first, end - first)
        shape = (len(self.regions), 168 * self.weeks)
        whole = {key: np.full(shape, np.nan) for key in part}
        for key, values in part.items():
            whole[key][:, first:end] = values
        return whole

    def _split_arms(self, trial: Trial) -> pd.DataFrame:
        parts = []
        for run in self._history_runs():
            s = run.sessions
            hour = (s[0] // 60).astype(np.int64)
            inside = (hour >= trial.start) & (hour < trial.start + trial.hours)
            inside &= np.isin(s[1].astype(np.int64), trial.regions)
            if not inside.any():
                continue
            parts.append(
                pd.DataFrame(
                    {
                        "region": s[1, inside].astype(np.int64),
                        "hour": hour[inside],
                        "treated": s[8, inside],
                        "sessions": 1.0,
                        "rides": s[5, inside],
                    }
                )
                .groupby(["region", "hour", "treated"], as_index=False)
                .sum()
            )
        return pd.concat(parts, ignore_index=True)

    def _history_runs(self) -> list[Run]:
        while len(self._past) < self.weeks:
            week = len(self._past)
            run = self._engine.run(self.levers, self._states[week], 168)
            self._past.append(run)
            if len(self._states) == week + 1:
                self._states.append(run.state)
        self._sessions_before = sum(run.sessions.shape[1] for run in self._past)
        self._shifts_before = sum(run.shifts.shape[1] for run in self._past)
        return self._past

    def _state_at(self, week: int) -> State:
        if week >= len(self._states):
            self._history_runs()
        return self._states[week]

    def _logged(
        self, runs: list[Run], levers: Levers, first_session: int, first_shift: int
    ) -> tuple[pa.Table, pa.Table, Planted]:
        sessions, shifts, planted = [], [], Planted()
        for run in runs:
            table, faults = self._log.sessions(run, levers, first_session)
            sessions.append(table)
            planted += faults
            table, faults = self._log.shifts(run, first_shift)
            shifts.append(table)
            planted += faults
            first_session += run.sessions.shape[1]
            first_shift += run.shifts.shape[1]
        return pa.concat_tables(sessions), pa.concat_tables(shifts), planted

    def _pending_rows(self) -> dict[str, pa.Table]:
        if self._pending is None:
            sessions, shifts, _ = self._logged(self._history_runs(), self.levers, 0, 0)
            spend = self._log.spend(self.levers, 0, 168 * self.weeks)
            tables = {"sessions": sessions, "shifts": shifts, "spend": spend}
            self._pending = {name: known_by(t, self.now)[1] for name, t in tables.items()}
        return self._pending

    def _planned(self, decisions: pd.DataFrame) -> Levers:
        ahead = self.environment.hours[168 * self.weeks :]
        return self._with_spend(decided(decisions, self.region_names, ahead))

    def _with_spend(self, planned: Array) -> Levers:
        spend = self.levers.incentive_spend.copy()
        start = 168 * self.weeks
        spend[:, :, start:] = 0.0
        ahead = slice(start, start + planned.shape[2])
        spend[:, :, ahead] = planned * self._execution()[:, :, : planned.shape[2]]
        return self.levers.replace(incentive_spend=spend)

    def _execution(self) -> Array:
        """Spent over planned, mean 1, the same for every plan."""
        shape = (len(INCENTIVES), len(self.regions), 168 * self.scenario.horizon_weeks)
        cells = np.arange(int(np.prod(shape)), dtype=np.int64)
        key = stream_key(self.seed, EXECUTION_STREAM)
        normal = np.sqrt(-2 * np.log(uniforms(key, cells, 0))) * np.cos(
            2 * np.pi * uniforms(key, cells, 1)
        )
        factor: Array = np.exp(self.scenario.execution_noise * normal.reshape(shape))
        return factor

    def _played_hours(self, hours: pd.DatetimeIndex | None) -> int:
        ahead = self.environment.hours[168 * self.weeks :]
        if hours is None:
            return 168
        count = len(hours)
        whole = count > 0 and count % 24 == 0 and count <= len(ahead)
        if not whole or not hours.tz_convert("UTC").equals(ahead[:count]):
            raise WorldError(
                f"a world plays whole days from {ahead[0]} on, at most {len(ahead)} hours; got "
                f"{count} hours" + (f" from {hours[0]} to {hours[-1]}." if count else ".")
            )
        return count

    def _region_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "region": region.name,
                "zone": region.zone,
                "neighbours": list(region.neighbours),
                "opened_on": str(self.environment.hours[max(region.opened_hour, 0)].date()),
            }
            for region in self.regions
        ]

    def _manifest(self, planted: Planted) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": "market",
            "simulator": version("dagcast-simulator"),
            "regions": len(self.regions),
            "weeks": self.weeks,
            "seed": self.seed,
            "scenario": self.scenario.to_mapping(),
            "now": self.now.isoformat(),
            "incentives": list(INCENTIVES),
            "sessions": self._sessions_before,
            "shifts": self._shifts_before,
            "planted": planted.to_json(),
            "first_day": self._first_day(),
        }

    def _first_day(self) -> list[float]:
        """A fingerprint of the market: figures of its first day, cheap to live through again."""
        run = self._engine.run(self.levers, self._engine.initial_state(), 24)
        sessions = run.sessions
        return [
            float(sessions.shape[1]),
            float(sessions[5].sum()),
            round(float(sessions[6].sum()), 2),
            float(run.driver_minutes.sum()),
        ]

    def _save_states(self, path: Path) -> None:
        np.savez_compressed(
            path,
            driver=np.stack([state.driver for state in self._states]).astype(np.int32),
            tired=np.stack([state.tired for state in self._states]),
            region=np.stack([state.region for state in self._states]),
        )

    def restore(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """Take over states and pending rows that ``write_events`` left, instead of recomputing."""
        if self._first_day() != list(manifest["first_day"]):
            raise WorldError(
                f"the world in {folder} was written by simulator {manifest['simulator']} under "
                f"other laws: its first day had {manifest['first_day']} (sessions, rides, USD, "
                f"driver minutes), this version's has {self._first_day()}. Write its events again."
            )
        self._sessions_before = int(manifest["sessions"])
        self._shifts_before = int(manifest["shifts"])
        # What is missing or damaged is recomputed: everything follows from the seed.
        with suppress(OSError, ValueError, KeyError, BadZipFile, pa.ArrowInvalid):
            states = _read_states(folder / _TRUTH / "state.npz")
            self._pending = {
                name: pq.read_table(folder / _TRUTH / f"pending_{name}.parquet")
                for name in ("sessions", "shifts", "spend")
            }
            self._states = states


def _read_states(path: Path) -> list[State]:
    # numpy leaves a damaged file open when it is given the path.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
        driver, tired, region = saved["driver"], saved["tired"], saved["region"]
    return [
        State(driver[week].astype(np.int64), tired[week].copy(), region[week].copy(), 10080 * week)
        for week in range(len(driver))
    ]


def _mean(parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    stacked = np.stack(parts)
    seen = np.isfinite(stacked)
    return np.where(
        seen.any(axis=0),
        np.where(seen, stacked, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1),
        np.nan,
    )


def _write_json(path: Path, data: Any) -> int:
    path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    return len(data)
