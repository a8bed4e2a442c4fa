"""Tested labels keep to tested doses, and untested ones share what may go unmeasured."""

import math

import numpy as np
import pandas as pd
import pytest

from dagcast.plans import BudgetLimit, Reading, price_words
from dagcast.workflow.common._tested import Doses
from dagcast_core.evaluate import KnownDoses
from dagcast_core.tensor import IndexTensor

HOURS = pd.date_range("2026-03-02", periods=3, freq="h", tz="UTC", unit="us")
INF = math.inf


def known(label, high=None):
    trials = () if high is None else ("t",)
    dose = math.nan if high is None else high
    return KnownDoses("spend", {"kind": label}, 0.0 if trials else dose, dose, trials, (), (), 0, 1)


def spend():
    values = np.zeros((2, 2, 3))
    dims = {"kind": ["boost", "streak"], "region": ["SFO", "OAK"], "hour": HOURS}
    return IndexTensor(values, dims, "spend")


@pytest.mark.parametrize("upper", [INF, 5.0, 100.0])
def test_only_labels_with_a_trial_are_capped(upper):
    doses = Doses({"spend": (known("boost", 10.0), known("streak"))}, "region")
    found = doses.within(spend(), upper)
    assert set(found.sel(kind="boost").tensor.flatten().tolist()) == {min(11.0, upper)}
    assert set(found.sel(kind="streak").tensor.flatten().tolist()) == {upper}
    cells = spend() + 3.0
    assert float(doses.within(spend(), cells).tensor.max()) == 3.0


def test_untested_labels_share_a_part_of_the_whole_budget():
    doses = Doses({"spend": (known("boost", 10.0), known("streak"))}, "region")
    whole = BudgetLimit(("spend",), (), {}, {"": 1000.0})
    region = BudgetLimit(("spend",), ("region",), {}, {"SFO": 10.0})
    shared = BudgetLimit(("spend", "other"), (), {}, {"": 1.0})
    found = list(doses.budgets_of_untested((whole, region, shared), 0.2))
    assert found == [("spend", {"kind": ("streak",)}, 200.0)]
    assert list(doses.budgets_of_untested((whole,), None)) == []
    assert list(doses.budgets_of_untested((region, shared), 0.2)) == []
    tested = Doses({"spend": (known("boost", 10.0), known("streak", 1.0))}, "region")
    assert list(tested.budgets_of_untested((whole,), 0.2)) == []


PARTS = (
    (Reading("Profit", "USD/h", "money", "higher", True), 2.98),
    (Reading("Rides", "ride/h", "number", "higher", True), 0.653),
)


def test_price_of_a_budget_is_said_in_each_part_of_the_objective():
    words = price_words(5.6, "<=", "USD", "profit + 4 rides", "USD", PARTS)
    assert words == (
        "one dollar more allowed adds $5.60 of profit + 4 rides: +$2.98 profit and +0.653 rides"
    )
    required = price_words(-5.6, ">=", "USD", "worth", "USD", [(PARTS[0][0], -2.98)])
    assert required == "one dollar less required adds $5.60 of worth: +$2.98 profit"
    assert price_words(5.6, "<=", "USD", "profit", "USD").endswith("adds $5.60 of profit")
