"""What one more unit of an outcome costs at a plan, against solving again."""

from dataclasses import replace

import pytest

from dagcast_core.decide import (
    Budget,
    DecisionError,
    Lever,
    Objective,
    Options,
    OutcomeLimit,
    marginal_cost,
    solve,
    what_if,
)

FINE = Options(gap=1e-9)


def test_slack_outcome_costs_what_buying_it_again_costs(problem):
    """Raise from the plan on a small purse where it moves rides most: the definition, solved."""
    problem = replace(problem, constraints=[Budget("spend", 300.0)], objective=Objective("profit"))
    plan = solve(problem, options=FINE)
    found = marginal_cost(problem, plan, "rides")
    spent = plan.decisions["spend"]
    purse = 0.05
    more = replace(
        problem,
        levers=[Lever("spend", spent, 60.0)],
        objective=Objective("rides"),
        constraints=[Budget("spend", float(spent.tensor.sum()) + purse)],
    )
    bought = solve(more, plan.decisions, options=FINE)
    before, after = (float(item.forecast["rides"].tensor.mean()) for item in (plan, bought))
    assert found.cost == pytest.approx(purse / (after - before), rel=2e-3)
    assert (found.unit, found.cost_unit, found.objective_unit) == ("ride/h", "USD", "USD")
    cell = spent.sel({dim: [label] for dim, label in found.cell.items()})
    assert cell.tensor.numel() == 1


def test_objective_agrees_with_the_shadow_price_where_only_that_limit_binds(problem):
    """And with the optimum of a limit that asks for one unit more."""
    free = replace(problem, constraints=[], objective=Objective("profit"))
    most = float(solve(free, options=FINE).forecast["rides"].tensor.mean())
    floor = most + 0.5

    def at(limit):
        return replace(free, constraints=[OutcomeLimit("rides", ">=", limit, reduce="mean")])

    plan = solve(at(floor), options=FINE)
    found = marginal_cost(at(floor), plan, "rides")
    assert found.objective == pytest.approx(plan.price_of("rides").price, rel=1e-3)
    again = [solve(at(floor + step), options=FINE).objective for step in (-0.01, 0.01)]
    assert found.objective == pytest.approx((again[1] - again[0]) / 0.02, rel=1e-2)
    # Where nothing binds spending pays for itself at the margin, and still it is spent.
    slack = replace(free, constraints=[OutcomeLimit("rides", ">=", most - 0.5, reduce="mean")])
    easy = marginal_cost(slack, solve(slack, options=FINE), "rides")
    assert abs(easy.objective) < 1e-2
    assert easy.cost > 1.0
    assert solve(slack, options=FINE).price_of("rides").price == 0.0


def test_less_of_a_mean_costs_by_the_change_asked_for(problem):
    """ETA falls where spend rises, so only less of it can be bought."""
    plan = solve(problem, options=FINE)
    found = marginal_cost(problem, plan, "eta", change=-0.01)
    assert found.unit == "min"
    more = plan.decisions["spend"].clone()
    step = 1e-4
    at = tuple(more.index(dim).get_indexer([label])[0] for dim, label in found.cell.items())
    more.tensor[at] += step
    ends = [
        float(what_if(problem, given).forecast["eta"].tensor.mean())
        for given in (plan.decisions, plan.decisions.assign({"spend": more}))
    ]
    assert found.cost == pytest.approx(0.01 * step / (ends[0] - ends[1]), rel=1e-3)
    assert "costs" in found.words
    with pytest.raises(DecisionError, match="brings no more eta"):
        marginal_cost(problem, plan, "eta")
    with pytest.raises(DecisionError, match="no outcome is called 'etas'"):
        marginal_cost(problem, plan, "etas")
    with pytest.raises(DecisionError, match="not 0"):
        marginal_cost(problem, plan, "eta", change=0.0)
    with pytest.raises(DecisionError, match="no lever 'spent'"):
        marginal_cost(problem, plan, "eta", levers=["spent"])
