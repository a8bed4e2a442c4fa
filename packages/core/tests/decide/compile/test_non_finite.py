"""Models that have no value, and what is said of them."""

from dataclasses import replace

import pytest

from dagcast_core.contract import Weighted
from dagcast_core.decide import (
    Budget,
    DecisionError,
    DecisionProblem,
    Lever,
    Objective,
    OutcomeLimit,
    solve,
)


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
