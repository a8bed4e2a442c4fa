"""Which cells are probed for curvature at once: found from the outcomes' dims, by no name."""

from typing import final

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import DecisionProblem, Lever, Objective, OutcomeLimit
from dagcast_core.decide.compile import compile_problem
from dagcast_core.dims import HOUR
from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel

SHIFT, DEPOT = Dim("shift"), Dim("depot")
PAY = Quantity("pay", (SHIFT, DEPOT, HOUR), "EUR/h", aggregation={"hour": "sum"})
PICKERS = Quantity("pickers", (SHIFT, DEPOT, HOUR), "picker/h", bounds=(0, None))
ORDERS = Quantity("orders", (DEPOT, HOUR), "order/h", bounds=(0, None))
INDEXES = {
    "shift": ["day", "night", "extra"],
    "depot": ["north", "south"],
    "hour": pd.date_range("2026-03-02", periods=4, freq="h", tz="UTC"),
}


@final
class Depots(Model):
    """Shifts of one depot compete for the same orders."""

    contract = Contract("depots", inputs=(PAY,), outputs=(PICKERS, ORDERS))

    def forward(self, pay):
        pickers = (pay + 1.0).log()
        return {"pickers": pickers, "orders": (1.0 + pickers.sum("shift")).log()}

    def loss_terms(self):
        return ()


def _probed(objective, *limits):
    problem = DecisionProblem(
        Depots(),
        [Lever("pay", 0.0, 10.0)],
        Objective(objective),
        limits,
        Panel([IndexTensor.zeros(INDEXES, "pay")]),
    )
    probes = compile_problem(problem).smooth.probes
    assert torch.equal(probes.sum(0), torch.ones(probes.shape[1], dtype=torch.int64))
    return probes.reshape(-1, 3, 2, 4)


@pytest.mark.parametrize(
    ("objective", "limits"),
    [
        ("orders", ()),
        ("orders", (OutcomeLimit("pickers", "<=", 90.0, reduce="sum"),)),
        (lambda known: known["orders"].sum(), ()),
    ],
    ids=["orders", "and pickers", "a function"],
)
def test_types_that_share_an_outcome_are_probed_one_by_one(objective, limits):
    probes = _probed(objective, *limits)
    assert len(probes) == 3
    for number, probe in enumerate(probes):
        assert bool(probe[number].all())


def test_cells_that_outcomes_keep_apart_are_probed_together():
    assert len(_probed("pickers")) == 1


def test_a_levers_own_total_says_nothing_of_who_acts_on_whom():
    fewest = OutcomeLimit("orders", ">=", 1.0, reduce="sum")
    assert len(_probed({"pay": -1.0}, fewest)) == 3
