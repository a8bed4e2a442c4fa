"""Decisions about the weeks ahead: what the operator would do, and what any plan would bring."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._decisions import WorldError, decided
from dagcast_simulator._history import History
from dagcast_simulator._hourly import hourly, hourly_frame
from dagcast_simulator._levers import INCENTIVES, Levers
from dagcast_simulator._random import EXECUTION_STREAM, stream_key, uniforms
from dagcast_simulator._trials import Trial, apply_trial

Array = NDArray[np.float64]


class Planning:
    """The weeks after a history, under decisions.

    Args:
        history: what came before.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._market = history.market
        self._first = 168 * history.weeks

    @property
    def hours(self) -> pd.DatetimeIndex:
        """All hours ahead that can be planned, UTC."""
        return self._market.hours[self._first :]

    def operator_spend(self) -> Array:
        """(incentive, region, hour) of the first week ahead: the operator's rule, USD/h."""
        week = slice(self._first, self._first + 168)
        return self._history.untried.incentive_spend[:, :, week].copy()

    def carried_out(self, decisions: pd.DataFrame) -> Array:
        """(incentive, region, hour) what ``decisions`` come to in the weeks ahead, USD/h.

        Raises:
            WorldError: decisions do not fit this world.
        """
        return self._executed(decided(decisions, self._market.region_names, self.hours))

    def levers(self, spend: Array, trials: tuple[Trial, ...] = ()) -> Levers:
        """The levers of the whole horizon with ``spend`` in the weeks ahead.

        Args:
            spend: as it is carried out; what it leaves out is 0.
            trials: that begin ahead, beside those that go on; each has its own cells.
        """
        all_trials = (*self._history.trials, *trials)
        running = [trial for trial in all_trials if trial.start + trial.hours > self._first]
        base = self._history.untried if running else self._history.levers
        whole = base.incentive_spend.copy()
        whole[:, :, self._first :] = 0.0
        whole[:, :, self._first : self._first + spend.shape[2]] = spend
        levers = base.replace(incentive_spend=whole)
        for trial in all_trials if running else ():
            levers = apply_trial(levers, trial)
        return levers

    def outcome(self, decisions: pd.DataFrame, replications: int, hours: int) -> pd.DataFrame:
        """What would happen in the first ``hours`` ahead, mean over replications.

        Raises:
            WorldError: decisions or the number of replications do not fit.
        """
        if replications < 1:
            raise WorldError(f"replications must be at least 1; got {replications}")
        levers = self.levers(self.carried_out(decisions))
        mean = self._history.replay(levers, self._first, hours, replications)
        return hourly_frame(mean, self._market.region_names, self.hours[:hours])

    def objective(
        self, weights: Mapping[str, float], spend: Array, replications: int | Sequence[int]
    ) -> float:
        """Weighted weekly sums of outcomes under ``spend`` (incentive, region, hour), USD/h."""
        levers = self.levers(self._executed(spend))
        state = self._history.state_at(self._history.weeks)
        chosen = range(replications) if isinstance(replications, int) else replications
        values = []
        for replication in chosen:
            found = hourly(self._market.engine.run(levers, state, 168, replication), levers)
            values.append(sum(weight * found[name].sum() for name, weight in weights.items()))
        return float(sum(values) / len(values))

    def count(self, hours: pd.DatetimeIndex | None) -> int:
        """Number of hours to play: one week if not given.

        Raises:
            WorldError: the hours are not whole days from the start of the weeks ahead.
        """
        ahead = self.hours
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

    def _executed(self, planned: Array) -> Array:
        """What planned spend comes to: on average as planned, and off alike for every plan."""
        scenario = self._market.scenario
        # The first horizon is numbered as a whole, each week after it for itself.
        founded, weeks = self._market.weeks, planned.shape[2] // 168 + 1
        regions, horizon = len(self._market.region_names), scenario.horizon_weeks
        first = np.arange(len(INCENTIVES) * regions * 168 * horizon, dtype=np.int64)
        parts = [first.reshape(len(INCENTIVES), regions, -1)]
        for _ in range(self._history.weeks - founded + weeks):
            size = len(INCENTIVES) * regions * 168
            after = int(parts[-1].max()) + 1 + np.arange(size, dtype=np.int64)
            parts.append(after.reshape(len(INCENTIVES), regions, 168))
        since = 168 * (self._history.weeks - founded)
        cells = np.concatenate(parts, axis=2)[:, :, since : since + planned.shape[2]]
        key = stream_key(self._market.seed, EXECUTION_STREAM)
        normal = np.sqrt(-2 * np.log(uniforms(key, cells.ravel(), 0))) * np.cos(
            2 * np.pi * uniforms(key, cells.ravel(), 1)
        )
        executed: Array = planned * np.exp(scenario.execution_noise * normal.reshape(planned.shape))
        return executed
