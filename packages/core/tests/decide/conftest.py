"""A small market in three models: bonus hours, ETA, rides."""

import importlib.util
import sys
from pathlib import Path
from typing import final

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import Budget, DecisionProblem, Lever, Objective, OutcomeLimit
from dagcast_core.decide.compile import compile_problem
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection, ParameterDraws
from dagcast_core.solver import check_point
from dagcast_core.solver.problem._oracle import Oracle
from dagcast_core.tensor import IndexTensor, Panel

INCENTIVE = Dim("incentive")
REGION = Dim("region")

torch.set_num_threads(1)

SPEND = Quantity("spend", (INCENTIVE, REGION, HOUR), "USD/h", aggregation={"hour": "sum"})
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, None))
SUPPLY = Quantity("supply", (REGION, HOUR), "driver-hour/h", bounds=(0, None))
ETA = Quantity("eta", (REGION, HOUR), "min", bounds=(0, None))
RIDES = Quantity("rides", (REGION, HOUR), "ride/h", bounds=(0, None))
PROFIT = Quantity("profit", (REGION, HOUR), "USD/h")
WEATHER = Quantity("weather", (REGION, HOUR), "1")
CALM = Quantity("calm", (REGION, HOUR), "1")


@final
class Supply(Model):
    """Bonus hours saturate in spend."""

    contract = Contract("supply-model", inputs=(SPEND, SESSIONS), outputs=(SUPPLY,))

    def __init__(self, exponent=1.0, half=20.0):
        super().__init__()
        self.exponent = exponent
        self.half = half

    def forward(self, spend, sessions):
        if self.exponent == 1.0:
            answer = spend / (spend + self.half)
        else:
            power = (spend / self.half + 1e-6) ** self.exponent
            answer = power / (power + 1.0)
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
        return {"rides": rides, "profit": rides * 6.0 - spend.sum("incentive")}

    def loss_terms(self):
        return ()


@final
class LearnedSupply(Model):
    """The same with learned parameters, of which there can be draws."""

    contract = Contract("supply-model", inputs=(SPEND, SESSIONS), outputs=(SUPPLY,))

    def __init__(self, regions=("A", "B", "C"), incentives=("boost", "quest")):
        super().__init__()
        labels = {"incentive": incentives, "region": regions}
        self.need = self.parameter(
            INCENTIVE, REGION, labels=labels, start=20.0, transform="softplus"
        )
        self.gain = self.parameter(REGION, labels=regions, start=0.25, transform="softplus")

    def forward(self, spend, sessions):
        answer = spend / (spend + self.need.at(spend))
        return sessions * 0.7 + (sessions * answer * self.gain.at(sessions)).sum("incentive")

    def loss_terms(self):
        return ()


@final
class Calm(Model):
    """Depends on no lever."""

    contract = Contract("calm-model", inputs=(WEATHER,), outputs=(CALM,))

    def forward(self, weather):
        return weather * 2.0

    def loss_terms(self):
        return ()


REGIONS = ("A", "B", "C")
INCENTIVES = ("boost", "quest")


def market(exponent=1.0, **swapped):
    models = {"supply": Supply(exponent), "eta": Eta(), "rides": Rides(), "calm": Calm()}
    models.update(swapped)
    return ModelCollection(models.values(), name="market")


def context(hours=12, regions=REGIONS, incentives=INCENTIVES, seed=0):
    generator = torch.Generator().manual_seed(seed)
    index = {
        "region": list(regions),
        "hour": pd.date_range("2026-03-02", periods=hours, freq="h", tz="UTC"),
    }
    draw = torch.rand(3, hours, generator=generator, dtype=torch.float64)[: len(regions)]
    order = [REGIONS.index(r) for r in regions]
    sessions = 40.0 + 60.0 * draw[order] if set(regions) <= set(REGIONS) else 40.0 + 60 * draw
    spend = {"incentive": list(incentives), **index}
    return Panel(
        {
            "sessions": IndexTensor(sessions, index, "sessions"),
            "weather": IndexTensor(torch.ones_like(sessions), index, "weather"),
            "spend": IndexTensor.zeros(spend, "spend"),
        }
    )


def limits(eta=None, budget=900.0, total=2000.0):
    found = [
        Budget("spend", budget, by=("region",), unit="USD"),
        Budget("spend", total),
        OutcomeLimit("profit", ">=", 9850.0, reduce="sum", unit="USD"),
    ]
    if eta is not None:
        found.append(OutcomeLimit("eta", "<=", eta, by=("region",), unit="min"))
    return found


@pytest.fixture
def problem():
    """Rides under budgets, a profit floor and an ETA limit per region, all of which matter."""
    return DecisionProblem(
        market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        limits({"A": 4.6, "B": 4.03, "C": 4.6}),
        context(),
    )


@pytest.fixture(scope="session")
def plant():
    """Draws problems with planted conflicts; benchmarks load the same file."""
    name = "dagcast_core_tests_planted"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("planted.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.plant


@pytest.fixture
def interrupt_at_gradient(monkeypatch):
    """Presses Ctrl-C at a gradient: a function of its number, that returns how many are left."""

    def at(number):
        left = [number]
        gradient = Oracle.gradient

        def interrupted(self, *given, **named):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return gradient(self, *given, **named)

        monkeypatch.setattr(Oracle, "gradient", interrupted)
        return left

    return at


@pytest.fixture
def make():
    """Builds markets, contexts and limits."""
    return Make


class Make:
    """The builders of this folder, for tests that vary a problem."""

    market = staticmethod(market)
    context = staticmethod(context)
    limits = staticmethod(limits)
    Supply, Eta, Rides, Calm = Supply, Eta, Rides, Calm
    LearnedSupply = LearnedSupply

    @staticmethod
    def draws(model, count=32, spread=0.25, seed=0):
        """Draws around a model's parameters, each value on its own."""
        generator = torch.Generator().manual_seed(seed)
        states = {}
        for name, value in model.named_parameters():
            noise = torch.randn(count, *value.shape, generator=generator, dtype=torch.float64)
            states[name] = value.detach() * (1.0 + spread * noise)
        return ParameterDraws(states, "laplace", seed)


@pytest.fixture
def uncertain(make):
    """Builds a problem whose supply response is known by 32 draws."""

    def build(risk=None, constraints=None, count=32, spread=0.25, hours=12, **more):
        model = make.market(supply=make.LearnedSupply())
        return DecisionProblem(
            model,
            [Lever("spend", 0.0, 60.0)],
            Objective("rides"),
            make.limits()[:2] if constraints is None else constraints,
            make.context(hours=hours),
            draws=make.draws(model, count, spread),
            risk=risk,
            **more,
        )

    return build


@pytest.fixture
def judged():
    """Judges a plan and its prices by the problem alone; see `check_point`."""

    def judge(problem, plan):
        compiled = compile_problem(problem)
        budgets, rows = (
            torch.tensor(
                [compiled.goal.sign * p.price for p in plan.shadow_prices if p.kind == kind],
                dtype=torch.float64,
            )
            for kind in ("budget", "outcome")
        )
        x = compiled.space.flat(plan.decisions)
        return check_point(compiled.smooth, x, budgets, rows)

    return judge
