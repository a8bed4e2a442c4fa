"""Decision problems with conflicts planted on purpose, and the rows that were planted.

A feasible problem (a witness keeps every limit with room) is spoilt by one to three conflicts in
different regions: an ETA cap or a rides floor beyond what the region's budget can buy, or an ETA
cap and a profit floor that can be kept one at a time but not together.
"""

from dataclasses import dataclass, replace
from typing import final

import pandas as pd
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import (
    Budget,
    DecisionProblem,
    Lever,
    Objective,
    OutcomeLimit,
    solve,
    what_if,
)
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

INCENTIVE = Dim("incentive")
REGION = Dim("region")

SPEND = Quantity("spend", (INCENTIVE, REGION, HOUR), "USD/h", aggregation={"hour": "sum"})
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, None))
SUPPLY = Quantity("supply", (REGION, HOUR), "driver-hour/h", bounds=(0, None))
ETA = Quantity("eta", (REGION, HOUR), "min", bounds=(0, None))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h", bounds=(0, None))
PROFIT = Quantity("profit", (REGION, HOUR), "USD/h")

KINDS = ("eta", "rides", "pair")


@final
@dataclass(frozen=True)
class Planted:
    """A spoilt problem.

    Attributes:
        problem: has no plan.
        sound: the same before it was spoilt.
        rows: (quantity, region) of every planted row.
        kinds: of the conflicts.
    """

    problem: DecisionProblem
    sound: DecisionProblem
    rows: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]


@final
class Supply(Model):
    """Bonus hours saturate in spend, each region in its own way."""

    contract = Contract("supply-model", inputs=(SPEND, SESSIONS), outputs=(SUPPLY,))

    def __init__(self, need, regions, incentives):
        super().__init__()
        self.need = IndexTensor(need, {"incentive": incentives, "region": regions}, "need")

    def forward(self, spend, sessions):
        answer = spend / (spend + self.need)
        return sessions * 0.7 + (sessions * answer * 0.25).sum("incentive")

    def loss_terms(self):
        return ()


@final
class Eta(Model):
    """ETA falls in supply per session."""

    contract = Contract("eta-model", inputs=(SUPPLY, SESSIONS), outputs=(ETA,))

    def forward(self, supply, sessions):
        return 4.0 * (supply / sessions) ** -0.8

    def loss_terms(self):
        return ()


@final
class Rides(Model):
    """Conversion falls in ETA; profit is margin less spend."""

    contract = Contract("rides-model", inputs=(SESSIONS, ETA, SPEND), outputs=(RIDES, PROFIT))

    def forward(self, sessions, eta, spend):
        rides = sessions * (2.2 - 0.25 * eta).sigmoid()
        return {"rides": rides, "profit": rides * 3.0 - spend.sum("incentive")}

    def loss_terms(self):
        return ()


def plant(seed, regions=6, hours=8):
    """Draw a problem and spoil it.

    Args:
        seed: also gives the number of conflicts, 1 + seed % 3.
        regions: number of regions, at least 3.
        hours: of the horizon.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    names = [f"R{k}" for k in range(regions)]
    incentives = ["boost", "quest"]
    sessions = uniform(40, 100, regions, hours)
    index = {
        "region": names,
        "hour": pd.date_range("2026-03-02", periods=hours, freq="h", tz="UTC"),
    }
    context = Panel(
        {
            "sessions": IndexTensor(sessions, index, "sessions"),
            "spend": IndexTensor.zeros({"incentive": incentives, **index}, "spend"),
        }
    )
    model = ModelCollection(
        [Supply(uniform(10, 30, 2, regions), names, incentives), Eta(), Rides()], name="market"
    )
    budget = {
        name: float(amount) for name, amount in zip(names, uniform(300, 600, regions), strict=True)
    }
    levers = [Lever("spend", 0.0, 60.0)]
    budgets = [Budget("spend", budget, by=("region",)), Budget("spend", 0.9 * sum(budget.values()))]
    bare = DecisionProblem(model, levers, Objective("rides"), budgets, context)
    # The witness spends four fifths of each budget evenly; every limit leaves it 2 % of room.
    even = torch.tensor([0.8 * budget[name] / (2 * hours) for name in names], dtype=torch.float64)
    spend = context["spend"].with_tensor(even.view(1, -1, 1).expand(2, regions, hours).clone())
    seen = what_if(bare, Panel(spend=spend)).forecast
    hour_sum = {q: seen[q].sum("hour").tensor for q in ("rides", "profit")}
    caps = {
        "eta": dict(zip(names, (1.02 * seen["eta"].mean("hour").tensor).tolist(), strict=True)),
        "rides": dict(zip(names, (0.98 * hour_sum["rides"]).tolist(), strict=True)),
        "profit": dict(
            zip(names, (hour_sum["profit"] - 0.02 * hour_sum["profit"].abs()).tolist(), strict=True)
        ),
    }
    sound = _with_limits(bare, caps)
    count = 1 + seed % 3
    chosen = torch.randperm(regions, generator=generator)[:count].tolist()
    kinds = tuple(
        KINDS[int(torch.randint(0, len(KINDS), (1,), generator=generator))] for _ in chosen
    )
    rows = []
    for k, kind in zip(chosen, kinds, strict=True):
        region = names[k]
        share = float(uniform(0.02, 0.1, 1))
        best = _best(bare, region)
        if kind == "eta":
            caps["eta"][region] = best["eta"] * (1 - share)
            rows.append(("eta", region))
        elif kind == "rides":
            caps["rides"][region] = best["rides"] * (1 + share)
            rows.append(("rides", region))
        else:
            # The ETA of nearly all the budget, and the profit of nearly none of it.
            caps["eta"][region] = best["eta"] * 1.005
            caps["profit"][region] = best["idle"] - 0.1 * (best["idle"] - best["busy"])
            rows += [("eta", region), ("profit", region)]
    return Planted(_with_limits(bare, caps), sound, tuple(rows), kinds)


def _with_limits(bare, caps):
    return replace(
        bare,
        constraints=[
            *bare.constraints,
            OutcomeLimit("eta", "<=", dict(caps["eta"]), by=("region",)),
            OutcomeLimit("rides", ">=", dict(caps["rides"]), by=("region",), reduce="sum"),
            OutcomeLimit("profit", ">=", dict(caps["profit"]), by=("region",), reduce="sum"),
        ],
    )


def _best(bare, region):
    """What a region's own budget can buy at most, and its profit at both ends."""

    def of(quantity, how):
        def total(known):
            value = known[quantity].sel(region=[region])
            return value.tensor.mean() if how == "mean" else value.tensor.sum()

        return total

    low = solve(replace(bare, objective=Objective(of("eta", "mean"), "min")), starts=0)
    top = solve(replace(bare, objective=Objective(of("rides", "sum"))), starts=0)
    rich = solve(replace(bare, objective=Objective(of("profit", "sum"))), starts=0)
    return {
        "eta": low.objective,
        "rides": top.objective,
        "idle": rich.objective,
        "busy": float(low.forecast["profit"].sel(region=[region]).tensor.sum()),
    }
