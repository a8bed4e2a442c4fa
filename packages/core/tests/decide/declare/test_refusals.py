"""What cannot be meant is refused before anything is solved."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.contract import Weighted
from dagcast_core.decide import (
    Budget,
    DecisionError,
    Fixed,
    Lever,
    Objective,
    OutcomeLimit,
    Ramp,
    solve,
)
from dagcast_core.tensor import IndexTensor, Panel


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levers": [Lever("spent")]}, "lever 'spent' is no input of market. Nearest: 'spend'"),
        ({"objective": Objective("ride")}, "Nearest: 'rides'"),
        ({"objective": Objective("calm")}, "no lever reaches the objective 'calm'"),
        ({"constraints": [Budget("spend", -1.0)]}, "is -1; a budget is at least 0"),
        ({"constraints": [Budget("spend", 5.0, unit="EUR")]}, "stated in 'EUR', but .* 'USD'"),
        ({"constraints": [Budget("spend", 5.0, by=("city",))]}, "no such dim. Known: 'incentive'"),
        ({"constraints": [Budget("spend", {"a": 5.0}, by=("region",))]}, "limit for 'a'"),
        (
            {"constraints": [Budget("spend", 5.0, where={"incentive": ("bost",)})]},
            "no such label. Nearest: 'boost'",
        ),
        ({"constraints": [OutcomeLimit("eta_min", "<=", 4.0)]}, "concerns no output"),
        ({"constraints": [OutcomeLimit("eta", "<", 4.0)]}, "write '<=' or '>='"),
        ({"constraints": [OutcomeLimit("eta", "<=", 240.0, unit="s")]}, "stated in 's'"),
        ({"constraints": [OutcomeLimit("calm", "<=", 1.0)]}, "cannot be influenced"),
        (
            {"constraints": [OutcomeLimit("eta", "<=", 4.0, reduce=Weighted("ride"))]},
            "Nearest: 'rides'",
        ),
        ({"levers": [Lever("spend", 5.0, 1.0)]}, "bounds of 'spend' cross"),
        ({"context": Panel()}, "the context lacks 'spend'|the context lacks 'sessions'"),
    ],
)
def test_nonsense_is_refused_before_solving(problem, change, message):
    with pytest.raises(DecisionError, match=message):
        solve(replace(problem, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"constraints": [OutcomeLimit("eta", "<=", float("nan"))]}, "is NaN. Give a number"),
        (
            {"constraints": [OutcomeLimit("eta", "<=", {"A": float("nan")}, by=("region",))]},
            "is NaN for 'A'",
        ),
        ({"constraints": [Budget("spend", float("nan"))]}, "budget of 'spend' is NaN"),
        ({"objective": Objective({"rides": float("nan")})}, "weight of 'rides' is nan"),
        ({"objective": Objective({"rides": 0.0})}, "all weights of the objective are 0"),
        ({"objective": Objective("rides", "most")}, "write 'max' or 'min'"),
        ({"objective": Objective(3.0)}, "a function of the forecast; found a float"),
        (
            {"constraints": [Budget("spend", 1.0, groups={"region": {"A": "west"}})]},
            "groups of 'region', which is not in by",
        ),
        (
            {
                "constraints": [
                    Budget("spend", 1.0, by=("region",), groups={"region": {"Z": "west"}})
                ]
            },
            "region 'Z' is no label",
        ),
        (
            {"constraints": [OutcomeLimit("eta", "<=", 4.0, chance=0.9)]},
            "a chance is measured over draws",
        ),
        ({"constraints": [Fixed("spent", IndexTensor.zeros({"hour": [1]}, "x"))]}, "no lever here"),
        (
            {"constraints": [Fixed("spend", IndexTensor.zeros({"hour": [1]}, "x"))]},
            "have the dims hour; expected incentive, region, hour",
        ),
        ({"levers": ["spend"]}, "the text 'spend' is no lever; write Lever"),
        ({"levers": [Lever("spend", "0")]}, "lower bound of 'spend' is the text '0'"),
        ({"levers": [Lever("spend", float("inf"))]}, "which no decision reaches"),
        ({"constraints": ["budget"]}, "the text 'budget' is no constraint; use Budget"),
        ({"constraints": [Budget("spend", "100")]}, "budget of 'spend' is the text '100'"),
        ({"constraints": [Budget("spend", None)]}, "budget of 'spend' is None; give a number"),
        ({"constraints": [Budget("spend", {}, by=("region",))]}, "has no limit for any label"),
        ({"constraints": [Budget("spend", 1.0, by="region")]}, r"write by=\('region',\)"),
        (
            {"constraints": [Budget("spend", 1.0, by=("region", "region"))]},
            "names a dim twice",
        ),
        ({"constraints": [Budget("spend", 1.0, where={"region": ()})]}, "would limit nothing"),
        (
            {"constraints": [Budget("spend", 1.0, where={"region": "A"})]},
            r"write where=\{'region': \('A',\)\}",
        ),
        ({"constraints": [OutcomeLimit("eta", "<=", float("-inf"))]}, "which nothing keeps"),
        ({"constraints": [OutcomeLimit("eta", ">=", float("inf"))]}, "which nothing keeps"),
        (
            {
                "constraints": [
                    OutcomeLimit("eta", "<=", {"A": 4.0}, by=("region",), where={"region": ("B",)})
                ]
            },
            "limit for 'A' that no cell counts towards",
        ),
        ({"constraints": [Budget("spend", 9.0), Budget("spend", 9.0)]}, "is stated twice"),
        (
            {"constraints": 2 * [OutcomeLimit("eta", "<=", {"A": 4.6}, by=("region",))]},
            "mean of eta A <= 4.6 min is stated twice",
        ),
        ({"constraints": [Ramp("spend", float("nan"))]}, "has limit nan and step 24"),
        ({"constraints": [Ramp("spend", -1.0)]}, "has limit -1 and step 24"),
        ({"constraints": [Ramp("spend", 1.0, step=1.5)]}, "a step is a whole number"),
        ({"constraints": [Fixed("spend", 3.0)]}, "fixed cells of 'spend' are a float"),
    ],
)
def test_more_nonsense_is_refused_before_solving(problem, change, message):
    with pytest.raises(DecisionError, match=message):
        solve(replace(problem, **change))


def test_cells_bounds_and_labels_that_make_no_sense_are_named(make, problem):
    spend = problem.context["spend"]
    high = spend.with_tensor(torch.full(tuple(spend.shape), 5.0).double())
    low = high.tensor.clone()
    low[1, 2, 3] = 6.0
    with pytest.raises(DecisionError, match=r"cross in 1 cell.*spend\[quest, C, 2026-03-02 03:00"):
        replace(problem, levers=[Lever("spend", spend.with_tensor(low), high)])
    low[1, 2, 3] = float("nan")
    with pytest.raises(DecisionError, match=r"spend\[quest, C, 2026-03-02 03:00\] is NaN"):
        replace(problem, levers=[Lever("spend", spend.with_tensor(low), high)])
    strange = IndexTensor(
        [[[1.0]]],
        {"incentive": ["bost"], "region": ["A"], "hour": spend.index("hour")[:1]},
        "spend",
    )
    with pytest.raises(DecisionError, match="incentive 'bost', which is not decided. Nearest"):
        replace(problem, constraints=[Fixed("spend", strange)])
    with pytest.raises(DecisionError, match="has no cells: the context has no labels"):
        replace(problem, context=make.context(hours=0))
