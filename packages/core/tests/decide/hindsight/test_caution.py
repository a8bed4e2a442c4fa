"""What it cost to hedge."""

import pytest

from dagcast_core.decide import Options, Risk, retrospect, solve
from dagcast_core.tensor import Panel

FINE = Options(gap=1e-4)


def test_hindsight_prices_caution_apart_from_errors(make, uncertain):
    """Nothing was unforeseen, so all the regret is what hedging cost."""
    problem = uncertain(Risk("cvar", 0.1), spread=0.6)
    plan = solve(problem, options=FINE)
    known = problem.context.assign(spend=plan.decisions["spend"])
    happened = problem.model.predict(known)
    actuals = Panel({name: t.with_tensor(t.tensor.detach()) for name, t in happened.items()})
    seen = retrospect(problem, plan.decisions, actuals, planned=plan, options=Options(gap=1e-6))
    assert seen.caution > 0
    assert seen.caution == pytest.approx(seen.regret, rel=1e-3)
    parts = seen.execution_gap + seen.caution + sum(share.value for share in seen.attribution)
    assert parts == pytest.approx(seen.regret, abs=1e-9)
    assert all(abs(share.value) <= 1e-3 * seen.regret for share in seen.attribution)
