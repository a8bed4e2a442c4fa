"""Limits on weighted outcomes."""

from dataclasses import replace

import pytest

from dagcast_core.contract import Weighted
from dagcast_core.decide import (
    Budget,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    solve,
)

FINE = Options(gap=1e-6)


def test_ratio_of_two_outcomes_is_weighted_by_the_forecast_itself(problem):
    from dagcast_core.contract import Weighted

    limit = OutcomeLimit("eta", "<=", 4.2, reduce=Weighted("rides"))
    plan = solve(replace(problem, constraints=[limit, Budget("spend", 1500.0)]), options=FINE)
    rides, eta = plan.forecast["rides"], plan.forecast["eta"]
    ratio = float(((rides * eta).sum() / rides.sum()).item())
    assert plan.price_of("eta").used == pytest.approx(ratio)


def test_weighted_outcome_is_weighted(make):
    limit = OutcomeLimit("eta", "<=", {"B": 4.1}, by=("region",), reduce=Weighted("sessions"))
    problem = DecisionProblem(
        make.market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("profit"),
        [limit],
        make.context(),
    )
    plan = solve(problem)
    sessions, eta = problem.context["sessions"], plan.forecast["eta"]
    mean = (sessions * eta).sum("hour") / sessions.sum("hour")
    assert float(mean.sel(region="B").item()) == pytest.approx(4.1, rel=1e-5)
    assert [p.label for p in plan.shadow_prices] == ["B"]
