"""Causal claims in an assembly: nothing that a lever moves may get lost on the way."""

from collections.abc import Sequence

from dagcast_core.contract._experiment import Experiment
from dagcast_core.contract._graph import reachable
from dagcast_core.contract._nearest import nearest
from dagcast_core.contract._problem import PROJECT_LABEL, Problem
from dagcast_core.contract._registration import Registration


def lost_effects(
    active: Sequence[Registration],
    levers: Sequence[str],
    required: Sequence[str],
    externals: set[str],
    *,
    complete: bool,
) -> list[Problem]:
    """Find levers that move nothing, and inputs that levers move but no effect is claimed of.

    A quantity that the project asks for and no lever moves is a lost effect too: it is what is
    left when the package that models a lever's response is uninstalled and its only reader falls
    back on a default.

    Args:
        active: contracts that take part.
        levers: quantities that the project decides.
        required: quantities that the project asks for.
        externals: names that the project provides.
        complete: whether every quantity is provided; a missing package explains an unread lever.
    """
    flows = _flows(active)
    problems = []
    for lever in levers:
        if complete and lever not in flows:
            problems.append(
                Problem.of(
                    "DC118",
                    lever,
                    consumer=PROJECT_LABEL,
                    expected="a model that reads the lever",
                    found="none",
                    fix="install the package that models its effect, or take it from the levers",
                )
            )
    moved = reachable(levers, flows)
    for item in active:
        claimed = {effect.lever for effect in item.contract.effects}
        for name in item.contract.input_names:
            if name in moved and name not in claimed:
                problems.append(
                    Problem.of(
                        "DC118",
                        name,
                        consumer=str(item),
                        expected=f"an Effect of it, since the levers ({', '.join(levers)}) move it",
                        found="an input without one",
                        fix=f"declare Effect({name!r}, <output>, sign='?') or with its sign, or "
                        "drop the input",
                    )
                )
    if levers and complete and not problems:
        problems += _unmoved(active, levers, required, externals)
    return problems


def _unmoved(
    active: Sequence[Registration],
    levers: Sequence[str],
    required: Sequence[str],
    externals: set[str],
) -> list[Problem]:
    claims: dict[str, set[str]] = {}
    for item in active:
        for effect in item.contract.effects:
            if effect.differentiable:
                claims.setdefault(effect.lever, set()).add(effect.outcome)
    reached = reachable(levers, claims)
    unmoved = [name for name in dict.fromkeys(required) if name not in reached]
    if not unmoved:
        return []
    # An optional input that nobody makes is where the path most likely broke.
    made = externals.union(*(item.contract.output_names for item in active))
    idle = [
        f"nothing makes {name!r}, which {item} reads where it is there"
        for item in active
        for name in item.contract.input_names
        if name not in made
    ]
    return [
        Problem.of(
            "DC118",
            ", ".join(levers),
            consumer=PROJECT_LABEL,
            expected=f"a lever to move {', '.join(unmoved)}",
            found="; ".join(("no path of differentiable effects between them", *idle)),
            fix="install the package that models the response to the lever, declare the effect "
            "that is missing, or take the quantity out of the objective and the guardrails",
        )
    ]


def unreached(
    active: Sequence[Registration],
    experiments: Sequence[Experiment],
    externals: set[str],
    *,
    complete: bool,
) -> list[Problem]:
    """Find experiments that speak of unknown quantities or of effects that no models join.

    Args:
        active: contracts that take part.
        experiments: measured effects.
        externals: names that the project provides.
        complete: whether every quantity is provided; if not, only misspelt names are reported,
            because a missing package explains the rest.
    """
    read = {name for item in active for name in item.contract.input_names}
    produced = {name for item in active for name in item.contract.output_names}
    known = read | produced | externals
    flows = _flows(active)
    problems = []
    for experiment in experiments:
        unknown = [n for n in (*experiment.levers, experiment.outcome) if n not in known]
        for name in unknown:
            near = nearest(name, known)
            if near is None and not complete:
                continue
            problems.append(
                Problem.of(
                    "DC114",
                    name,
                    consumer=f"experiment {experiment.name}",
                    expected="a quantity that some model reads or produces",
                    found="none of that name" + (f"; nearest is {near!r}" if near else ""),
                    fix=f"write {near!r}"
                    if near
                    else "install the package that models it, or leave the experiment out",
                )
            )
        if unknown or not complete:
            continue
        for lever in experiment.levers:
            if experiment.outcome not in reachable([lever], flows) - {lever}:
                problems.append(
                    Problem.of(
                        "DC115",
                        lever,
                        consumer=f"experiment {experiment.name}",
                        expected=f"a path of models from it to {experiment.outcome!r}",
                        found="none, so no model can be held to the measured effect",
                        fix="install the model in between, or leave the experiment out",
                    )
                )
    return problems


def _flows(active: Sequence[Registration]) -> dict[str, set[str]]:
    flows: dict[str, set[str]] = {}
    for item in active:
        for name in item.contract.input_names:
            flows.setdefault(name, set()).update(item.contract.output_names)
    return flows
