"""What a problem may ask, and what a plan answers beside its decisions."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    Plan,
    Risk,
    parameter_uncertainty,
    response_curve,
    sensitivity,
    solve,
    solve_again,
    stability,
    what_if,
)
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")

FINE = Options(gap=1e-6)

COUPONS = Quantity("coupons", (REGION, HOUR), "USD/h", aggregation={"hour": "sum"})
CITY_FEE = Quantity("city_fee", (REGION,), "USD/h")
DEMAND = Quantity("demand", (REGION, HOUR), "session/h", bounds=(0, None))
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0, None))


class Demand(Model):
    """Coupons and a fee per region move sessions: levers of other dims than spend."""

    contract = Contract("demand-model", inputs=(DEMAND, COUPONS, CITY_FEE), outputs=(SESSIONS,))

    def forward(self, demand, coupons, city_fee):
        return demand * (1.0 + 0.1 * coupons / (coupons + 15.0)) * (-0.02 * city_fee).exp()

    def loss_terms(self):
        return ()


@pytest.fixture
def wide(make):
    """Three levers: spend by incentive, region and hour; coupons by region and hour; a city fee."""
    plain = make.context()
    sessions = plain["sessions"]
    context = Panel(
        {
            "demand": sessions.named("demand"),
            "weather": plain["weather"],
            "spend": plain["spend"],
        }
    )
    model = ModelCollection(
        [Demand(), make.Supply(), make.Eta(), make.Rides(), make.Calm()], name="market"
    )
    levers = [Lever("spend", 0.0, 60.0), Lever("coupons", 0.0, 40.0), Lever("city_fee", 0.0, 5.0)]
    return DecisionProblem(model, levers, Objective("rides"), [Budget("spend", 1500.0)], context)


def test_levers_of_different_dims_are_decided_together(wide):
    both = Budget(("spend", "coupons"), 1000.0, by=("region",), unit="USD")
    problem = replace(wide, constraints=[*wide.constraints, both])
    plan = solve(problem, options=FINE)
    assert plan.status in ("optimal", "feasible")
    assert plan.decisions["spend"].dims == ("incentive", "region", "hour")
    assert plan.decisions["coupons"].dims == ("region", "hour")
    assert plan.decisions["city_fee"].dims == ("region",)
    # A fee only drives sessions away.
    assert float(plan.decisions["city_fee"].sum().item()) == 0.0
    together = plan.decisions["spend"].sum("incentive", "hour") + plan.decisions["coupons"].sum(
        "hour"
    )
    assert float(together.max().item()) <= 1000.0 * (1 + 1e-9)
    price = plan.price_of("spend + coupons", "A")
    assert price.used == pytest.approx(float(together.sel(region="A").item()))
    # Effects are told apart by lever.
    assert {"objective/spend", "objective/coupons", "objective/city_fee"} <= set(
        plan.marginal_effects
    )
    # Alone, each lever would do worse.
    for name in ("spend", "coupons"):
        fixed = plan.decisions[name].zeros_like().named(name)
        other = replace(problem, levers=[*_without(problem, name), Lever(name, fixed, fixed)])
        assert solve(other, options=FINE).objective < plan.objective


def _without(problem, name):
    return [lever for lever in problem.levers if lever.name != name]


def test_one_purse_of_different_units_is_refused(wide):
    with pytest.raises(DecisionError, match=r"adds up different units: .*'USD'.*'USD/h'"):
        replace(wide, constraints=[Budget(("spend", "city_fee"), 5.0, by=("region",), unit="USD")])


def test_budgets_and_limits_by_groups_of_labels(problem):
    coast = {"region": {"A": "coast", "C": "coast", "B": "inland"}}
    limits = [
        Budget("spend", {"coast": 700.0, "inland": 500.0}, by=("region",), groups=coast),
        OutcomeLimit("eta", "<=", {"coast": 4.35}, by=("region",), groups=coast),
    ]
    plan = solve(replace(problem, constraints=limits), options=FINE)
    assert plan.status == "optimal"
    spend = plan.decisions["spend"].sum("incentive", "hour")
    coast_spend = float((spend.sel(region="A") + spend.sel(region="C")).item())
    assert plan.price_of("spend", "coast").used == pytest.approx(coast_spend)
    assert coast_spend == pytest.approx(700.0, rel=1e-6)
    eta = plan.forecast["eta"].sel(region=["A", "C"]).mean()
    assert plan.price_of("eta", "coast").used == pytest.approx(float(eta.item()))


def test_group_that_leaves_labels_out_does_not_count_them(problem):
    only = {"region": {"B": "inland"}}
    limit = Budget("spend", {"inland": 100.0}, by=("region",), groups=only)
    plan = solve(replace(problem, constraints=[limit]), options=FINE)
    spend = plan.decisions["spend"].sum("incentive", "hour")
    assert float(spend.sel(region="B").item()) == pytest.approx(100.0, rel=1e-6)
    assert float(spend.sel(region="A").item()) > 200.0
    assert len(plan.shadow_prices) == 1


def test_limits_by_several_dims_at_once(problem):
    hours = problem.context["spend"].index("hour")
    limits = [
        Budget("spend", {("quest", "B"): 60.0}, by=("incentive", "region")),
        OutcomeLimit("eta", "<=", {("B", hours[4]): 4.1}, by=("region", "hour")),
        Budget("spend", 1500.0),
    ]
    plan = solve(replace(problem, constraints=limits), options=FINE)
    assert plan.status == "optimal"
    quest = plan.decisions["spend"].sel(incentive="quest", region="B").sum()
    assert float(quest.item()) == pytest.approx(60.0, rel=1e-6)
    assert float(plan.forecast["eta"].sel(region="B", hour=hours[4]).item()) <= 4.1 * (1 + 1e-6)
    assert plan.price_of("spend", "quest, B").price > 0
    assert plan.price_of("eta", "B, 2026-03-02 04:00").unit == "min"


def test_ratio_of_two_outcomes_is_weighted_by_the_forecast_itself(problem):
    from dagcast_core.contract import Weighted

    limit = OutcomeLimit("eta", "<=", 4.2, reduce=Weighted("rides"))
    plan = solve(replace(problem, constraints=[limit, Budget("spend", 1500.0)]), options=FINE)
    rides, eta = plan.forecast["rides"], plan.forecast["eta"]
    ratio = float(((rides * eta).sum() / rides.sum()).item())
    assert plan.price_of("eta").used == pytest.approx(ratio)


def test_any_function_of_the_forecast_can_be_the_objective(problem):
    def welfare(known):
        value = known["rides"] * 6.0 - known["eta"] * known["sessions"] * 0.3
        return (value - known["spend"].sum("incentive")).sum()

    objective = Objective(welfare, unit="USD", label="welfare")
    plan = solve(replace(problem, objective=objective), options=FINE)
    assert plan.status == "optimal"
    assert plan.objective_name == "welfare"
    assert plan.objective_unit == "USD"
    known = {**problem.context, **plan.forecast, **plan.decisions}
    assert plan.objective == pytest.approx(float(welfare(known).item()))
    assert plan.price_of("spend", "A").price_unit == "USD per USD"
    generator = torch.Generator().manual_seed(0)
    spend = plan.decisions["spend"]
    for _ in range(30):
        noise = 1 + 0.2 * torch.randn(spend.shape, generator=generator, dtype=torch.float64)
        moved = spend.with_tensor((spend.tensor * noise).clamp(0, 60))
        judged = what_if(replace(problem, objective=objective), Panel(spend=moved))
        assert judged.status == "infeasible" or judged.objective <= plan.objective + 1e-6


def test_weighted_sum_may_charge_for_the_lever_itself(problem):
    plan = solve(replace(problem, objective=Objective({"rides": 6.0, "spend": -1.0}, unit="USD")))
    same = solve(replace(problem, objective=Objective("profit")))
    assert plan.objective == pytest.approx(same.objective, rel=1e-9)
    assert plan.objective_unit == "USD"


def test_functions_that_are_no_objective_are_refused(problem):
    with pytest.raises(DecisionError, match="not one number. Sum it over its dims"):
        solve(replace(problem, objective=Objective(lambda known: known["rides"])))
    with pytest.raises(DecisionError, match="no lever reaches the objective 'late'"):
        solve(
            replace(
                problem, objective=Objective(lambda known: known["weather"].sum(), label="late")
            )
        )


# SLSQP beside the solver.


@pytest.mark.parametrize("seed", [0, 1])
def test_groupings_that_cut_across_one_another_agree_with_scipy(make, seed):
    """Budgets by region, by incentive and by groups of regions; prices too."""
    coast = {"region": {"A": "coast", "C": "coast", "B": "inland"}}
    limits = [
        Budget("spend", {"coast": 350.0, "inland": 300.0}, by=("region",), groups=coast),
        Budget("spend", {"boost": 330.0, "quest": 300.0}, by=("incentive",)),
        Budget("spend", 260.0, by=("region",)),
        OutcomeLimit("eta", "<=", {"B": 4.4}, by=("region",)),
    ]
    problem = DecisionProblem(
        make.market(),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        limits,
        make.context(hours=8, seed=seed),
    )
    plan, oracle = (solve(problem, options=FINE, method=m) for m in ("separable", "slsqp"))
    assert abs(plan.objective - oracle.objective) <= 1e-6 * plan.lift
    for mine, other in zip(plan.shadow_prices, oracle.shadow_prices, strict=True):
        assert mine.price == pytest.approx(other.price, rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("name", ["rides", "profit"])
def test_slsqp_finds_the_same_plan(problem, name):
    problem = replace(problem, objective=Objective(name))
    plan = solve(problem, options=FINE)
    oracle = solve(problem, options=FINE, method="slsqp")
    assert oracle.provenance["method"] == "slsqp"
    assert oracle.objective == pytest.approx(plan.objective, rel=1e-6)
    assert oracle.worst_violation <= 1e-6
    # Its own multipliers are as good as its point: the same bound judges both.
    assert oracle.gap_bound <= 1e-4 * abs(oracle.objective)
    for mine, other in zip(plan.shadow_prices, oracle.shadow_prices, strict=True):
        assert other.price == pytest.approx(mine.price, rel=0.05, abs=2e-3)


def test_slsqp_keeps_ramps_and_refuses_large_problems(make, problem):
    from dagcast_core.decide import Ramp

    small = replace(
        problem, constraints=[Budget("spend", 700.0), Ramp("spend", 2.0, step=1)], concave=True
    )
    plan, oracle = solve(small, options=FINE), solve(small, options=FINE, method="slsqp")
    assert oracle.objective == pytest.approx(plan.objective, rel=1e-6)
    large = replace(problem, context=make.context(hours=120), constraints=[])
    with pytest.raises(DecisionError, match="up to 600 cells; this problem has 720"):
        solve(large, method="slsqp")
    with pytest.raises(DecisionError, match="no method 'simplex'"):
        solve(problem, method="simplex")


# Curves and sensitivities.


def test_response_curve_passes_through_the_plan_and_is_what_would_be_forecast(problem):
    plan = solve(problem, options=FINE)
    hour = problem.context["spend"].index("hour")[5]
    cell = {"incentive": "quest", "region": "B", "hour": hour}
    curve = response_curve(problem, plan, "spend", cell)
    assert len(curve.grid) == 21
    assert (curve.grid[0], curve.grid[-1]) == (0.0, 60.0)
    assert curve.planned == pytest.approx(float(plan.decisions["spend"].sel(**cell).item()))
    at = response_curve(problem, plan, "spend", cell, [curve.planned, 30.0])
    assert at.objective[0] == pytest.approx(plan.objective, rel=1e-12)
    assert at.kept[0]
    moved = plan.decisions["spend"].tensor.clone()
    moved[1, 1, 5] = 30.0
    judged = what_if(problem, Panel(spend=plan.decisions["spend"].with_tensor(moved)))
    assert at.objective[1] == pytest.approx(judged.objective, rel=1e-12)
    assert at.outcomes["profit"][1] == pytest.approx(
        float(judged.forecast["profit"].mean().item()), rel=1e-12
    )
    limit = next(name for name in at.limits if "eta B" in name)
    assert at.limits[limit][1] == pytest.approx(judged.price_of("eta", "B").used, rel=1e-12)
    # Saturating: ever less for the same step.
    steps = [b - a for a, b in zip(curve.objective[:-1], curve.objective[1:], strict=True)]
    assert steps == sorted(steps, reverse=True)
    slope = response_curve(problem, plan, "spend", cell, [curve.planned + s for s in (-1e-4, 1e-4)])
    change = (slope.objective[1] - slope.objective[0]) / 2e-4
    assert change == pytest.approx(
        float(plan.marginal_effects["objective"].sel(**cell).item()), rel=1e-4
    )


def test_response_curve_of_no_cell_is_refused(problem):
    plan = solve(problem)
    with pytest.raises(DecisionError, match="no lever 'spent'. Nearest: 'spend'"):
        response_curve(problem, plan, "spent", {})
    with pytest.raises(DecisionError, match="a label for each of incentive, region, hour"):
        response_curve(problem, plan, "spend", {"region": "A"})
    hour = problem.context["spend"].index("hour")[0]
    with pytest.raises(DecisionError, match="no region 'Z'"):
        response_curve(problem, plan, "spend", {"incentive": "quest", "region": "Z", "hour": hour})
    with pytest.raises(DecisionError, match="no finite numbers"):
        response_curve(
            problem, plan, "spend", {"incentive": "quest", "region": "A", "hour": hour}, []
        )


@pytest.mark.parametrize("name", ["sessions", "supply", "eta", "supply-model.gain"])
def test_envelope_theorem_agrees_with_solving_again(make, problem, name):
    problem = replace(problem, model=make.market(supply=make.LearnedSupply()))
    plan = solve(problem, options=Options(gap=1e-8))
    exact = Options(gap=1e-8)
    ends = [
        sensitivity(problem, plan, name, change=step, resolve=True, options=exact).effect
        for step in (-1e-4, 1e-4)
    ]
    quick = sensitivity(problem, plan, name, change=1e-4)
    assert (ends[1] - ends[0]) / 2 == pytest.approx(quick.effect, rel=2e-3)
    assert "envelope theorem" in quick.words
    assert quick.unit == "ride"


def test_large_changes_need_solving_again(make, problem):
    """Three limits bind: a fifth more sessions is not two hundred times a thousandth."""
    plan = solve(problem, options=FINE)
    quick = sensitivity(problem, plan, "sessions", change=0.05)
    solved = sensitivity(problem, plan, "sessions", change=0.05, resolve=True, options=FINE)
    assert "solved again" in solved.words
    assert solved.effect != pytest.approx(quick.effect, rel=1e-3)
    with pytest.raises(DecisionError, match="nothing is called 'session'. Nearest: 'sessions'"):
        sensitivity(problem, plan, "session")
    with pytest.raises(DecisionError, match="answers another problem"):
        sensitivity(replace(problem, constraints=[]), plan, "sessions")


def test_parameter_uncertainty_is_the_spread_of_optima(make, problem):
    """Against solving at every draw of one parameter alone, where draws are close together."""
    problem = replace(problem, model=make.market(supply=make.LearnedSupply()))
    plan = solve(problem, options=FINE)
    draws = make.draws(problem.model, count=24, spread=0.01)
    found = parameter_uncertainty(problem, plan, draws)
    assert {item.name for item in found} == {"supply-model.need", "supply-model.gain"}
    assert found[0].effect >= found[1].effect
    name = found[0].name
    key = next(key for key in draws.states if name.split(".")[-1] in key)
    alone = replace(draws, states={key: draws.states[key]})
    worth = torch.tensor([p.objective for p in solve_again(problem, plan, alone, count=24)])
    assert found[0].effect == pytest.approx(float(worth.std()), rel=0.05)
    with pytest.raises(DecisionError, match="needs draws"):
        parameter_uncertainty(problem, plan)


# Stability.


def test_stability_of_a_plan_over_draws(make, problem):
    problem = replace(
        problem,
        model=make.market(supply=make.LearnedSupply()),
        constraints=make.limits()[:2],
    )
    plan = solve(problem)
    close, far = (
        stability(plan, solve_again(problem, plan, make.draws(problem.model, 8, spread), count=6))
        for spread in (0.02, 0.3)
    )
    assert close.plans == far.plans == 6
    assert 0 < close.typical("spend") < far.typical("spend") < 1
    region = next(r for r in far.ranges if r.dim == "region" and r.label == "A")
    planned = float(plan.decisions["spend"].sel(region="A").sum().item())
    assert region.low <= region.planned == pytest.approx(planned)
    assert region.planned <= region.high
    assert far.spread["spend"].dims == plan.decisions["spend"].dims
    assert "place" in far.words
    assert "of spend" in far.words


def test_stability_over_models_fitted_at_other_moments(make, problem):
    plan = solve(problem)
    models = [make.market(supply=make.Supply(half=half)) for half in (20.0, 26.0)]
    found = stability(plan, solve_again(problem, plan, models))
    # The first model is the plan's own.
    assert found.moved["spend"][0] == pytest.approx(0.0, abs=1e-3)
    assert found.moved["spend"][1] > found.moved["spend"][0]


def test_stability_of_a_cautious_plan_weighs_the_draws_of_every_model(make, problem):
    """Its own model and draws give the plan again; plans without draws are others."""
    models = [make.market(supply=make.LearnedSupply()) for _ in range(2)]
    draws = [make.draws(model, 16, 0.5, seed) for seed, model in enumerate(models)]
    cautious = replace(
        problem,
        model=models[0],
        constraints=make.limits()[:2],
        draws=draws[0],
        risk=Risk("cvar", 0.25),
    )
    plan = solve(cautious)
    same, other = solve_again(cautious, plan, list(zip(models, draws, strict=True)))
    assert len(same.objective_draws) == len(other.objective_draws) == 16
    moved = stability(plan, [same, other]).moved["spend"]
    assert moved[0] == pytest.approx(0.0, abs=2e-3)
    assert moved[1] > 0.01
    # Models alone have no draws to weigh.
    bare = solve_again(cautious, plan, models[:1])
    assert bare[0].objective_draws == ()
    assert stability(plan, bare).moved["spend"][0] > 0.01


@pytest.mark.parametrize("at", [1, 2])
def test_interrupted_solve_is_no_number_to_go_on_with(problem, at, interrupt_at_gradient):
    plan = solve(problem)
    left = interrupt_at_gradient(at)
    with pytest.raises(KeyboardInterrupt, match="while the problem was solved with other param"):
        solve_again(problem, plan, [problem.model])
    left[0] = at
    with pytest.raises(KeyboardInterrupt, match="interrupted while the problem was solved again"):
        sensitivity(problem, plan, "sessions", change=0.1, resolve=True)


def test_moved_share_of_known_plans(problem):
    spend = problem.context["spend"]
    one = spend.with_tensor(torch.full(tuple(spend.shape), 2.0).double())
    half = one.tensor.clone()
    half[0] = 0.0
    plans = [
        what_if(problem, Panel(spend=one.with_tensor(values))) for values in (one.tensor, half)
    ]
    # Of 144 + 72 together, 72 are in other cells.
    assert stability(plans[0], plans[1:]).moved["spend"] == (pytest.approx(1 / 3),)
    with pytest.raises(DecisionError, match="needs other plans"):
        stability(plans[0], [])
    other = replace(problem, context=problem.context.map(lambda t: _later(t)))
    with pytest.raises(DecisionError, match="other labels along 'hour'"):
        stability(plans[0], [what_if(other, Panel(spend=_later(one)))])


def _later(tensor):
    return tensor.relabel(hour=lambda hour: hour + pd.Timedelta(hours=1)).named(tensor.name)


# Provenance.


def test_provenance_tells_problems_apart_and_is_plain(make, problem, tmp_path):
    plan = solve(problem)
    stated = plan.provenance["problem"]
    json.dumps(stated)
    assert stated["levers"][0]["name"] == "spend"
    assert [item["kind"] for item in stated["constraints"]] == [
        type(item).__name__ for item in problem.constraints
    ]
    plan.save(tmp_path / "plan")
    assert Plan.load(tmp_path / "plan").provenance["problem"] == stated
    assert solve(problem).provenance["problem"]["digest"] == stated["digest"]
    sessions = problem.context["sessions"]
    bumped = sessions.tensor.clone()
    bumped[0, 0] += 1e-9
    changed = [
        replace(problem, context=problem.context.assign(sessions=sessions.with_tensor(bumped))),
        replace(problem, levers=[Lever("spend", 0.0, 61.0)]),
        replace(problem, constraints=problem.constraints[:-1]),
        replace(problem, objective=Objective("profit")),
        replace(problem, context=make.context(regions=("C", "A", "B"))),
    ]
    digests = {solve(other).provenance["problem"]["digest"] for other in changed}
    assert len(digests | {stated["digest"]}) == len(changed) + 1


def test_seed_decides_everything_random(make):
    problem = DecisionProblem(
        make.market(exponent=3.0),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 700.0)],
        make.context(),
    )
    first, second = (solve(problem, options=Options(seed=4), starts=5) for _ in range(2))
    assert torch.equal(first.decisions["spend"].tensor, second.decisions["spend"].tensor)
    assert isinstance(first.decisions["spend"], IndexTensor)
