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
        return self._market.habits.incentive_spend[:, :, week].copy()

    def levers(self, decisions: pd.DataFrame) -> Levers:
        """The levers of the whole horizon with ``decisions`` carried out in the weeks ahead.

        Raises:
            WorldError: decisions do not fit this world.
        """
        return self._with_spend(decided(decisions, self._market.region_names, self.hours))

    def outcome(self, decisions: pd.DataFrame, replications: int, hours: int) -> pd.DataFrame:
        """What would happen in the first ``hours`` ahead, mean over replications.

        Raises:
            WorldError: decisions or the number of replications do not fit.
        """
        if replications < 1:
            raise WorldError(f"replications must be at least 1; got {replications}")
        mean = self._history.replay(self.levers(decisions), self._first, hours, replications)
        return hourly_frame(mean, self._market.region_names, self.hours[:hours])

    def objective(
        self, weights: Mapping[str, float], spend: Array, replications: int | Sequence[int]
    ) -> float:
        """Weighted weekly sums of outcomes under ``spend`` (incentive, region, hour), USD/h."""
        levers = self._with_spend(spend)
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

    def _with_spend(self, planned: Array) -> Levers:
        spend = self._history.levers.incentive_spend.copy()
        spend[:, :, self._first :] = 0.0
        ahead = slice(self._first, self._first + planned.shape[2])
        spend[:, :, ahead] = planned * self._execution()[:, :, : planned.shape[2]]
        return self._history.levers.replace(incentive_spend=spend)

    def _execution(self) -> Array:
        """Spent over planned, mean 1, the same for every plan."""
        scenario = self._market.scenario
        shape = (len(INCENTIVES), len(self._market.region_names), 168 * scenario.horizon_weeks)
        cells = np.arange(int(np.prod(shape)), dtype=np.int64)
        key = stream_key(self._market.seed, EXECUTION_STREAM)
        normal = np.sqrt(-2 * np.log(uniforms(key, cells, 0))) * np.cos(
            2 * np.pi * uniforms(key, cells, 1)
        )
        factor: Array = np.exp(scenario.execution_noise * normal.reshape(shape))
        return factor
