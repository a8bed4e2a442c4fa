import pandas as pd

from dagcast_core.contract import Contract, Dim, Effect, Quantity
from dagcast_core.decide import Budget, DecisionProblem, Lever, Objective, solve
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")
SUM = {"region": "sum", "hour": "sum"}
SPEND = Quantity("spend", (REGION, HOUR), "USD/h", aggregation=SUM, bounds=(0, None))
DEMAND = Quantity("demand", (REGION, HOUR), "ride/h", bounds=(0, None))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h", aggregation=SUM)


class Rides(Model):
    """Bonuses serve more of the demand, less and less of it per dollar."""

    contract = Contract(
        "rides",
        inputs=(SPEND, DEMAND),
        outputs=(RIDES,),
        effects=(Effect(SPEND, RIDES, "+"), Effect(DEMAND, RIDES, "+")),
    )

    def forward(self, spend, demand):
        return demand * (0.5 + 0.5 * spend / (spend + 10.0))

    def loss_terms(self):
        return ()


hours = pd.date_range("2026-01-05", periods=4, freq="h", tz="UTC")
cells = {"region": ["SFO", "LAX"], "hour": hours}
demand = IndexTensor([[10.0, 40.0, 20.0, 10.0], [5.0, 10.0, 20.0, 5.0]], cells, "demand")
problem = DecisionProblem(
    Rides(),
    levers=[Lever("spend", lower=0.0, upper=40.0)],
    objective=Objective("rides"),
    constraints=[Budget("spend", 60.0, unit="USD")],
    context=Panel([demand]),
    current=Panel([demand.zeros_like().named("spend")]),
)
plan = solve(problem)
assert plan.status == "optimal"
spent = plan.decisions["spend"]
assert abs(spent.sum().item() - 60.0) < 1e-3
assert spent.sel(region="SFO", hour=hours[1]).item() == spent.max().item()
