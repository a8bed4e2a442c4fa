"""What happened under the levers of the past, week by week, and what would have under others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._engine import Run, State
from dagcast_simulator._hourly import hourly, mean_of
from dagcast_simulator._levers import Levers
from dagcast_simulator._market import Market
from dagcast_simulator._trials import Trial, apply_trial

Array = NDArray[np.float64]


class History:
    """The past of one world; each week is lived through when it is first asked for.

    Args:
        market: what the world stands on.
        trials: that ran within it.
        weeks: its length.
        states: at the start of the first weeks, where they are known; otherwise lived up to.
    """

    def __init__(
        self,
        market: Market,
        trials: tuple[Trial, ...],
        weeks: int,
        states: Sequence[State] = (),
    ) -> None:
        self.market = market
        self.trials = trials
        self.weeks = weeks
        self._runs: list[Run] = []
        self._states = list(states) or [market.engine.initial_state()]
        levers = market.habits
        for trial in trials:
            levers = apply_trial(levers, trial)
        self.levers: Levers = levers

    def runs(self) -> list[Run]:
        """What happened, one run per week."""
        while len(self._runs) < self.weeks:
            week = len(self._runs)
            run = self.market.engine.run(self.levers, self._states[week], 168)
            self._runs.append(run)
            if len(self._states) == week + 1:
                self._states.append(run.state)
        return self._runs

    def state_at(self, week: int) -> State:
        """The market at the start of a week; ``weeks`` is the moment of planning."""
        if week >= len(self._states):
            self.runs()
        return self._states[week]

    def states(self) -> list[State]:
        """At the start of every week and at the end of the last."""
        self.state_at(self.weeks)
        return self._states

    def quantities(self) -> dict[str, Array]:
        """Hourly quantities (region, hour) of the whole history, by name."""
        parts = [hourly(run, self.levers) for run in self.runs()]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}

    def replay(
        self, levers: Levers, first: int, hours: int, replications: int = 1
    ) -> dict[str, Array]:
        """Hourly quantities of a part of the past under other levers.

        Args:
            levers: over the whole horizon.
            first: hour; the replay starts from the state at the beginning of its week.
            hours: length.
            replications: 1 meets the history's own riders and drivers; more average over others.
        """
        week = min(first // 168, self.weeks)
        skip = first - 168 * week
        state = self.state_at(week)
        parts = []
        for replication in range(replications):
            run = self.market.engine.run(levers, state, skip + hours, replication)
            parts.append({name: values[:, skip:] for name, values in hourly(run, levers).items()})
        return mean_of(parts)

    def with_trial(self, trial: Trial) -> dict[str, Array]:
        """Hourly history with another trial in it; NaN outside the hours that it needs."""
        levers = apply_trial(self.levers, trial)
        first = max(0, trial.start - (trial.hours if trial.design == "geo" else 0)) // 168 * 168
        end = trial.start + trial.hours
        part = self.replay(levers, first, end - first)
        shape = (len(self.market.environment.regions), 168 * self.weeks)
        whole = {key: np.full(shape, np.nan) for key in part}
        for key, values in part.items():
            whole[key][:, first:end] = values
        return whole

    def arms(self, trial: Trial) -> pd.DataFrame:
        """Sessions and rides of a user split by region, hour and arm."""
        parts = []
        for run in self.runs():
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
