"""Rules for cells whose response is uncertain."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dagcast_core.decide import Budget, DecisionError, Fallback, Fixed, Options, Ramp, solve
from dagcast_core.model import ParameterDraws, predict_draws
from dagcast_core.tensor import IndexTensor, Panel

FINE = Options(gap=1e-4)


def narrow_but(model, region, count=32):
    """Draws that agree but for the gain of one region."""
    generator = torch.Generator().manual_seed(5)
    states = {}
    for name, value in model.named_parameters():
        spread = torch.full((count, *value.shape), 0.01, dtype=torch.float64)
        if name.endswith("gain.raw"):
            spread[:, "ABC".index(region)] = 0.9
        noise = torch.randn(count, *value.shape, generator=generator, dtype=torch.float64)
        states[name] = value.detach() * (1.0 + spread * noise)
    return ParameterDraws(states, "laplace", 5)


def current(problem, value=4.0):
    spend = problem.context["spend"]
    return Panel(spend=spend.with_tensor(torch.full(tuple(spend.shape), value).double()))


def halved(plan):
    return plan * 0.5


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        ("current", 4.0, "the current plan"),
        ("zero", 0.0, "the lower bound"),
        (0.25, 1.0, "25% of the current plan"),
        (halved, 2.0, "halved"),
    ],
)
def test_rule_decides_the_uncertain_cells_and_says_so(uncertain, rule, value, words):
    problem = uncertain()
    limits = [*problem.constraints, Fallback("spend", rule, width=0.5, quantity="rides")]
    problem = replace(
        problem,
        constraints=limits,
        current=current(problem),
        draws=narrow_but(problem.model, "B"),
    )
    plan = solve(problem, options=FINE)
    assert plan.status == "optimal"
    flags = plan.flags["spend"].values("region", "incentive", "hour")
    assert bool((flags[1] == 1).all())
    assert bool((flags[[0, 2]] == 0).all())
    spend = plan.decisions["spend"].values("region", "incentive", "hour")
    assert spend[1].flatten().tolist() == pytest.approx([value] * 24)
    assert len(plan.reasons) == 1
    assert words in plan.reasons[0]
    assert "90% interval" in plan.reasons[0]
    width = plan.response_width["spend"].values("region", "incentive", "hour")
    assert float(width[1].min()) > 0.5 > float(width[[0, 2]].max())


def test_width_is_that_of_finite_differences_draw_by_draw(uncertain):
    problem = uncertain(count=16)
    rule = Fallback("spend", "current", width=1e9, quantity="rides", level=0.8)
    problem = replace(problem, constraints=[*problem.constraints, rule], current=current(problem))
    plan = solve(problem, options=FINE)
    assert plan.reasons == ()
    spend = current(problem)["spend"]
    responses = []
    for sign in (-1.0, 1.0):
        moved = spend.tensor.clone()
        moved[1, 2, 5] += sign * 1e-4
        known = problem.context.assign(spend=spend.with_tensor(moved))
        rides = predict_draws(problem.model, known, problem.draws, ["rides"])["rides"]
        responses.append(rides.sum("region", "hour").tensor)
    slopes = (responses[1] - responses[0]) / 2e-4
    low, middle, high = np.quantile(slopes.numpy(), [0.1, 0.5, 0.9])
    found = float(plan.response_width["spend"].tensor[1, 2, 5])
    assert found == pytest.approx((high - low) / middle, rel=1e-4)


def test_rule_needs_values_only_where_it_decides(uncertain):
    problem = uncertain()
    limits = [*problem.constraints, Fallback("spend", "current", width=0.5, quantity="rides")]
    known = current(problem)["spend"]
    hollow = known.tensor.clone()
    hollow[:, 0] = float("nan")
    settings = {"constraints": limits, "draws": narrow_but(problem.model, "B")}
    plan = solve(
        replace(problem, current=Panel(spend=known.with_tensor(hollow)), **settings), options=FINE
    )
    assert plan.status == "optimal"
    hollow[0, 1, 7] = float("nan")
    with pytest.raises(
        DecisionError, match=r"no number for 1 cell\(s\), first spend\[boost, B, .*07"
    ):
        solve(replace(problem, current=Panel(spend=known.with_tensor(hollow)), **settings))


def test_rule_gives_way_to_people_budgets_and_ramps(uncertain):
    problem = uncertain()
    spend = problem.context["spend"]
    fixed = IndexTensor(
        [[[7.0]]],
        {"incentive": ["boost"], "region": ["B"], "hour": spend.index("hour")[3:4]},
        "spend",
    )
    wild = spend.with_tensor(torch.arange(12).double().mul(5.0).expand(2, 3, 12).clone())
    limits = [
        Budget("spend", 300.0, by=("region",)),
        Ramp("spend", 3.0, step=1),
        Fixed("spend", fixed),
        Fallback("spend", "current", width=0.5, quantity="rides"),
    ]
    problem = replace(
        problem,
        constraints=limits,
        current=Panel(spend=wild),
        draws=narrow_but(problem.model, "B"),
    )
    plan = solve(problem, options=FINE)
    assert plan.status in ("optimal", "feasible")
    values = plan.decisions["spend"].values("region", "incentive", "hour")
    assert float(values[1, 0, 3]) == pytest.approx(7.0)
    assert float(values[1].sum()) <= 300.0 * (1 + 1e-9)
    assert float((values[..., 1:] - values[..., :-1]).abs().max()) <= 3.0 * (1 + 1e-6)
    flags = plan.flags["spend"].values("region", "incentive", "hour")
    assert float(flags[1, 0, 3]) == 1.0
    assert plan.reasons[0] == "set by people"
    assert "to keep budgets and ramps" in plan.reasons[1]
