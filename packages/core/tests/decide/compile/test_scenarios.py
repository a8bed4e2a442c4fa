"""One evaluation under every draw."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import Options, Risk, solve
from dagcast_core.model import predict_draws

FINE = Options(gap=1e-4)


def test_draws_are_averaged_as_if_each_were_run_alone(uncertain):
    problem = uncertain(Risk("mean"))
    plan = solve(problem, options=FINE)
    assert plan.status == "optimal"
    known = problem.context.assign(spend=plan.decisions["spend"])
    one_by_one = predict_draws(problem.model, known, problem.draws, ["rides"])["rides"]
    totals = one_by_one.sum("region", "hour").tensor
    assert plan.objective_draws == pytest.approx(totals.tolist(), rel=1e-12)
    assert plan.objective == pytest.approx(float(totals.mean()), rel=1e-12)


def test_models_that_look_at_values_are_run_draw_by_draw_with_the_same_result(make, uncertain):
    class Looking(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            if float(supply.tensor.detach().sum()) < 0:
                raise ValueError("negative supply")
            return super().forward(supply, sessions)

    problem = uncertain(Risk("cvar", 0.25), count=8)
    other = make.market(supply=make.LearnedSupply(), eta=Looking())
    looked = solve(replace(problem, model=other), options=FINE)
    plan = solve(problem, options=FINE)
    assert looked.objective == pytest.approx(plan.objective, rel=1e-9)
    torch.testing.assert_close(
        looked.decisions["spend"].tensor, plan.decisions["spend"].tensor, atol=1e-6, rtol=0
    )
