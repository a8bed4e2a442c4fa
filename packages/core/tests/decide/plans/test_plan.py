"""Plans that are saved and read back."""

import pytest
import torch

from dagcast_core.decide import Budget, DecisionError, Fallback, Options, Plan, Risk, solve

FINE = Options(gap=1e-4)


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


def test_robust_plan_is_saved_and_read_back(uncertain, tmp_path):
    fallback = Fallback("spend", "zero", width=0.2, quantity="rides")
    problem = uncertain(Risk("cvar", 0.25), [Budget("spend", 900.0), fallback])
    plan = solve(problem, options=FINE)
    plan.save(tmp_path / "plan")
    again = Plan.load(tmp_path / "plan")
    assert again.objective_draws == plan.objective_draws
    assert again.reasons == plan.reasons
    assert again.shadow_prices == plan.shadow_prices
    assert torch.equal(again.flags["spend"].tensor, plan.flags["spend"].tensor)
    assert torch.equal(again.response_width["spend"].tensor, plan.response_width["spend"].tensor)
    assert again.provenance["problem"] == plan.provenance["problem"]
