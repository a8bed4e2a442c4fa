"""Joining contracts by quantity name, and everything that can be wrong with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dagcast_core.contract._contract import Contract, Input
from dagcast_core.contract._edges import mismatches, total_unit
from dagcast_core.contract._effects import lost_effects, unreached
from dagcast_core.contract._experiment import Experiment
from dagcast_core.contract._graph import Arc, instant_loops, topological_order
from dagcast_core.contract._nearest import nearest
from dagcast_core.contract._problem import PROJECT_LABEL, Problem
from dagcast_core.contract._quantity import Quantity, Weighted
from dagcast_core.contract._registration import Assembly, Edge, Registration


def assemble(
    contracts: Iterable[Registration | Contract],
    *,
    externals: Iterable[Quantity | str] | None = None,
    required: Iterable[str] | Mapping[str, str] = (),
    weights: Iterable[str] = (),
    levers: Iterable[str] = (),
    serving: Mapping[str, str] | None = None,
    experiments: Iterable[Experiment] = (),
) -> Assembly:
    """Join models by quantity name and report every problem, one per root cause.

    Args:
        contracts: of all candidate models, in the order in which ties are to be resolved.
        externals: exogenous quantities and levers that the project provides; a ``Quantity`` is
            checked against what consumers expect, a name is only known to exist. ``None`` accepts
            whatever no model produces, as a collection that is itself a model does.
        required: quantities that the project asks for, e.g. its objective and guardrails; as a
            mapping, with the unit in which the project counts each over its horizon (``USD`` of a
            quantity in USD/h that is summed), empty where any will do.
        weights: quantities that the project's means are weighted by; they have to be there, moved
            or not.
        levers: quantities that the project decides; what they move must be claimed as an effect,
            and some lever must move each required quantity.
        serving: which distribution or model serves a quantity, where several could.
        experiments: measured effects, whose lever must reach their outcome.

    Returns:
        The assembly; look at ``problems`` or call ``raise_problems()``.
    """
    candidates = [c if isinstance(c, Registration) else Registration(c) for c in contracts]
    units = required if isinstance(required, Mapping) else {}
    required = tuple(required)
    weights = tuple(weights)
    active, problems = _chosen(candidates, serving or {}, (*required, *weights))
    inactive = tuple(item for item in candidates if item not in active)
    problems += _repeated_models(active)
    declared = None if externals is None else list(externals)
    known = _names(declared)
    producers, clashes = _producers(active, known)
    problems += clashes
    missing = _missing(active, producers, declared, (*required, *weights))
    problems += missing
    problems += _mismatched(active, producers, declared)
    problems += _miscounted(units, producers)
    arcs = _arcs(active, producers)
    problems += _loops(active, arcs)
    problems += lost_effects(active, tuple(levers), required, known, complete=not missing)
    problems += unreached(active, tuple(experiments), known, complete=not missing)
    order = topological_order(len(active), arcs)
    return Assembly(
        registrations=tuple(active[node] for node in order),
        inactive=inactive,
        edges=tuple(
            Edge(active[arc.tail].model, arc.quantity, active[arc.head].model, arc.lag)
            for arc in arcs
        ),
        externals=_external_inputs([active[node] for node in order], producers),
        problems=tuple(sorted(problems, key=lambda p: (p.code, p.name, p.consumer))),
    )


def _chosen(
    candidates: Sequence[Registration], serving: Mapping[str, str], required: Sequence[str]
) -> tuple[list[Registration], list[Problem]]:
    active = list(candidates)
    problems = []
    for quantity, choice in serving.items():
        able = [item for item in candidates if quantity in item.contract.output_names]
        chosen = [item for item in able if choice in (item.distribution, item.model)]
        if chosen:
            active = [item for item in active if item not in able or item in chosen]
            continue
        produced = {name for item in candidates for name in item.contract.output_names}
        near = nearest(quantity, produced) if not able else None
        names = ", ".join(dict.fromkeys(item.distribution or item.model for item in able))
        problems.append(
            Problem.of(
                "DC117",
                quantity,
                consumer=PROJECT_LABEL,
                expected=f"{choice} to produce it",
                found=f"it produced by {names}" if able else "no package that produces it",
                fix=f"choose {names}, or install {choice}"
                if able
                else (f"write {near!r}" if near else f"install {choice}, or drop the choice"),
            )
        )
    return _without_orphans(active, candidates, required), problems


def _without_orphans(
    active: list[Registration], candidates: Sequence[Registration], required: Sequence[str]
) -> list[Registration]:
    # The inner parts of a nested collection whose outer model was swapped serve nobody: they
    # would still be fitted and paid for.
    swapped = {item.distribution for item in candidates if item not in active} - {""}
    while True:
        read = {name for item in active for name in item.contract.input_names} | set(required)
        kept = [
            item
            for item in active
            if item.distribution not in swapped or read & set(item.contract.output_names)
        ]
        if len(kept) == len(active):
            return kept
        active = kept


def _repeated_models(active: Sequence[Registration]) -> list[Problem]:
    problems = []
    names = [item.model for item in active]
    for name in dict.fromkeys(names):
        if names.count(name) == 1:
            continue
        same = [item for item in active if item.model == name]
        problems.append(
            Problem.of(
                "DC116",
                name,
                producer=_labels(same),
                expected="one model of this name",
                found=f"{len(same)}",
                fix="rename one, or choose in [serving] of dagcast.toml which one serves",
            )
        )
    return problems


def _producers(
    active: Sequence[Registration], known: set[str]
) -> tuple[dict[str, Registration], list[Problem]]:
    able: dict[str, list[Registration]] = {}
    for item in active:
        for name in item.contract.output_names:
            able.setdefault(name, []).append(item)
    problems = []
    for name, items in able.items():
        found = _labels(items)
        if name in known:
            problems.append(
                Problem.of(
                    "DC103",
                    name,
                    consumer=PROJECT_LABEL,
                    producer=found,
                    expected="a quantity that the project provides",
                    found="a model that produces it too",
                    fix="take it from the project's levers, or disable the package",
                )
            )
        elif len(items) > 1:
            choices = ", ".join(dict.fromkeys(item.distribution or item.model for item in items))
            problems.append(
                Problem.of(
                    "DC103",
                    name,
                    producer=found,
                    expected="one producer",
                    found=f"{len(items)}",
                    fix=f"choose one of {choices} for {name!r} in [serving] of dagcast.toml "
                    f"(without a project: --set serving.{name}=...), or disable the other",
                )
            )
    # A disputed quantity is not compared further: which promise counts is not known yet.
    return {
        n: items[0] for n, items in able.items() if len(items) == 1 and n not in known
    }, problems


def _missing(
    active: Sequence[Registration],
    producers: Mapping[str, Registration],
    externals: Sequence[Quantity | str] | None,
    required: Sequence[str],
) -> list[Problem]:
    produced = {name for item in active for name in item.contract.output_names}
    known = produced | _names(externals)
    wanted: dict[str, list[Registration | None]] = {}
    for item in active if externals is not None else ():
        names = [asked.name for asked in item.contract.inputs if asked.required]
        # A misspelt optional input would take its default for ever: an effect lost in silence.
        names += [
            asked.name
            for asked in item.contract.inputs
            if not asked.required
            and nearest(asked.name, _unused(item, known) - _after(item, active), cutoff=0.85)
        ]
        names += [weight for output in item.contract.outputs for weight in _weights(output)]
        for name in names:
            if name not in known and item not in wanted.setdefault(name, []):
                wanted[name].append(item)
    for name in dict.fromkeys(required):
        if name not in known:
            wanted.setdefault(name, []).append(None)
    return [
        _missing_problem(name, readers, known, producers, external=externals is not None)
        for name, readers in wanted.items()
        if readers
    ]


def _missing_problem(
    name: str,
    readers: Sequence[Registration | None],
    known: set[str],
    producers: Mapping[str, Registration],
    *,
    external: bool,
) -> Problem:
    candidates = set(known)
    for item in readers:
        if item is not None:
            candidates &= _unused(item, known)
    near = nearest(name, candidates)
    found, fix = "nothing that does", f"install or enable a package that produces {name!r}"
    if near is not None:
        origin = f" from {producers[near]}" if near in producers else ""
        found += f"; nearest is {near!r}{origin}"
        fix = f"write {near!r} if that is meant, or {fix}"
    elif external:
        fix += ", or declare a table or a calendar that knows it ahead"
    return Problem.of(
        "DC102",
        name,
        consumer=", ".join(PROJECT_LABEL if item is None else str(item) for item in readers),
        expected="a model or the project to provide it",
        found=found,
        fix=fix,
    )


def _after(item: Registration, active: Sequence[Registration]) -> set[str]:
    """What is made from a model's outputs, at once or further on: it cannot read that as well."""
    made = set(item.contract.output_names)
    while True:
        further = {
            name
            for other in active
            if made.intersection(other.contract.input_names)
            for name in other.contract.output_names
        }
        if further <= made:
            return made
        made |= further


def _unused(item: Registration, known: set[str]) -> set[str]:
    # What a model already reads or makes is hardly what it meant by another name.
    return known - set(item.contract.input_names) - set(item.contract.output_names)


def _mismatched(
    active: Sequence[Registration],
    producers: Mapping[str, Registration],
    externals: Sequence[Quantity | str] | None,
) -> list[Problem]:
    offered: dict[str, tuple[str, Quantity]] = {
        name: (str(item), item.contract.output(name)) for name, item in producers.items()
    }
    for external in externals or ():
        if isinstance(external, Quantity):
            offered[external.name] = (PROJECT_LABEL, external)
    disputed = {name for item in active for name in item.contract.output_names} - set(offered)
    # One root cause per group: a producer that changed its unit lets all consumers down.
    groups: dict[tuple[str, str, str, str, str, str], list[str]] = {}
    for item in active:
        for asked in item.contract.inputs:
            if asked.name in disputed:
                continue
            # What only the world provides is as its first reader says; the others must agree.
            origin, promise = offered.setdefault(asked.name, (str(item), asked.quantity))
            for miss in mismatches(asked.quantity, promise):
                key = (miss.code, asked.name, origin, miss.expected, miss.found, miss.fix)
                groups.setdefault(key, []).append(str(item))
    return [
        Problem.of(
            code,
            name,
            consumer=", ".join(consumers),
            producer=origin,
            expected=expected,
            found=found,
            fix=fix,
        )
        for (code, name, origin, expected, found, fix), consumers in groups.items()
    ]


def _miscounted(units: Mapping[str, str], producers: Mapping[str, Registration]) -> list[Problem]:
    """Find required quantities that the project counts in another unit: a sum would add them."""
    problems = []
    for name, unit in units.items():
        if not unit or name not in producers:
            continue
        quantity = producers[name].contract.output(name)
        if unit in (total := total_unit(quantity), quantity.unit):
            continue
        problems.append(
            Problem.of(
                "DC105",
                name,
                consumer=PROJECT_LABEL,
                producer=str(producers[name]),
                expected=f"{unit} over the horizon",
                found=f"{total}, from {quantity.unit}",
                fix=f"give {name!r} the weight that turns {total} into {unit}, or count in {total}",
            )
        )
    return problems


def _arcs(active: Sequence[Registration], producers: Mapping[str, Registration]) -> list[Arc]:
    positions = {id(item): position for position, item in enumerate(active)}
    arcs = []
    for head, item in enumerate(active):
        for asked in item.contract.inputs:
            producer = producers.get(asked.name)
            if producer is not None:
                delay = asked.lag - item.contract.look_ahead
                arcs.append(Arc(positions[id(producer)], head, asked.name, asked.lag, delay))
    return arcs


def _loops(active: Sequence[Registration], arcs: Sequence[Arc]) -> list[Problem]:
    problems = []
    for loop in instant_loops(len(active), arcs):
        path = " -> ".join([active[arc.tail].model + f" -> {arc.quantity}" for arc in loop])
        path += f" -> {active[loop[0].tail].model}"
        lag = sum(arc.lag for arc in loop)
        head = active[loop[0].tail].model
        if lag:
            look_ahead = lag - sum(arc.delay for arc in loop)
            problems.append(
                Problem.of(
                    "DC111",
                    head,
                    consumer=str(active[loop[0].head]),
                    producer=str(active[loop[0].tail]),
                    expected="lags of a loop to exceed its look-ahead by at least 1 step",
                    found=f"lag {lag} and look-ahead {look_ahead} along {path}",
                    fix="read an older value, or shorten the look-ahead",
                )
            )
        else:
            problems.append(
                Problem.of(
                    "DC101",
                    head,
                    consumer=str(active[loop[0].head]),
                    producer=str(active[loop[0].tail]),
                    expected="no model to depend on itself within a step",
                    found=path,
                    fix="cut one of these inputs, read it with Input(..., lag=1), or clear the "
                    "loop inside one model",
                )
            )
    return problems


def _external_inputs(
    ordered: Sequence[Registration], producers: Mapping[str, Registration]
) -> tuple[Input, ...]:
    inputs: dict[str, Input] = {}
    for item in ordered:
        for asked in item.contract.inputs:
            if asked.name not in producers:
                # Only one of the readers need say how people call it.
                first = inputs.setdefault(asked.name, asked)
                quantity = first.quantity.read_as(asked.quantity)
                inputs[asked.name] = replace(first, quantity=quantity)
    return tuple(inputs.values())


def _weights(quantity: Quantity) -> list[str]:
    return [how.by for how in quantity.aggregation.values() if isinstance(how, Weighted)]


def _names(externals: Iterable[Quantity | str] | None) -> set[str]:
    return {item.name if isinstance(item, Quantity) else item for item in externals or ()}


def _labels(items: Iterable[Registration]) -> str:
    return ", ".join(map(str, items))
