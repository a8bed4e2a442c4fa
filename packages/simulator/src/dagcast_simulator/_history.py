"""What happened under the levers of the past, week by week, and what would have under others."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dagcast_simulator._engine import Run, State
from dagcast_simulator._hourly import hourly, mean_of
from dagcast_simulator._levers import Levers
from dagcast_simulator._market import Market
from dagcast_simulator._operator import reaction
from dagcast_simulator._trials import Trial, apply_trial

Array = NDArray[np.float64]


class History:
    """The past of one world; each week is lived through when it is first asked for.

    Args:
        market: what the world stands on.
        trials: that ran within it, or go on beyond it.
        played: (incentive, region, hour of the week) spend of each week that was played after the
            history with which the world began, before trials, USD/h.
        states: at the start of the first weeks, where they are known; otherwise lived up to.
        reactions: the operator's, factors on the spend of the first weeks, where they are known.
        runs: what happened in some weeks, where it is known.
    """

    def __init__(
        self,
        market: Market,
        trials: tuple[Trial, ...],
        played: Sequence[Array] = (),
        states: Sequence[State] = (),
        reactions: Sequence[Array] = (),
        runs: Mapping[int, Run] | None = None,
    ) -> None:
        self.market = market
        self.trials = trials
        self.played = tuple(played)
        self.weeks = market.weeks + len(self.played)
        self._runs = dict(runs or {})
        self._states = list(states) or [market.engine.initial_state()]
        first = np.ones((len(market.region_names), 168))
        self._reactions = list(reactions) or [first]
        self._set_levers()

    @property
    def levers(self) -> Levers:
        """What was decided in the past, and what the operator's habit would be afterwards."""
        self._react_until(self.weeks)
        return self._levers

    @property
    def untried(self) -> Levers:
        """The same, had there been no trials."""
        self._react_until(self.weeks)
        return self._untried

    @property
    def reactions(self) -> list[Array]:
        """The operator's, by week, up to the first week ahead; (region, hour of the week)."""
        self._react_until(self.weeks)
        return self._reactions

    def runs(self) -> list[Run]:
        """What happened, one run per week."""
        return [self._run(week) for week in range(self.weeks)]

    def state_at(self, week: int) -> State:
        """The market at the start of a week; ``weeks`` is the moment of planning."""
        while len(self._states) <= week:
            self._run(len(self._states) - 1)
        return self._states[week]

    def states(self) -> list[State]:
        """At the start of every week and at the end of the last."""
        self.state_at(self.weeks)
        return self._states

    def after(
        self, market: Market, spend: Array, state: State, trials: tuple[Trial, ...]
    ) -> "History":
        """This history and one more week, which was played.

        Args:
            market: the same market, drawn further.
            spend: of the week before trials, (incentive, region, hour of the week), USD/h.
            state: at its end.
            trials: that were begun with it.
        """
        return History(
            market,
            (*self.trials, *trials),
            (*self.played, spend),
            (*self.states(), state),
            self.reactions,
            self._runs,
        )

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

    def _run(self, week: int) -> Run:
        if week not in self._runs:
            state = self.state_at(week)
            self._react_until(week)
            run = self.market.engine.run(self._levers, state, 168)
            self._runs[week] = run
            if len(self._states) == week + 1:
                self._states.append(run.state)
        return self._runs[week]

    def _react_until(self, week: int) -> None:
        """Know the operator's spend up to a week: each follows from the waits of the one before."""
        if not self.market.scenario.operator_reaction:
            return
        while len(self._reactions) <= week:
            run = self._run(len(self._reactions) - 1)
            seen = hourly(run, self._levers)
            self._reactions.append(reaction(self.market.scenario, seen["eta"], seen["sessions"]))
            self._set_levers()

    def _set_levers(self) -> None:
        spend = self.market.habits.incentive_spend
        if self.market.scenario.operator_reaction:
            known = np.concatenate(self._reactions, axis=1)[:, : spend.shape[2]]
            spend = spend.copy()
            spend[:, :, : known.shape[1]] = np.round(spend[:, :, : known.shape[1]] * known, 2)
        if self.played:
            spend = spend.copy()
            first = 168 * self.market.weeks
            spend[:, :, first : 168 * self.weeks] = np.concatenate(self.played, axis=2)
        self._untried = self.market.habits.replace(incentive_spend=spend)
        levers = self._untried
        for trial in self.trials:
            levers = apply_trial(levers, trial)
        self._levers = levers
