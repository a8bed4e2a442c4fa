"""Problems told apart."""

import json
from dataclasses import replace

from dagcast_core.decide import Lever, Objective, Plan, solve


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
