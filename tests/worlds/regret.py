"""Are plans worth their money in truth, and does hindsight name who was wrong?

    python tests/worlds/regret.py --seeds 20 --cache DIR [--all-members]

In every world the plan of the fitted collection is compared with spending nothing, with the
operator's own rule and with the best plan that direct search in the simulator finds, all with the
same money and for the same objective, in replications that no search has seen. The search moves
whole classes of hours, so a plan that sets every hour can beat it; how much the search still finds
when it goes on from the plan is shown beside it.

Then the planned week is lived through, and regret is measured and attributed: as fitted, and with
one member damaged (`_plans.DAMAGES` says how much), a different one from world to world, or each of
them with --all-members.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from _market import Row, Spec, judged, opened, options, over_worlds, report, specs_of
from _plans import DAMAGES, OPTIONS, damaged, decisions_of, make_round

from dagcast_core.decide import Retrospective

REGIONS, WEEKS = 2, 10
# A sweep over all classes of hours, up and down, takes some 200 plans in two regions.
EVALUATIONS, FURTHER = 400, 100


@dataclass(frozen=True)
class Found:
    """What one world says; gains are true, over no spend, in units of the objective.

    Attributes:
        operator: gain of the operator's rule.
        plan: gain of the plan.
        promised: the gain that the models promised for it.
        best: gain of the best plan by direct search.
        further: gain of the best plan by a search that goes on from the plan; never below it on
            the replications of the search.
        certified: whether the plan was proved optimal for its models.
        hindsights: by damaged member; "" is the collection as fitted.
    """

    operator: float
    plan: float
    promised: float
    best: float
    further: float
    certified: bool
    hindsights: dict[str, Hindsight]


@dataclass(frozen=True)
class Hindsight:
    """Regret of one plan.

    Attributes:
        regret: in units of the objective.
        attainable: gain of the ex-post plan over spending nothing.
        unexplained: regret less execution gap and all shares.
        blamed: the member with the largest share.
        shares: by member.
    """

    regret: float
    attainable: float
    unexplained: float
    blamed: str
    shares: dict[str, float]


def measure(
    spec: Spec,
    evaluations: int = EVALUATIONS,
    further: int = FURTHER,
    members: Sequence[str] | None = None,
) -> Found:
    """Plan, compare and look back in one world.

    Args:
        spec: which world.
        evaluations: plans that the search tries.
        further: plans that the search tries when it goes on from the plan of the models.
        members: to damage; by default one, in turn from world to world.
    """
    everyone = list(DAMAGES)
    if members is None:
        members = (everyone[spec.seed % len(everyone)],)
    torch.set_num_threads(1)
    with opened(spec) as market:
        model, _ = market.fit()
        planning = make_round(market)
        plan = planning.plan(model)
        decisions = decisions_of(plan)
        nothing = planning.worth(planning.nothing())
        best = planning.search(evaluations)
        going_on = planning.search(further, start=decisions)
        hindsights = {"": _hindsight(planning.hindsight(model, plan))}
        for member in members:
            wrong = damaged(model, member, turn=spec.seed // len(everyone))
            hindsights[member] = _hindsight(planning.hindsight(wrong, planning.plan(wrong)))
        return Found(
            planning.worth(market.world.operator_decisions()) - nothing,
            planning.worth(decisions) - nothing,
            plan.lift,
            planning.worth(best.decisions) - nothing,
            planning.worth(going_on.decisions) - nothing,
            plan.status == "optimal",
            hindsights,
        )


def _hindsight(found: Retrospective) -> Hindsight:
    shares = {item.member: item.value for item in found.attribution}
    explained = found.execution_gap + found.caution + sum(shares.values())
    return Hindsight(
        found.regret,
        found.attainable,
        found.regret - explained,
        found.attribution[0].member,
        shares,
    )


def rows(found: Sequence[Found]) -> list[Row]:
    """The table."""
    everything = [looked for world in found for looked in world.hindsights.values()]
    named = [
        float(looked.blamed == member)
        for world in found
        for member, looked in world.hindsights.items()
        if member
    ]
    lowest: Callable[[Sequence[float]], float] = min
    table = [
        judged(
            "gain of the plan / of the best plan by search",
            [world.plan / world.best for world in found],
            at_least=0.9,
        ),
        judged(
            "the same, in the world where it is lowest",
            [world.plan / world.best for world in found],
            at_least=0.9,
            by=lowest,
            figure="lowest",
        ),
        judged(
            "gain of the plan / of a search going on from it",
            [world.plan / max(world.further, world.best) for world in found],
        ),
        judged(
            "gain of the plan over the operator's / the operator's",
            [(world.plan - world.operator) / world.operator for world in found],
            at_least=0.0,
            by=lowest,
            figure="lowest",
        ),
        judged("gain promised / gain of the plan", [w.promised / w.plan for w in found]),
        judged("plan proved optimal, share of worlds", [float(w.certified) for w in found]),
        judged(
            "regret / attainable gain, as fitted",
            [w.hindsights[""].regret / w.hindsights[""].attainable for w in found],
        ),
        judged(
            "regret / attainable gain, lowest of all",
            [looked.regret / looked.attainable for looked in everything],
            at_least=-OPTIONS.gap,
            by=lowest,
            figure="lowest",
        ),
        judged(
            "regret less its parts / regret",
            [abs(looked.unexplained) / max(abs(looked.regret), 1.0) for looked in everything],
            at_most=1e-6,
            by=max,
            figure="largest",
        ),
    ]
    if named:
        table.append(
            judged(
                "damaged member has the largest share",
                named,
                at_least=0.95,
                by=lambda values: sum(values) / len(values),
                figure="mean",
            )
        )
        tried = [m for m in DAMAGES if any(m in world.hindsights for world in found)]
        table += [_share_of(member, found) for member in tried]
    return table


def _share_of(member: str, found: Sequence[Found]) -> Row:
    size = DAMAGES[member][0]
    looked = [world.hindsights[member] for world in found if member in world.hindsights]
    return judged(
        f"  {member} damaged by {size:g}: its part of the regret",
        [item.shares[member] / item.regret for item in looked],
    )


def main() -> int:
    """Measure and print."""
    parser = options(__doc__.splitlines()[0], regions=REGIONS, weeks=WEEKS)
    parser.add_argument("--all-members", action="store_true", help="damage each in every world")
    arguments = parser.parse_args()
    task = partial(measure, members=tuple(DAMAGES)) if arguments.all_members else measure
    found = over_worlds(task, specs_of(arguments, {}), processes=arguments.processes)
    for number, world in enumerate(found, start=arguments.first_seed):
        wrong = [f"{m} (blamed: {h.blamed})" for m, h in world.hindsights.items() if m]
        wrong = [text for text in wrong if text.split(" ")[0] != text.split("blamed: ")[1][:-1]]
        print(
            f"seed {number}: operator {world.operator:,.0f}, plan {world.plan:,.0f}, "
            f"best {world.best:,.0f}, further {world.further:,.0f}"
            + (f"; missed: {', '.join(wrong)}" if wrong else "")
        )
    size = f"{arguments.regions} regions, {arguments.weeks} weeks"
    return report(f"plans and regret in {len(found)} worlds of {size}", rows(found))


if __name__ == "__main__":
    sys.exit(main())
