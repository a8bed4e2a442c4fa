"""What is said where something is wrong: conflicts, hair's breadths, explosions, interruptions."""

import itertools
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
    Ramp,
    project,
    solve,
    what_if,
)
from dagcast_core.decide.compile._compiled import compile_problem
from dagcast_core.solver import phase_one
from dagcast_core.tensor import IndexTensor, Panel

FINE = Options(gap=1e-6)


def names(line, row):
    quantity, region = row
    return f" {quantity} {region} " in line


@pytest.mark.parametrize("seed", range(21))
def test_every_planted_conflict_is_named_and_little_else(plant, seed):
    """One to three conflicts in different regions, some of two limits that exclude each other."""
    planted = plant(seed)
    plan = solve(planted.problem)
    assert plan.status == "infeasible"
    assert plan.message.startswith("no plan keeps every limit: ")
    assert plan.gap_bound is None
    named = [any(names(line, row) for line in plan.conflicts) for row in planted.rows]
    assert all(named), plan.conflicts
    assert len(plan.conflicts) - len(planted.rows) <= 2, plan.conflicts
    assert all(line in plan.message for line in plan.conflicts)
    # The decisions are those of the advice, and limits have no price where no plan keeps them.
    for line in plan.conflicts:
        for quantity, region in planted.rows:
            if names(line, (quantity, region)) and "relax it to" in line:
                advised = float(line.split("relax it to ")[1].split(" ")[0])
                assert plan.price_of(quantity, region).used == pytest.approx(advised, rel=1e-5)
    assert all(item.price == 0.0 and "no price" in item.words for item in plan.shadow_prices)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_advised_relaxation_is_enough_and_hardly_more_than_needed(plant, seed):
    planted = plant(seed)
    plan = solve(planted.problem)
    assert solve(planted.sound).status in ("optimal", "feasible")

    def relaxed(share):
        """Every broken limit moved by a share of the way that is advised."""
        moved = []
        for item in planted.problem.constraints:
            if isinstance(item, OutcomeLimit):
                limit = dict(item.limit)
                for region, line in itertools.product(item.limit, plan.conflicts):
                    if names(line, (item.quantity, region)) and "relax it to" in line:
                        advised = float(line.split("relax it to ")[1].split(" ")[0])
                        limit[region] += share * (advised - limit[region])
                item = replace(item, limit=limit)
            moved.append(item)
        return replace(planted.problem, constraints=moved)

    assert solve(relaxed(1.002)).status in ("optimal", "feasible")
    assert solve(relaxed(0.9)).status == "infeasible"


def test_least_violation_is_bounded_from_below_for_all_decisions(plant):
    planted = plant(4)
    compiled = compile_problem(planted.problem)
    smooth = compiled.smooth
    found = phase_one(smooth, smooth.linear.lower, Options())
    total = float(found.violations.sum())
    assert 0.9 * total <= found.least <= total
    generator = torch.Generator().manual_seed(0)
    for size in [0.01] * 10 + [0.3] * 10:
        noise = 1 + size * torch.randn(found.x.shape, generator=generator, dtype=found.x.dtype)
        other = project(found.x * noise, torch.ones_like(found.x), smooth.linear).x
        _, outcomes = smooth.evaluate(other)
        rows = smooth.rows
        broken = (rows.sign * (outcomes - rows.limit) / rows.scale).clamp(min=0)
        assert float(broken.sum()) >= found.least


def test_a_feasible_problem_has_no_conflicts(plant):
    """The same test on the sound problem: it must not find what is not there."""
    plan = solve(plant(2).sound)
    assert plan.status == "optimal"
    assert plan.conflicts == ()


def test_nearly_empty_feasible_set_is_reported_with_the_limits_that_close_it(problem):
    """The ETA limit stands a hair above what the budget can buy."""
    bare = replace(problem, constraints=[Budget("spend", 900.0, by=("region",))])
    eta = _least_eta(bare, "B")
    tight = _with_eta(bare, eta * 1.0002)
    plan = solve(tight)
    assert plan.status in ("optimal", "feasible")
    assert any("nearly empty" in line and "eta B" in line for line in plan.warnings)
    roomy = _with_eta(bare, eta * 1.02)
    assert not any("nearly empty" in line for line in solve(roomy).warnings)


def _with_eta(bare, limit):
    more = OutcomeLimit("eta", "<=", {"B": limit}, by=("region",))
    return replace(bare, constraints=[*bare.constraints, more])


def _least_eta(bare, region):
    """Lowest mean ETA of a region under the budgets."""

    def mean(known):
        return known["eta"].sel(region=[region]).tensor.mean()

    return solve(replace(bare, objective=Objective(mean, "min")), options=FINE).objective


def test_budget_that_fixed_cells_use_up_is_reported(problem):
    spend = problem.context["spend"]
    fixed = spend.isel(incentive=slice(0, 1))
    fixed = fixed.with_tensor(torch.full(tuple(fixed.shape), 10.0).double())
    limits = [Fixed("spend", fixed), Budget("spend", 120.05, by=("region",))]
    plan = solve(replace(problem, constraints=limits))
    assert any("sum of spend A <= 120.05 USD leaves 0.05 USD" in line for line in plan.warnings)


def test_exploding_gradient_names_model_quantity_and_cell(make):
    class Steep(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            # A root whose slope at the unspent supply is finite and absurd.
            spare = (supply - sessions * 0.7).clamp(min=0.0)
            return super().forward(supply, sessions) - 1e-3 * (spare + 1e-24).sqrt()

    problem = DecisionProblem(
        make.market(eta=Steep()),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 900.0, by=("region",))],
        make.context(),
    )
    plan = solve(problem)
    found = [line for line in plan.warnings if "explodes" in line]
    assert len(found) == 1
    assert "'eta' of 'eta-model'" in found[0]
    assert "spend[" in found[0]


def test_gentle_gradient_is_not_called_exploding(problem):
    assert solve(problem).warnings == ()


def test_flat_objective_is_said_to_be_flat(make):
    """Far beyond saturation nothing moves: a clamp leaves no slope at all."""

    class Full(make.Supply):
        contract = make.Supply.contract

        def forward(self, spend, sessions):
            return super().forward(spend, sessions).clamp(max=1.0)

    problem = DecisionProblem(
        make.market(supply=Full()),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 900.0)],
        make.context(),
    )
    plan = solve(problem)
    assert plan.status == "feasible"
    assert "flat" in plan.message


class Stopped:
    """Raises KeyboardInterrupt at a call of the model, as Ctrl-C would."""

    def __init__(self, make, at):
        outer = self
        self.calls = 0

        class Counting(make.Rides):
            contract = make.Rides.contract

            def forward(self, sessions, eta, spend):
                outer.calls += 1
                if outer.calls == at:
                    raise KeyboardInterrupt
                return super().forward(sessions, eta, spend)

        self.model = Counting()


@pytest.mark.parametrize("at", [12, 15, 18, 22, 26, 30])
def test_interrupt_in_the_model_returns_the_best_point(make, problem, at):
    stopped = Stopped(make, at)
    plan = solve(replace(problem, model=make.market(rides=stopped.model)), options=FINE)
    assert stopped.calls > at
    assert plan.status == "interrupted"
    assert plan.gap_bound is None
    spent = plan.decisions["spend"].sum("incentive", "hour").tensor
    assert bool((spent <= 900.0 * (1 + 1e-9)).all())


@pytest.mark.parametrize("method", ["separable", "slsqp"])
def test_interrupt_at_any_call_of_the_model_returns_a_plan_or_says_why_not(make, problem, method):
    """Every call counts: laying out, the first point, certificates, what is said at the end."""
    counted = Stopped(make, None)
    whole = solve(replace(problem, model=make.market(rides=counted.model)), method=method)
    said = set()
    for at in range(1, counted.calls + 1):
        stopped = Stopped(make, at)
        try:
            plan = solve(replace(problem, model=make.market(rides=stopped.model)), method=method)
        except KeyboardInterrupt as error:
            assert "the solver had not begun, so there is no plan" in str(error)  # noqa: PT017
            said.add("nothing")
            continue
        said.add(plan.status)
        assert plan.status in ("interrupted", whole.status)
        if plan.status == "interrupted":
            assert plan.gap_bound is None
        else:
            assert plan.objective == pytest.approx(whole.objective, rel=1e-6)
        spend = plan.decisions["spend"]
        assert bool((spend.tensor >= 0).all())
        assert bool((spend.sum("incentive", "hour").tensor <= 900.0 * (1 + 1e-9)).all())
        known = {**problem.context, "spend": spend}
        assert plan.objective == pytest.approx(
            float(problem.model.propagate(known)["rides"].sum().item())
        )
    assert said == {"nothing", "interrupted", whole.status}


def test_interrupt_while_a_conflict_is_looked_into_keeps_what_is_known(make, plant):
    planted = plant(1)
    calls = {}

    def interrupting(at):
        calls["made"] = 0
        model = planted.problem.model
        run = type(model).propagate

        def propagate(*given, **named):
            calls["made"] += 1
            if calls["made"] == at:
                raise KeyboardInterrupt
            return run(model, *given, **named)

        return propagate

    model = planted.problem.model
    object.__setattr__(model, "propagate", interrupting(None))
    whole = solve(planted.problem)
    total = calls["made"]
    seen = set()
    for at in range(total // 2, total, 7):
        object.__setattr__(model, "propagate", interrupting(at))
        plan = solve(planted.problem)
        seen.add(plan.status)
        if plan.status == "infeasible":
            assert set(plan.conflicts) <= set(whole.conflicts)
            assert any("relax it to" in line for line in plan.conflicts)
    object.__delattr__(model, "propagate")
    assert seen == {"interrupted", "infeasible"}


def test_interrupt_between_starts_keeps_what_the_first_start_found(make):
    """A response with a threshold is tried from several starts; the second one is interrupted."""
    alone = DecisionProblem(
        make.market(exponent=3.0),
        [Lever("spend", 0.0, 60.0)],
        Objective("rides"),
        [Budget("spend", 700.0)],
        make.context(),
    )
    counted = Stopped(make, None)
    model = make.market(exponent=3.0, rides=counted.model)
    first = solve(replace(alone, model=model), starts=0)
    stopped = Stopped(make, counted.calls + 25)
    plan = solve(replace(alone, model=make.market(exponent=3.0, rides=stopped.model)))
    assert stopped.calls > counted.calls + 25
    assert plan.status == "interrupted"
    assert plan.objective >= first.objective - 1e-9


def test_time_limit_returns_the_best_point(problem):
    plan = solve(problem, options=Options(gap=1e-12, time_limit=1e-9))
    assert plan.status == "interrupted"
    assert "time limit" in plan.message
    assert plan.decisions["spend"].tensor.isfinite().all()


def test_progress_is_told_objective_violation_and_residual(problem):
    seen = []
    plan = solve(problem, progress=seen.append)
    assert [state.iteration for state in seen[: plan.provenance["iterations"]]] == list(
        range(1, plan.provenance["iterations"] + 1)
    )
    assert seen[-1].violation <= 1e-6
    assert seen[-1].predicted <= 1e-5
    assert seen[-1].forward <= plan.provenance["forward"]


def test_concavity_that_was_not_tested_is_not_claimed(problem):
    plan = solve(problem, starts=0)
    assert plan.concavity == "unknown"
    assert plan.status == "feasible"
    assert "not tested" in plan.message
    assert plan.gap_bound is None
    assert solve(replace(problem, concave=True), starts=0).status == "optimal"


def test_warm_start_from_a_plan_is_cheaper_than_its_decisions_or_nothing(problem):
    cold = solve(problem, options=FINE)
    sessions = problem.context["sessions"]
    drifted = replace(
        problem,
        context=problem.context.assign(sessions=sessions.with_tensor(sessions.tensor * 1.01)),
        constraints=[
            replace(c, limit=c.limit * 1.01) if getattr(c, "quantity", "") == "profit" else c
            for c in problem.constraints
        ],
    )
    fresh = solve(drifted, options=FINE)
    warm = solve(drifted, cold, options=FINE)
    assert warm.objective == pytest.approx(fresh.objective, rel=1e-7)
    assert warm.provenance["iterations"] < fresh.provenance["iterations"]


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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"time_limit": 0.0}, "time_limit is 0.0; it is a number above 0, in seconds"),
        ({"time_limit": -1.0}, "time_limit is -1.0"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"gap": float("nan")}, "gap is nan; it is a number of at least 0"),
        ({"violation": -1e-6}, "violation is -1e-06"),
        ({"elastic": 0.0}, "elastic is 0.0"),
        ({"iterations": 0}, "iterations is 0; it is a whole number of at least 1"),
        ({"refresh": 0}, "refresh is 0"),
        ({"seed": "x"}, "seed is 'x'; it is a whole number"),
        ({"curvature": "bfgs"}, "it is 'hessian' or 'secant'"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(DecisionError, match=message):
        Options(**setting)


@pytest.mark.parametrize("starts", [-1, 1.5, True])
def test_number_of_starts_is_checked(problem, starts):
    with pytest.raises(DecisionError, match="starts is .*; it is a whole number of at least 0"):
        solve(problem, starts=starts)


def test_labels_without_a_limit_stay_free_and_infinity_is_no_limit(problem):
    free = solve(replace(problem, constraints=[]))
    endless = [Budget("spend", float("inf")), OutcomeLimit("eta", "<=", float("inf"))]
    plan = solve(replace(problem, constraints=endless))
    assert plan.objective == pytest.approx(free.objective)
    assert plan.shadow_prices == ()
    one = solve(
        replace(
            problem, constraints=[Budget("spend", 90.0, by=("region",), where={"region": ("B",)})]
        )
    )
    assert [(price.name, price.label) for price in one.shadow_prices] == [("spend", "B, B")]


def test_same_budget_in_other_words_is_no_duplicate(problem):
    """Two budgets of one lever by region, for different regions."""
    apart = [Budget("spend", {region: 50.0}, by=("region",)) for region in "AB"]
    plan = solve(replace(problem, constraints=apart))
    assert [price.label for price in plan.shadow_prices] == ["A", "B"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_hollow_context_is_named_with_its_cells(problem, value):
    sessions = problem.context["sessions"]
    hollow = sessions.tensor.clone()
    hollow[1, 4] = hollow[2, 5] = value
    changed = replace(
        problem, context=problem.context.assign(sessions=sessions.with_tensor(hollow))
    )
    words = rf"'sessions' is {value:g} at \[B, 2026-03-02 04:00\] and 1 more cells. Fill those"
    with pytest.raises(DecisionError, match=words):
        solve(changed)
    with pytest.raises(DecisionError, match=words):
        solve(replace(changed, constraints=[]))


def test_weights_that_sum_to_nothing_are_named_with_the_limit(make, problem):
    class Nothing(make.Calm):
        contract = make.Calm.contract

        def forward(self, weather):
            return weather * 0.0

    limit = OutcomeLimit("eta", "<=", {"B": 4.5}, by=("region",), reduce=Weighted("calm"))
    with pytest.raises(
        DecisionError, match="of eta B, weighted by calm, <= 4.5 min is not finite.*sum to 0"
    ):
        solve(replace(problem, model=make.market(calm=Nothing()), constraints=[limit]))


def test_objective_that_breaks_down_by_itself_is_named(problem):
    def odd(known):
        return (known["spend"].tensor - 1.0).log().sum()

    with pytest.raises(DecisionError, match="it comes from 'odd' itself, as every output is"):
        solve(replace(problem, objective=Objective(odd), constraints=[]))


def test_gradient_that_is_not_finite_is_explained_where_rows_are_laid_out(make, problem):
    """With limits on outcomes the first gradient is taken before the solver starts."""

    class Broken(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            return super().forward(supply, sessions) + 0.0 * (supply - supply).clamp(min=0) ** 0.5

    with pytest.raises(
        DecisionError, match=r"in spend\[boost, A, .* and 67 more; .*'eta' of 'eta-model'"
    ):
        solve(replace(problem, model=make.market(eta=Broken())))


def test_output_that_breaks_down_under_one_draw_is_named_with_the_draw(make, problem):
    model = make.market(supply=make.LearnedSupply())
    draws = make.draws(model, 8)
    name = next(name for name in draws.states if "gain" in name)
    broken = {**draws.states, name: draws.states[name].clone()}
    # So negative that supply is, and its power is no number.
    broken[name][3] = -1e9

    class Rooted(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            return super().forward(supply - sessions * 0.7, sessions).clamp(max=9.0)

    with pytest.raises(DecisionError, match="'eta' of 'eta-model' at .*, with draw 3 of the par"):
        solve(
            replace(
                problem,
                model=make.market(supply=make.LearnedSupply(), eta=Rooted()),
                draws=replace(draws, states=broken),
                levers=[Lever("spend", 1.0, 60.0)],
            )
        )


def test_start_without_a_number_is_refused(problem):
    spend = problem.context["spend"]
    hollow = spend.tensor.clone()
    hollow[0, 1, 2] = float("nan")
    with pytest.raises(DecisionError, match=r"start has no number at spend\[boost, B, .* 02:00"):
        solve(problem, Panel(spend=spend.with_tensor(hollow)))


def test_cells_fixed_to_two_values_are_named(problem):
    spend = problem.context["spend"].isel(hour=slice(0, 1))
    twice = [
        Fixed("spend", spend.with_tensor(torch.full((2, 3, 1), value).double()))
        for value in (9.0, 7.0)
    ]
    with pytest.raises(DecisionError, match=r"spend\[boost, A, .*\] is set twice, to 9 and to 7"):
        solve(replace(problem, constraints=twice))
    assert solve(replace(problem, constraints=twice[:1] * 2)).status == "optimal"


def test_plan_in_force_that_no_ramp_can_leave_in_time_is_named(make, problem):
    spend = problem.context["spend"]
    hour = spend.index("hour")
    earlier = IndexTensor.full(
        {
            "incentive": spend.index("incentive"),
            "region": spend.index("region"),
            "hour": pd.date_range(hour[0] - pd.Timedelta("3h"), periods=3, freq="h"),
        },
        99.0,
        "spend",
    )
    ramped = replace(problem, constraints=[Ramp("spend", 4.0, step=1)], current=Panel([earlier]))
    words = r"spend\[boost, A, 2026-03-02 00:00\] cannot be reached: .* before is 99, .* of 4"
    with pytest.raises(DecisionError, match=words):
        solve(ramped)


def test_what_if_names_bounds_fixed_cells_and_ramps_by_the_worst_cell(problem):
    spend = problem.context["spend"]
    first = spend.isel(hour=slice(0, 1)).with_tensor(torch.full((2, 3, 1), 3.0).double())
    limited = replace(problem, constraints=[Fixed("spend", first), Ramp("spend", 5.0, step=1)])
    given = torch.full(tuple(spend.shape), 3.0).double()
    given[0, 0, 0] = 4.0
    given[1, 2, 7] = 70.0
    judged = what_if(limited, Panel(spend=spend.with_tensor(given)))
    assert judged.status == "infeasible"
    assert judged.conflicts == (
        "spend[boost, A, 2026-03-02 00:00] = 4 is set to 3",
        "spend[quest, C, 2026-03-02 07:00] = 70 may be 0 to 60",
        "spend[quest, C, 2026-03-02 06:00] and spend[quest, C, 2026-03-02 07:00] differ by 67, "
        "the ramp allows 5 (and 1 more pair)",
    )
    given[0, 0, 0], given[1, 2, 7] = 3.0, 8.0
    assert what_if(limited, Panel(spend=spend.with_tensor(given))).status == "feasible"


def test_lever_that_nothing_holds_back_is_reported(problem):
    endless = replace(problem, levers=[Lever("spend")], constraints=[])
    assert any("nothing holds back 72 cell(s)" in line for line in solve(endless).warnings)
    # Profit pays for the spend, and a budget bounds it.
    worth = replace(endless, objective=Objective("profit"))
    assert not any("holds back" in line for line in solve(worth).warnings)
    budget = replace(endless, constraints=[Budget("spend", 900.0)])
    assert not any("holds back" in line for line in solve(budget).warnings)


def test_slsqp_names_conflicts_too(make, problem):
    limits = [*make.limits()[:1], OutcomeLimit("eta", "<=", {"B": 3.0}, by=("region",))]
    plans = [solve(replace(problem, constraints=limits), method=m) for m in ("slsqp", "separable")]
    assert [plan.status for plan in plans] == ["infeasible", "infeasible"]
    assert "mean of eta B <= 3 min is missed by" in plans[0].message
    late = solve(problem, method="slsqp", options=Options(time_limit=1e-9))
    assert late.status == "interrupted"
    assert "time limit" in late.message


def test_decisions_without_a_number_are_refused(problem):
    spend = problem.context["spend"]
    hollow = spend.tensor.clone()
    hollow[0, 1, 2] = float("nan")
    with pytest.raises(DecisionError, match=r"no number at spend\[boost, B, 2026-03-02 02:00"):
        what_if(problem, Panel(spend=spend.with_tensor(hollow)))
