"""Which models have what they need in a store, and which stand aside for the lack of it.

A model takes part where every input that it must have is there: made by another model that takes
part, or known ahead (a metric of a foreseeable table, a lever, a calendar). And where something
that was observed says what it should forecast: its own outcome where that can be observed, else one
further down. What was never measured is not replaced by a constant.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dagcast.plugins import Plugins
from dagcast.vocabulary import known_ahead
from dagcast_core.contract import Quantity, Registration


@dataclass(frozen=True, slots=True)
class Held:
    """What a store offers.

    Attributes:
        metrics: names of its metrics.
        clocks: quantities that follow from the labels' clocks and countries.
    """

    metrics: frozenset[str]
    clocks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Aside:
    """A model that stands aside.

    Attributes:
        model: its name.
        package: the distribution that brings it.
        lacks: quantities that it lacks.
        why: in words, what of each.
        declare: in words, what would let it take part; empty where only another model would.
        makes: quantities that nobody makes without it.
    """

    model: str
    package: str
    lacks: tuple[str, ...]
    why: str
    declare: str
    makes: tuple[str, ...]


def standing_aside(plugins: Plugins, held: Held, levers: Collection[str] = ()) -> tuple[Aside, ...]:
    """Models that lack something in the store, in the order in which packages register them.

    Args:
        plugins: the installed packages, and the project's own tables.
        held: what the store offers.
        levers: quantities that the project decides.
    """
    ahead = known_ahead(plugins) | set(levers)
    calendars = {calendar.quantity for calendar in plugins.calendars}
    there = {name for name in ahead if name in held.metrics} | (held.clocks & calendars)
    observable = {metric.name for table in plugins.tables for metric in table.metrics}
    observable |= {metric.name for metric in plugins.metrics}
    active = list(plugins.registrations)
    unobserved: dict[str, dict[str, str]] = {}
    while True:
        made = {name for item in active for name in item.contract.output_names}
        out = {
            item.model
            for item in active
            if _inputs_missing(item, there | made) or _outcome_missing(item, observable, held)
        }
        if not out:
            more = _unobserved(active, held)
            unobserved |= more
            out = set(more)
        if not out:
            break
        active = [item for item in active if item.model not in out]
    taking_part = {item.model for item in active}
    made = {name for item in active for name in item.contract.output_names}
    return tuple(
        _aside(item, there | made, observable, held, unobserved.get(item.model, {}), plugins)
        for item in plugins.registrations
        if item.model not in taking_part
    )


def _inputs_missing(item: Registration, there: Collection[str]) -> tuple[str, ...]:
    return tuple(
        entry.quantity.name
        for entry in item.contract.inputs
        if entry.required and entry.quantity.name not in there
    )


def _outcome_missing(
    item: Registration, observable: Collection[str], held: Held
) -> tuple[str, ...]:
    """Its own outcomes, where they could be observed and none is."""
    own = [name for name in item.contract.output_names if name in observable]
    return () if any(name in held.metrics for name in own) else tuple(own)


def _unobserved(active: Iterable[Registration], held: Held) -> dict[str, dict[str, str]]:
    """Models of which nothing observed tells, neither their outcome nor one further down."""
    active = list(active)
    told = {
        item.model
        for item in active
        if any(name in held.metrics for name in item.contract.output_names)
    }
    while True:
        read = {
            entry.quantity.name
            for item in active
            if item.model in told
            for entry in item.contract.inputs
        }
        more = {
            item.model
            for item in active
            if item.model not in told and read & set(item.contract.output_names)
        }
        if not more:
            break
        told |= more
    return {
        item.model: {
            name: f"anything observed that follows from {name}"
            for name in item.contract.output_names
        }
        for item in active
        if item.model not in told
    }


def _aside(
    item: Registration,
    there: Collection[str],
    observable: Collection[str],
    held: Held,
    unobserved: Mapping[str, str],
    plugins: Plugins,
) -> Aside:
    quantities = {entry.quantity.name: entry.quantity for entry in item.contract.inputs}
    quantities |= {quantity.name: quantity for quantity in item.contract.outputs}
    makers = {
        n: other.model for other in plugins.registrations for n in other.contract.output_names
    }
    tables = {metric.name: table.name for table in plugins.tables for metric in table.metrics}
    calendars = {calendar.quantity: calendar for calendar in plugins.calendars}
    lacks: dict[str, str] = {}
    declare: list[str] = []
    for name in _inputs_missing(item, there):
        if name in calendars:
            what = "zone and holidays" if calendars[name].by_country else "zone"
            dims = [dim.name for dim in quantities[name].dims if dim.kind == "label"]
            lacks[name] = f"{name}: nobody says the {what} of every label"
            declare.append(f"{what} in [labels.{', '.join(dims)}]")
        elif name in makers:
            lacks[name] = f"{name}, which {makers[name]} would make"
        elif name in held.metrics:
            lacks[name] = f"{name} ahead of time, which nobody forecasts"
        else:
            lacks[name] = name
            declare.append(_source_of(quantities[name], tables.get(name)))
    for name in _outcome_missing(item, observable, held):
        lacks[name] = f"{name}, its own outcome"
        declare.append(_source_of(quantities[name], tables.get(name)))
    lacks = lacks or dict(unobserved)
    return Aside(
        item.model,
        item.distribution,
        tuple(lacks),
        "; ".join(lacks.values()),
        "; ".join(dict.fromkeys(declare)),
        tuple(name for name in item.contract.output_names if name not in there),
    )


def _source_of(quantity: Quantity, table: str | None) -> str:
    dims = ", ".join(dim.name for dim in quantity.dims if dim.kind == "label")
    source = f"a source of {quantity.name} ({quantity.unit}{f', by {dims}' if dims else ''})"
    return f"{source} or a file {table}" if table else source
