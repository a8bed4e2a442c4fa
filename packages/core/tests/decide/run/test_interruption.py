"""Ctrl-C and the time limit at any moment, and what is told meanwhile."""

from dataclasses import replace

import pytest

from dagcast_core.decide import Budget, DecisionProblem, Lever, Objective, Options, solve

FINE = Options(gap=1e-6)


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


@pytest.mark.again
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


@pytest.mark.again
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
