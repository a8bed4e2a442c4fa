"""Regret and its attribution, on a market whose truth is known."""

from dataclasses import replace

import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.decide import Budget, DecisionError, Options, retrospect, solve, what_if
from dagcast_core.dims import HOUR
from dagcast_core.model import Model, ModelCollection
from dagcast_core.tensor import IndexTensor, Panel

REGION = Dim("region")

FINE = Options(gap=1e-6)


@pytest.fixture
def lived(make, problem):
    """A plan by models of which one is wrong, and what the truth made of it."""

    def live(wrong):
        plan = solve(problem, options=FINE)
        truth = make.market(**wrong)
        happened = truth.predict(problem.context.assign(spend=plan.decisions["spend"]))
        values = {name: t.with_tensor(t.tensor.detach()) for name, t in happened.items()}
        return plan, Panel(values)

    return live


def test_regret_is_zero_where_everything_was_foreseen(problem, lived):
    plan, actuals = lived({})
    seen = retrospect(problem, plan.decisions, actuals, planned=plan, options=FINE)
    assert seen.regret == pytest.approx(0.0, abs=1e-5 * seen.attainable)
    assert seen.replay_error < 1e-9
    assert all(share.value == pytest.approx(0.0, abs=1e-6) for share in seen.attribution)


def test_shares_sum_to_regret_and_blame_the_wrong_member(make, problem, lived):
    plan, actuals = lived({"supply": make.Supply(half=45.0)})
    seen = retrospect(problem, plan.decisions, actuals, planned=plan, options=FINE)
    total = sum(share.value for share in seen.attribution) + seen.execution_gap
    assert total == pytest.approx(seen.regret, abs=1e-9)
    assert seen.attribution[0].member == "supply-model"
    assert seen.attribution[0].value > 0
    others = [share.value for share in seen.attribution[1:]]
    assert max(map(abs, others)) <= 1e-6 * max(seen.attainable, 1.0)
    assert seen.replay_error < 1e-9
    assert seen.unit == "ride"
    assert "supply-model" in seen.attribution[0].words


def summed(cells):
    return sum(float(tensor.tensor.sum()) for tensor in cells.values())


def assert_cells_add_up(seen):
    """Shares, execution gap and regret by cell add up, but for the price of broken limits."""
    scale = max(1.0, seen.attainable)
    shares = sum(summed(cells) for cells in seen.share_cells.values())
    both = shares + summed(seen.execution_cells)
    assert both == pytest.approx(summed(seen.regret_cells), abs=1e-9 * scale)
    # What breaking limits costs is of no cell; the ex-post plan breaks none worth speaking of.
    assert summed(seen.regret_cells) == pytest.approx(seen.regret - seen.priced, abs=1e-4 * scale)
    for share in seen.attribution:
        cells = seen.share_cells.get(share.member, {})
        assert summed(cells) == pytest.approx(share.value, abs=seen.priced + 1e-4 * scale)


def test_regret_is_shared_out_cell_by_cell(make, problem, lived):
    plan, actuals = lived({"supply": make.Supply(half=45.0)})
    seen = retrospect(problem, plan.decisions, actuals, planned=plan, options=FINE)
    assert_cells_add_up(seen)
    (name,) = problem.objective.weights
    cells = seen.share_cells["supply-model"][name]
    assert set(cells.dims) == {"region", "hour"}
    assert float(cells.tensor.abs().max()) > 0.0
    wrong = [n for n in seen.share_cells if n != "supply-model"]
    assert all(abs(summed(seen.share_cells[n])) < 1e-6 * seen.attainable for n in wrong)


def test_regret_is_not_negative_where_executed_keeps_the_limits(make, problem, lived):
    plan, actuals = lived({"eta": make.Eta()})
    spend = plan.decisions["spend"]
    less = Panel(spend=spend.with_tensor(spend.tensor * 0.999))
    happened = make.market().predict(problem.context.assign(spend=less["spend"]))
    actuals = Panel({n: t.with_tensor(t.tensor.detach()) for n, t in happened.items()})
    seen = retrospect(problem, less, actuals, planned=plan, options=FINE)
    assert seen.execution_gap == pytest.approx(seen.regret, abs=1e-6 * seen.attainable)


def test_other_decisions_are_judged_by_the_same_hindsight(make, problem):
    budgets = tuple(item for item in problem.constraints if isinstance(item, Budget))
    free = replace(problem, constraints=budgets)
    plan = solve(free, options=FINE)
    happened = make.market().predict(free.context.assign(spend=plan.decisions["spend"]))
    actuals = Panel({n: t.with_tensor(t.tensor.detach()) for n, t in happened.items()})
    spend = plan.decisions["spend"]
    half = Panel(spend=spend.with_tensor(spend.tensor * 0.5))
    given = {"same": plan.decisions, "half": half}
    seen = retrospect(free, plan.decisions, actuals, planned=plan, others=given, options=FINE)
    assert seen.regrets["same"] == pytest.approx(seen.regret, abs=1e-9)
    # Everything was foreseen, so the model itself says what half the money would have lost.
    expected = plan.objective - what_if(free, half).objective
    assert seen.regrets["half"] == pytest.approx(expected, abs=1e-5 * seen.attainable)
    assert seen.regrets["half"] > 0.01 * seen.attainable


def test_wrong_forecast_of_inputs_is_a_player(make, problem, lived):
    plan, _ = lived({})
    sessions = problem.context["sessions"]
    wave = 1.0 + 0.4 * torch.sin(torch.arange(12) * 0.9)
    true_sessions = sessions.with_tensor(sessions.tensor * wave)
    happened = make.market().predict(
        problem.context.assign(sessions=true_sessions, spend=plan.decisions["spend"])
    )
    actuals = Panel({n: t.with_tensor(t.tensor.detach()) for n, t in happened.items()})
    seen = retrospect(
        problem, plan.decisions, actuals.assign(sessions=true_sessions), planned=plan, options=FINE
    )
    assert seen.attribution[0].member == "forecast of inputs"
    assert seen.attribution[0].value > 0


def test_single_model_is_refused_with_the_way_out(make, problem):
    alone = make.Rides()
    with pytest.raises(DecisionError, match="needs a ModelCollection"):
        retrospect(
            type(problem)(
                alone,
                problem.levers,
                problem.objective,
                [],
                problem.context.assign(eta=problem.context["sessions"] * 0.05),
            ),
            Panel(spend=problem.context["spend"]),
            Panel(rides=problem.context["sessions"]),
        )
    assert isinstance(problem.model, ModelCollection)


@pytest.mark.parametrize("at", [4, 30])
def test_interrupted_hindsight_has_no_result(make, problem, lived, at, interrupt_at_gradient):
    """Whichever solve is interrupted: its best point so far would be blamed on somebody."""
    plan, actuals = lived({"supply": make.Supply(half=45.0), "eta": make.Eta()})
    left = interrupt_at_gradient(at)
    with pytest.raises(KeyboardInterrupt, match="interrupted while looking back"):
        retrospect(problem, plan.decisions, actuals, planned=plan)
    assert left[0] <= 0


def test_nothing_observed_is_refused(problem):
    with pytest.raises(DecisionError, match="nothing that market forecasts"):
        retrospect(problem, Panel(spend=problem.context["spend"]), Panel())


def test_more_than_eight_members_are_sampled_and_the_damaged_one_is_found(make, problem):
    """Seven models pass ETA on; every one errs a little, the second much."""
    sessions, _, spend = (item.quantity for item in make.Rides.contract.inputs)
    names = ["eta", *(f"eta_{k}" for k in range(7))]
    quantities = [Quantity(name, (REGION, HOUR), "min", bounds=(0, None)) for name in names]

    def step(k, factor):
        class Step(Model):
            contract = Contract(f"step-{k}", inputs=(quantities[k],), outputs=(quantities[k + 1],))

            def forward(self, **inputs):
                return inputs[names[k]] * factor

            def loss_terms(self):
                return ()

        return Step()

    class Last(make.Rides):
        contract = Contract(
            "rides-model",
            inputs=(sessions, quantities[-1], spend),
            outputs=make.Rides.contract.outputs,
        )

        def forward(self, sessions, eta_6, spend):
            return super().forward(sessions, eta_6, spend)

    def chain(factors):
        steps = [step(k, factor) for k, factor in enumerate(factors)]
        return ModelCollection([make.Supply(), make.Eta(), *steps, Last()], name="long")

    believed = replace(problem, model=chain([1.0] * 7), constraints=make.limits()[:2])
    uneven = IndexTensor([0.7, 1.5, 0.9], {"region": ["A", "B", "C"]}, "uneven")
    truth = chain([1.003, uneven, 0.998, 1.002, 0.997, 1.004, 0.999])
    plan = solve(believed, options=FINE)
    happened = truth.predict(believed.context.assign(spend=plan.decisions["spend"]))
    actuals = Panel({name: t.with_tensor(t.tensor.detach()) for name, t in happened.items()})
    told = []
    seen = retrospect(
        believed,
        plan.decisions,
        actuals,
        planned=plan,
        options=FINE,
        samples=6,
        seed=2,
        progress=lambda solved, of: told.append(solved / of),
    )
    assert told == sorted(told)
    assert 0.0 < told[-1] <= 1.0
    assert len(seen.attribution) == 10
    assert_cells_add_up(seen)
    assert seen.attribution[0].member == "step-1"
    assert seen.attribution[0].standard_error >= 0.0
    assert any(share.standard_error > 0 for share in seen.attribution)
    total = seen.execution_gap + sum(share.value for share in seen.attribution)
    assert total == pytest.approx(seen.regret, abs=1e-9 * max(1.0, seen.attainable))
    assert seen.regret >= -1e-6 * seen.attainable


def test_limits_that_nobody_could_keep_are_relaxed_and_named(make, problem, lived):
    """ETA was worse than foreseen in every region: no spend within the budget keeps the limits."""

    class Slow(make.Eta):
        contract = make.Eta.contract

        def forward(self, supply, sessions):
            return 1.3 * super().forward(supply, sessions)

    plan, actuals = lived({"eta": Slow()})
    seen = retrospect(problem, plan.decisions, actuals, planned=plan, options=FINE)
    assert any("eta B" in line for line in seen.relaxed)
    assert seen.ex_post.status != "infeasible"
    assert -1e-6 * seen.attainable <= seen.regret <= seen.attainable
