"""Labelled problems: plans, their limits, what is refused.

And what is said about infeasible ones.
"""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Weighted
from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Fixed,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    Plan,
    Ramp,
    solve,
    what_if,
)
from dagcast_core.tensor import IndexTensor, Panel

FINE = Options(gap=1e-6)


def test_plan_is_optimal_and_keeps_every_limit(problem):
    plan = solve(problem, options=FINE)
    assert plan.status == "optimal"
    assert plan.worst_violation <= 1e-6
    assert plan.gap_bound <= 1e-6 * plan.lift
    spend = plan.decisions["spend"]
    assert float(spend.sum().item()) <= 2000 * (1 + 1e-9)
    assert bool((spend.sum("incentive", "hour").tensor <= 900 * (1 + 1e-9)).all())
    assert float(plan.forecast["eta"].sel(region="B").mean().item()) <= 4.03 * (1 + 1e-6)
    assert float(plan.forecast["profit"].sum().item()) >= 9850 * (1 - 1e-6)


def test_no_random_feasible_plan_is_better(problem):
    plan = solve(problem, options=FINE)
    generator = torch.Generator().manual_seed(0)
    spend = plan.decisions["spend"]
    tried = 0
    for _ in range(60):
        noise = 1 + 0.2 * torch.randn(spend.shape, generator=generator, dtype=torch.float64)
        other = spend.with_tensor((spend.tensor * noise).clamp(0, 60))
        judged = what_if(problem, Panel(spend=other))
        if judged.status == "feasible":
            tried += 1
            assert judged.objective <= plan.objective + 1e-9
    again = what_if(problem, plan.decisions)
    assert again.status == "feasible"
    assert again.objective == pytest.approx(plan.objective, rel=1e-12)


def test_shadow_prices_have_labels_units_and_agree_with_solving_again(problem):
    plan = solve(problem, options=FINE)
    floor = plan.price_of("profit")
    assert floor.unit == "USD"
    assert floor.price_unit == "ride per USD"
    assert floor.price < 0
    assert "profit" in floor.words
    assert "ride" in floor.words
    at_b = plan.price_of("eta", "B")
    assert at_b.price > 0
    assert at_b.unit == "min"
    more = []
    for amount in (-0.5, 0.5):
        changed = [
            replace(c, limit=c.limit + amount)
            if isinstance(c, OutcomeLimit) and c.quantity == "profit"
            else c
            for c in problem.constraints
        ]
        more.append(solve(replace(problem, constraints=changed), plan, options=FINE).objective)
    assert more[1] - more[0] == pytest.approx(floor.price, rel=1e-3)


def test_labels_may_come_in_any_order(make, problem):
    plan = solve(problem, options=FINE)
    shuffled = make.context(regions=("C", "A", "B"), incentives=("quest", "boost"))
    other = solve(replace(problem, context=shuffled), options=FINE)
    wanted = plan.decisions["spend"]
    found = other.decisions["spend"].reindex(
        incentive=wanted.index("incentive"), region=wanted.index("region")
    )
    torch.testing.assert_close(found.tensor, wanted.tensor, atol=1e-4, rtol=0)
    assert other.objective == pytest.approx(plan.objective, rel=1e-9)


def test_ramp_fixed_cells_and_restricted_budget_are_kept(make, problem):
    spend = problem.context["spend"]
    hour = spend.index("hour")
    fixed = IndexTensor(
        [[[7.0]]], {"incentive": ["boost"], "region": ["A"], "hour": hour[3:4]}, "spend"
    )
    earlier = IndexTensor.full(
        {
            "incentive": spend.index("incentive"),
            "region": spend.index("region"),
            "hour": pd.date_range(hour[0] - pd.Timedelta("3h"), periods=3, freq="h"),
        },
        2.0,
        "spend",
    )
    constrained = replace(
        problem,
        constraints=[
            *make.limits()[:2],
            Budget("spend", 300.0, where={"incentive": ("quest",)}),
            Ramp("spend", 4.0, step=3),
            Fixed("spend", fixed),
        ],
        current=Panel([earlier]),
    )
    plan = solve(constrained)
    assert plan.status == "optimal"
    values = plan.decisions["spend"].values("incentive", "region", "hour")
    assert float(values[0, 0, 3]) == pytest.approx(7.0)
    assert float(values[1].sum()) <= 300 * (1 + 1e-9)
    change = (values[..., 3:] - values[..., :-3]).abs()
    assert float(change.max()) <= 4.0 * (1 + 1e-9)
    assert float((values[..., :3] - 2.0).abs().max()) <= 4.0 + 1e-9
    assert float(plan.flags["spend"].sum().item()) == 1.0


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


def test_minimised_objective_has_prices_of_the_right_sign(make):
    problem = DecisionProblem(
        make.market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("eta", "min"),
        [Budget("spend", 500.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.objective < plan.baseline
    assert plan.price_of("spend").price < 0


def test_marginal_effects_are_the_derivatives_of_the_forecast(problem):
    plan = solve(problem)
    effect = plan.marginal_effects["eta"]
    assert effect.dims == ("incentive", "region", "hour")
    spend = plan.decisions["spend"]
    bumped = spend.tensor.clone()
    bumped[1, 2, 5] += 1e-4
    moved = what_if(problem, Panel(spend=spend.with_tensor(bumped)))
    change = (moved.forecast["eta"].tensor - plan.forecast["eta"].tensor).sum() / 1e-4
    assert float(effect.tensor[1, 2, 5]) == pytest.approx(float(change), rel=1e-3)


def test_sensitivities_agree_with_solving_again(problem):
    plan = solve(problem, options=FINE)
    effect = next(s for s in plan.sensitivities if s.name == "sessions").effect
    ends = []
    for factor in (0.999, 1.001):
        sessions = problem.context["sessions"]
        changed = problem.context.assign(sessions=sessions.with_tensor(sessions.tensor * factor))
        ends.append(solve(replace(problem, context=changed), plan, options=FINE).objective)
    assert (ends[1] - ends[0]) / 0.2 == pytest.approx(effect, rel=5e-3)


def test_best_to_spend_nothing_is_a_plan(make):
    problem = DecisionProblem(
        make.market(exponent=1.0, supply=make.Supply(half=1e4)),
        [Lever("spend", 0.0, 60.0)],
        Objective("profit"),
        [],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "optimal"
    assert float(plan.decisions["spend"].sum().item()) == 0.0


def test_threshold_response_is_not_called_optimal_and_beats_a_single_start(make):
    """Spending nothing is a trap for a response with a threshold."""
    problem = DecisionProblem(
        make.market(exponent=3.0),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 700.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "feasible"
    assert plan.concavity == "refuted"
    assert plan.gap_bound is None
    assert "best known" in plan.message
    trapped = solve(problem, Panel(spend=problem.context["spend"]), starts=0)
    assert plan.objective >= trapped.objective - 1e-9


def test_saved_plan_is_the_same_and_damage_is_found(problem, tmp_path):
    plan = solve(problem).with_provenance(as_of="2026-03-01T00:00Z")
    plan.save(tmp_path / "plan")
    loaded = Plan.load(tmp_path / "plan")
    assert torch.equal(loaded.decisions["spend"].tensor, plan.decisions["spend"].tensor)
    assert loaded.shadow_prices == plan.shadow_prices
    assert loaded.sensitivities == plan.sensitivities
    assert loaded.objective == plan.objective
    assert loaded.provenance["as_of"] == "2026-03-01T00:00Z"
    again = solve(problem, loaded)
    assert again.objective == pytest.approx(plan.objective, rel=1e-9)
    with pytest.raises(DecisionError, match="not empty"):
        plan.save(tmp_path / "plan")
    victim = next((tmp_path / "plan" / "decisions").rglob("*.safetensors"))
    victim.write_bytes(victim.read_bytes() + b"x")
    with pytest.raises(DecisionError, match="damaged"):
        Plan.load(tmp_path / "plan")


def test_replay_gives_the_same_plan(problem):
    first, second = solve(problem), solve(problem)
    assert torch.equal(first.decisions["spend"].tensor, second.decisions["spend"].tensor)


# What is refused, and how.


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


def test_fixed_cells_outside_bounds_are_named(problem):
    spend = problem.context["spend"]
    fixed = spend.isel(hour=slice(0, 1)).with_tensor(torch.full((2, 3, 1), 99.0).double())
    with pytest.raises(DecisionError, match=r"spend\[boost, A, 2026-03-02 00:00\] = 99"):
        solve(replace(problem, constraints=[Fixed("spend", fixed)]))


def test_budget_below_fixed_cells_is_named_with_the_amount(problem):
    spend = problem.context["spend"]
    fixed = spend.with_tensor(torch.full(tuple(spend.shape), 10.0).double())
    limits = [Fixed("spend", fixed), Budget("spend", 100.0, by=("region",))]
    with pytest.raises(DecisionError, match="sum of spend A <= 100 USD is exceeded by 140 USD"):
        solve(replace(problem, constraints=limits))


@pytest.mark.parametrize("planted", [("B",), ("A", "C")])
def test_planted_conflicts_are_named_with_what_would_do(make, problem, planted):
    """No spend within the budget reaches these ETA limits; the others are easy."""
    eta = {"A": 5.0, "B": 5.0, "C": 5.0, **dict.fromkeys(planted, 3.0)}
    limits = [
        Budget("spend", 900.0, by=("region",)),
        OutcomeLimit("eta", "<=", eta, by=("region",)),
    ]
    plan = solve(replace(problem, constraints=limits))
    assert plan.status == "infeasible"
    for region in planted:
        assert any(f"eta {region} <= 3" in line for line in plan.conflicts)
    assert len(plan.conflicts) <= len(planted) + 2
    text = next(line for line in plan.conflicts if f"eta {planted[0]}" in line)
    needed = float(text.split("relax it to ")[1].split(" ")[0])
    relaxed = {
        region: float(plan.forecast["eta"].sel(region=region).mean().item()) * 1.0001
        if region in planted
        else 5.0
        for region in eta
    }
    assert relaxed[planted[0]] == pytest.approx(needed, rel=1e-3)
    again = solve(
        replace(
            problem,
            constraints=[limits[0], OutcomeLimit("eta", "<=", relaxed, by=("region",))],
        )
    )
    assert again.status in ("optimal", "feasible")


def test_what_if_names_the_limits_that_are_broken(problem):
    spend = problem.context["spend"]
    judged = what_if(problem, Panel(spend=spend))
    assert judged.status == "infeasible"
    assert any("eta B" in line for line in judged.conflicts)
    lavish = spend.with_tensor(torch.full(tuple(spend.shape), 60.0).double())
    judged = what_if(problem, Panel(spend=lavish))
    assert any("sum of spend A <= 900 USD" in line for line in judged.conflicts)


def test_gradient_that_is_not_finite_names_model_and_cells(make):
    class Broken(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            eta = super().forward(supply, sessions)
            # The derivative of a root at 0 is infinite.
            return eta + 0.0 * ((supply - supply).clamp(min=0.0)) ** 0.5

    problem = DecisionProblem(
        make.market(eta=Broken()),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 100.0)],
        make.context(),
    )
    with pytest.raises(DecisionError, match=r"not finite .*'eta' of 'eta-model'"):
        solve(problem)


def test_missing_context_values_are_found(problem):
    sessions = problem.context["sessions"]
    hollow = sessions.tensor.clone()
    hollow[1, 4] = float("nan")
    changed = problem.context.assign(sessions=sessions.with_tensor(hollow))
    with pytest.raises(DecisionError, match="not finite"):
        solve(replace(problem, context=changed))


def test_two_ramps_on_one_lever_are_kept_together_with_budgets_and_limits(problem):
    """Hour to hour and every third hour: their links close cycles."""
    ramps = (Ramp("spend", 5.0, step=1), Ramp("spend", 2.0, step=3))
    free = solve(problem)
    ramped = replace(problem, constraints=(*problem.constraints, *ramps))
    plan = solve(ramped)
    assert plan.status == "optimal"
    oracle = solve(ramped, method="slsqp")
    assert plan.objective == pytest.approx(oracle.objective, rel=1e-6)
    spend = plan.decisions["spend"].values("incentive", "region", "hour")
    assert float((spend[..., 1:] - spend[..., :-1]).abs().max()) <= 5.0 * (1 + 1e-9)
    assert float((spend[..., 3:] - spend[..., :-3]).abs().max()) <= 2.0 * (1 + 1e-9)
    unramped = free.decisions["spend"].values("incentive", "region", "hour")
    assert float((unramped[..., 3:] - unramped[..., :-3]).abs().max()) > 2.5


def test_fixed_cells_that_two_ramps_cannot_join_are_found(problem):
    template = problem.context["spend"]
    values = torch.full_like(template.tensor, float("nan"))
    values[0, 0, 0], values[0, 0, 7] = 0.0, 30.0
    fixed = Fixed("spend", template.with_tensor(values))
    ramps = (Ramp("spend", 5.0, step=1), Ramp("spend", 6.0, step=3))
    # Two steps of three hours and one of an hour allow 17 from hour 0 to hour 7.
    with pytest.raises(DecisionError):
        solve(replace(problem, constraints=(fixed, *ramps)))
    values[0, 0, 7] = 16.9
    fixed = Fixed("spend", template.with_tensor(values))
    assert solve(replace(problem, constraints=(fixed, *ramps))).worst_violation < 1e-9
