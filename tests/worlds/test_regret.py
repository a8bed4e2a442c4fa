"""Plans and regret in three small worlds; `nox -s worlds -- regret` is the whole measurement."""

import copy
from dataclasses import replace

import pytest
import regret
import torch
from _market import Spec
from _plans import DAMAGES, damaged

torch.set_num_threads(1)

# World and the member that is damaged in it; the search is short, its plan is no best plan.
CASES = ((101, "driver-hours"), (102, "eta"), (103, "sessions"))
EVALUATIONS, FURTHER = 40, 15


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    cache = tmp_path_factory.mktemp("worlds")
    return [
        regret.measure(
            Spec(seed, regions=2, weeks=8, cache=cache), EVALUATIONS, FURTHER, members=(member,)
        )
        for seed, member in CASES
    ]


def test_every_target_holds_in_small_worlds(found):
    rows = regret.rows(found)
    assert [row.case for row in rows if row.held is False] == []
    assert sum(row.held is not None for row in rows) == 6


def test_plans_are_worth_about_what_a_search_going_on_from_them_reaches(found):
    for world in found:
        assert world.plan > 0.95 * world.further


def test_the_damaged_member_is_named(found):
    for world, (_, member) in zip(found, CASES, strict=True):
        assert world.hindsights[member].blamed == member
        # What it costs is more than what chance costs a sound collection.
        assert world.hindsights[member].regret > world.hindsights[""].regret


def test_a_plan_that_loses_to_the_operator_or_blames_another_is_a_miss(found):
    worse = [replace(found[0], plan=0.5 * found[0].operator), *found[1:]]
    missed = {row.case for row in regret.rows(worse) if row.held is False}
    assert "gain of the plan over the operator's / the operator's" in missed
    assert "the same, in the world where it is lowest" in missed

    looked = {m: replace(h, blamed="pricing") for m, h in found[0].hindsights.items()}
    wrong = [replace(found[0], hindsights=looked), *found[1:]]
    assert [row.case for row in regret.rows(wrong) if row.held is False] == [
        "damaged member has the largest share"
    ]

    looked = {m: replace(h, regret=-10.0, unexplained=0.1) for m, h in found[0].hindsights.items()}
    broken = [replace(found[0], hindsights=looked), *found[1:]]
    assert [row.case for row in regret.rows(broken) if row.held is False] == [
        "regret / attainable gain, lowest of all",
        "regret less its parts / regret",
    ]


def test_a_damage_reaches_every_parameter_that_the_table_names(monkeypatch):
    from dagcast.assembly import build_collection
    from dagcast.plugins import load_plugins

    plugins = load_plugins()
    labels = {"region": ("north", "south"), "incentive": ("guarantee", "boost")}
    model = build_collection(plugins, labels, {})
    before = copy.deepcopy(model.state_dict())
    for member, (size, names) in DAMAGES.items():
        moved = damaged(model, member).state_dict()
        changed = {key for key in moved if not torch.equal(moved[key], before[key])}
        assert len(changed) == len(names)
        for key in changed:
            assert key.removeprefix(f"_members.{member}.").removesuffix(".raw").endswith(names)
            # Up and down in turns: the member is wrong, not merely shifted.
            step = moved[key] - before[key]
            assert torch.allclose(step.abs(), torch.full_like(step, size))
            assert step.min() < 0 < step.max()
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)
    monkeypatch.setitem(DAMAGES, "eta", (1.0, ("no such parameter",)))
    with pytest.raises(ValueError, match="eta: 0 parameters moved"):
        damaged(model, "eta")
