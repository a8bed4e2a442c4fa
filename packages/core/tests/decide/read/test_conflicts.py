"""Limits that cannot all be kept."""

import itertools
from dataclasses import replace

import pytest
import torch

from dagcast_core.decide import Budget, Options, OutcomeLimit, project, solve
from dagcast_core.decide.compile._compiled import compile_problem
from dagcast_core.solver import phase_one


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


def names(line, row):
    quantity, region = row
    return f" {quantity} {region} " in line


SEEDS = [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.again) for seed in range(3, 21))]


@pytest.mark.parametrize("seed", SEEDS)
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


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.again)])
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
