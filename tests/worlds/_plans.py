"""Plans in simulated worlds: what they are worth in truth, and in hindsight.

The decision is the same for everybody: bonus spend of the planning week with the operator's own
money, for the objective that projects have. Guardrails and ramps are left out, because the direct
search knows none.

Truth is asked for in other replications (riders and drivers) than a search used, so that the luck
that a search fitted does not count.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from _market import Market

from dagcast.plans import BudgetLimit, Limits
from dagcast.workflow.common._problem import Setting, make_setting
from dagcast_core.decide import DecisionProblem, Options, Plan, Retrospective, retrospect, solve
from dagcast_core.model import LabelledParameter, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_simulator import BestPlan, best_plan

LEVER = "incentive_spend"
OPTIONS = Options(gap=1e-4)
# Replication 0 is the week that is played, 0 to SEARCHED - 1 are those of the search.
SEARCHED = 2
FRESH = range(1000, 1030)
# Over so many replications the hours that a bonus adds are averaged.
AVERAGED = 12

# What happened, as a project would see it.
OBSERVED = ("sessions", "driver_hours", "eta", "prime_time", "rides", "revenue", "driver_pay")

# The damage of each member: parameters whose values are moved up and down in turns by region and
# part of the day, in logs or log odds. Forecasts are then off by these factors, and the other way
# round elsewhere; a damage that is the same everywhere would leave the best split of a budget as
# it is, and cost nothing.
DAMAGES: Mapping[str, tuple[float, tuple[str, ...]]] = {
    "incentives": (2.0, ("reply", "when")),
    "driver-hours": (1.5, ("profile",)),
    "sessions": (1.0, ("organic-sessions.profile",)),
    "eta": (1.5, ("usual", "traffic")),
    "pricing": (1.0, ("conversion.habit", "quote-appeal.waiting", "money.fare")),
}
_PART_OF_DAY = 8


@dataclass(frozen=True)
class Round:
    """One planning round of a world.

    Attributes:
        market: the world and its project.
        setting: the decision, limited by bounds and the budget alone.
        weights: of the objective, by outcome.
        budget: USD of the week, the operator's.
    """

    market: Market
    setting: Setting
    weights: Mapping[str, float]
    budget: float

    def problem(self, model: ModelCollection) -> DecisionProblem:
        """The decision through one model."""
        return self.setting.problem(model)

    def plan(self, model: ModelCollection) -> Plan:
        """The best plan according to one model."""
        return solve(self.problem(model), options=OPTIONS)

    def worth(self, decisions: pd.DataFrame, replications: Sequence[int] = FRESH) -> float:
        """True objective of decisions, mean over replications."""
        world = self.market.world
        index = pd.MultiIndex.from_frame(
            world.operator_decisions()[["incentive", "region", "hour"]]
        )
        spend = decisions.set_index(["incentive", "region", "hour"])["usd"].reindex(index)
        if spend.isna().any():
            raise ValueError("decisions leave out cells of the planning week")
        shape = world.operator_spend().shape
        return world.objective(self.weights, spend.to_numpy().reshape(shape), replications)

    def nothing(self) -> pd.DataFrame:
        """Decisions that spend nothing."""
        return self.market.world.operator_decisions().assign(usd=0.0)

    def search(self, evaluations: int, start: pd.DataFrame | None = None) -> BestPlan:
        """The best plan by direct search."""
        return best_plan(
            self.market.world,
            self.weights,
            budget=self.budget,
            start=start,
            replications=SEARCHED,
            evaluations=evaluations,
        )

    def happened(self, decisions: pd.DataFrame) -> Panel:
        """The week as it would have come out, and what the market's data hide.

        Which drivers came for a bonus is never observed; only the simulator can live through the
        same week without any.
        """
        played = self._quantities(decisions)
        without = self._quantities(self.nothing())
        mean = self._quantities(decisions, AVERAGED), self._quantities(self.nothing(), AVERAGED)
        added = mean[0]["driver_hours"] - mean[1]["driver_hours"]
        return Panel(
            {
                **{name: played[name] for name in OBSERVED},
                "profit": played["profit"],
                "organic_driver_hours": without["driver_hours"].named("organic_driver_hours"),
                "incremental_driver_hours": added.named("incremental_driver_hours"),
                "gained_driver_hours": added.named("gained_driver_hours"),
            }
        )

    def hindsight(self, model: ModelCollection, plan: Plan) -> Retrospective:
        """Regret of a plan that was carried out as planned, and who caused it."""
        return retrospect(
            self.problem(model),
            plan.decisions,
            self.happened(decisions_of(plan)),
            planned=plan,
            options=OPTIONS,
        )

    def _quantities(self, decisions: pd.DataFrame, replications: int = 1) -> dict[str, IndexTensor]:
        world = self.market.world
        frame = world.outcome(decisions, replications=replications)
        labels = {"region": list(world.region_names), "hour": world.planning_hours}
        wide = frame.set_index(["region", "hour"]).reindex(
            pd.MultiIndex.from_product(labels.values())
        )
        shape = [len(index) for index in labels.values()]
        return {
            str(name): IndexTensor(
                wide[name].to_numpy(np.float64).reshape(shape), labels, str(name)
            )
            for name in wide.columns
        }


def make_round(market: Market) -> Round:
    """The planning round of a market, with the operator's money and no other limit."""
    setting = make_setting(market.session)
    budget = float(market.world.operator_spend().sum())
    only = Limits(setting.limits.bounds, (BudgetLimit((LEVER,), (), {}, {"": budget}),), (), ())
    weights = market.project.config.objective.weights
    return Round(market, replace(setting, limits=only), weights, budget)


def decisions_of(plan: Plan) -> pd.DataFrame:
    """A plan's decisions as the simulator takes them."""
    frame = plan.decisions[LEVER].detach().to_long("usd")
    # Rounding of the solver may leave a cell below zero by a hair.
    return frame.assign(usd=frame["usd"].clip(lower=0.0))


def damaged(model: ModelCollection, member: str, *, turn: int = 0) -> ModelCollection:
    """A copy of the collection in which one member's parameters are clearly wrong.

    Args:
        model: fitted; left as it is.
        member: see ``DAMAGES``.
        turn: even or odd: which cells are moved up and which down.

    Raises:
        ValueError: the member has none of the parameters that the table names.
    """
    size, names = DAMAGES[member]
    found = copy.deepcopy(model)
    moved = 0
    for name, parameter in found.members[member].named_modules():
        if isinstance(parameter, LabelledParameter) and name.endswith(names):
            with torch.no_grad():
                parameter.raw.add_(size * _up_and_down(parameter, turn))
            moved += 1
    if moved != len(names):
        raise ValueError(f"{member}: {moved} parameters moved; expected {', '.join(names)}")
    return found


def _up_and_down(parameter: LabelledParameter, turn: int) -> torch.Tensor:
    """1 and -1 in turns along region and part of the day, in the parameter's shape."""
    parity = torch.full(parameter.shape, turn, dtype=torch.long)
    for axis, (dim, count) in enumerate(zip(parameter.dims, parameter.shape, strict=True)):
        if dim not in ("region", "hour_of_week", "hour_class"):
            continue
        step = torch.arange(count) // (_PART_OF_DAY if dim == "hour_of_week" else 1)
        parity += step.reshape([-1 if a == axis else 1 for a in range(len(parameter.shape))])
    return 1.0 - 2.0 * (parity % 2).double()
