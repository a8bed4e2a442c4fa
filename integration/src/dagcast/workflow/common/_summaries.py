"""The figures of a plan, in plain numbers and words."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagcast.config import Config, Objective
from dagcast.figures import amount, labelled, words
from dagcast.plans import (
    Axes,
    EvidenceLine,
    LeverRow,
    LimitRow,
    PlanSummary,
    Reading,
    Sensitivity,
    Standings,
    price_words,
)
from dagcast.workflow.common._fits import Fitted
from dagcast.workflow.common._layers import layers_of
from dagcast.workflow.common._problem import Setting

if TYPE_CHECKING:
    from dagcast_core.contract import Quantity
    from dagcast_core.decide import Plan
    from dagcast_core.tensor import IndexTensor, Panel

# How far from the price of a limit the worth of a cell may be that stands at no bound of its own.
_INDIFFERENT = 0.02


def summary_of(
    name: str, kind: str, setting: Setting, fitted: Fitted, solved: "Plan", seconds: float
) -> PlanSummary:
    session = setting.session
    objective = session.project.config.objective
    maximised = " + ".join(
        words(setting.quantities[quantity].heading)
        if weight == 1
        else f"{weight:g} \N{MULTIPLICATION SIGN} {words(setting.quantities[quantity].heading)}"
        for quantity, weight in objective.weights.items()
    )
    readings = {
        name: Reading.of(setting.quantities[name]) for name in session.project.config.levers
    }
    rows = {
        kind: tuple(
            _limit(item, maximised, objective, setting.quantities, solved)
            for item in solved.shadow_prices
            if item.kind == kind
        )
        for kind in ("budget", "outcome")
    }
    return PlanSummary(
        plan=name,
        kind=kind,
        status=solved.status,
        message=solved.message,
        kkt_residual=float(solved.kkt_residual),
        worst_violation=float(solved.worst_violation),
        gap_bound=None if solved.gap_bound is None else float(solved.gap_bound),
        objective=maximised,
        objective_unit=objective.unit,
        levers=tuple(
            LeverRow(name, label, planned, now)
            for name, reading in readings.items()
            for (label, planned), (_, now) in zip(
                _amounts(solved.decisions[name], reading, setting.axes),
                _amounts(setting.current[name], reading, setting.axes),
                strict=True,
            )
        ),
        readings=readings,
        budgets=rows["budget"],
        guardrails=rows["outcome"],
        sensitivities=tuple(
            Sensitivity(
                item.name,
                float(item.effect),
                _sensitivity_words(
                    _title(item.name, setting.quantities), item.effect, maximised, objective.unit
                ),
                _title(item.name, setting.quantities),
            )
            for item in solved.sensitivities
        ),
        flagged=_flagged(
            solved.flags,
            solved.reasons,
            {name: reading.title for name, reading in readings.items()},
            setting.axes.time,
            _zones(setting),
        ),
        repeated=setting.assumed,
        provenance={
            **session.provenance(),
            "data_moment": setting.times.as_of.isoformat(),
            "history": [setting.times.first.isoformat(), setting.times.last.isoformat()],
            "horizon": [setting.times.start.isoformat(), setting.times.end.isoformat()],
            "reference": setting.reference.isoformat(),
            "fit": fitted.name,
            "contents": session.contents(),
            "problem": solved.provenance["problem"]["digest"],
        },
        seconds=seconds,
        risk=_risk(session.project.config, len(fitted.draws)),
        warnings=solved.warnings,
        conflicts=solved.conflicts,
        evidence=_evidence(setting, fitted, solved),
        weights=dict(objective.weights),
        bounds={
            item.lever: (item.lower, item.upper)
            for item in setting.limits.bounds
            if item.change is None
        },
        young=_young(setting),
    )


def _young(setting: Setting) -> dict[str, int]:
    """Whole weeks since rows were first observed, of those that were not there from the start."""
    session, axes = setting.session, setting.axes
    made = {item.name for one in session.assembly.registrations for item in one.contract.outputs}
    begun: dict[str, int] = {}
    history = session.history(setting.times)
    for name in made & set(session.store.metrics()) & set(history):
        tensor = history[name]
        if axes.dim not in tensor.dims or axes.time not in tensor.dims:
            continue
        others = tuple(dim for dim in tensor.dims if dim not in (axes.dim, axes.time))
        values = tensor.values(axes.dim, axes.time, *others)
        seen = values.isfinite().reshape(*values.shape[:2], -1).any(-1)
        hours = tensor.sizes[axes.time]
        for row, own in zip(tensor.index(axes.dim), seen, strict=True):
            first = int(own.int().argmax()) if bool(own.any()) else hours
            begun[str(row)] = min(first, begun.get(str(row), hours))
    # A week without rows may be one in which nothing happened.
    return {row: (hours - first) // 168 for row, first in begun.items() if first > 168}


def _evidence(setting: Setting, fitted: Fitted, solved: "Plan") -> Standings:
    """On what the plan's effects stand, and which trials disagree about them."""
    lines = tuple(
        EvidenceLine(
            row.tested.lever,
            row.tested.label,
            row.standing,
            row.amount,
            row.measured,
            row.history,
            row.prior,
            row.beyond,
            row.elsewhere,
            row.tested.trials,
            row.tested.stale,
            row.tested.high if row.tested.trials else None,
            row.tested.used_high,
        )
        for row in setting.doses.evidence(dict(solved.decisions))
    )
    conflicts = (text.rstrip(".") for text in fitted.report.get("conflicts", ()))
    remarks = (*_disagreeing(setting, fitted), *conflicts)
    most = setting.session.project.config.evidence.max_unmeasured_share
    return Standings(lines, most, remarks)


def _disagreeing(setting: Setting, fitted: Fitted) -> list[str]:
    """Trials of different weeks that cannot all be right, in words."""
    from dagcast_core.evaluate import TrialRatio, disagreements

    known = {item.name: item for item in setting.session.known_experiments(setting.times)}
    ratios = []
    for row in fitted.report.get("experiments", ()):
        item, modelled = known.get(row["name"]), row["joint"]
        if item is None or not modelled or item.design == "prior":
            continue
        ratios.append(
            TrialRatio(
                item.name,
                (" + ".join(item.levers), item.outcome),
                item.cells.start,
                row["estimate"] / modelled,
                abs(row["widened_error"] / modelled),
            )
        )
    found = []
    for contested in disagreements(ratios):
        low, high = contested.extremes
        lever, outcome = (_title(name, setting.quantities) for name in contested.path)
        found.append(
            f"trials of different weeks disagree about the effect of {words(lever)} on "
            f"{words(outcome)}: {low.experiment} measured {low.ratio:.2f} and {high.experiment} "
            f"{high.ratio:.2f} times what the models say"
        )
    return found


def _risk(config: Config, draws: int) -> str:
    """How draws were weighed, in words; empty where they were not."""
    if not config.weighs_draws:
        return ""
    tail = f"{config.risk.tail:.0%}"
    measures = {
        "none": "the mean",
        "mean": "the mean",
        "cvar": f"the mean of the worst {tail}",
        "quantile": f"what all but the worst {tail} reach",
    }
    return f"the objective is {measures[config.risk.measure]} of {draws} draws of the parameters"


def _limit(
    item: Any,
    objective: str,
    settings: Objective,
    quantities: "Mapping[str, Quantity]",
    solved: "Plan",
) -> LimitRow:
    # A purse over several levers is named by all of them.
    named = [quantities[part] for part in item.name.split(" + ") if part in quantities]
    price = float(item.price)
    return LimitRow(
        item.name,
        str(item.label or ""),
        item.sense,
        float(item.used),
        float(item.limit),
        item.unit,
        price,
        price_words(
            price,
            item.sense,
            item.unit,
            objective,
            settings.unit,
            _parts(item, price, settings, quantities, solved) if item.kind == "budget" else (),
        )
        if item.binding
        else "",
        bool(item.binding),
        item.kept,
        " + ".join(quantity.heading for quantity in named) or item.name,
        named[0].figures if named else "",
    )


def _parts(
    item: Any,
    price: float,
    settings: Objective,
    quantities: "Mapping[str, Quantity]",
    solved: "Plan",
) -> list[tuple[Reading, float]]:
    """What one more unit of a budget does to each part of the objective.

    The unit goes where the plan's money goes, to the cells that are worth the price of the limit:
    the plan is indifferent between them, so each part's share of the worth there is its share of
    the price.
    """
    weights = {name: weight for name, weight in settings.weights.items() if weight}
    if len(weights) < 2 or not price:
        return []
    totals = dict.fromkeys(weights, 0.0)
    worth = 0.0
    for lever in item.name.split(" + "):
        if lever not in solved.decisions:
            return []
        spent = solved.decisions[lever]
        if item.label:
            dims = [d for d in spent.dims if item.label in map(str, spent.index(d))]
            if not dims:
                return []
            place = [str(one) for one in spent.index(dims[0])].index(item.label)
            spent = spent.isel({dims[0]: [place]})
        effects = {}
        for name in ("objective", *weights):
            key = f"{name}/{lever}" if f"{name}/{lever}" in solved.marginal_effects else name
            if key not in solved.marginal_effects:
                return []
            moved = solved.marginal_effects[key]
            effects[name] = moved.reindex({d: spent.index(d) for d in spent.dims}).values(
                *spent.dims
            )
        # Cells at a bound of their own are worth more or less than the price.
        near = (effects["objective"] - price).abs() <= _INDIFFERENT * abs(price)
        money = spent.values(*spent.dims).abs() * near
        worth += float((money * effects["objective"]).sum())
        for name in weights:
            totals[name] += float((money * effects[name]).sum())
    if not worth:
        return []
    return [(Reading.of(quantities[name]), price * total / worth) for name, total in totals.items()]


def _title(name: str, quantities: "Mapping[str, Quantity]") -> str:
    # A sensitivity may also be to a parameter, which no quantity declares.
    return quantities[name].heading if name in quantities else name.replace("_", " ").capitalize()


def _amounts(tensor: "IndexTensor", reading: Reading, axes: Axes) -> list[tuple[str, float]]:
    """A lever over rows and hours, by label: its sum, or its mean where it is a price."""
    return [
        (label, float(values.sum() if reading.summed else values.mean()))
        for label, values in layers_of(tensor, axes).items()
    ]


def _sensitivity_words(title: str, effect: float, objective: str, unit: str) -> str:
    verb = "raise" if effect > 0 else "lower"
    return f"1 % more {words(title)} would {verb} {objective} by {amount(abs(effect), unit)}"


def _zones(setting: Setting) -> dict[str, str]:
    """The clock of every label that has one, as far as hours are shown by it."""
    if setting.session.project.config.display.clock == "utc":
        return {}
    zones = setting.session.clocks.zones.values()
    return {label: zone for labels in zones for label, zone in labels.items()}


def _flagged(
    flags: "Panel",
    reasons: tuple[str, ...],
    titles: Mapping[str, str],
    time: str,
    zones: Mapping[str, str],
) -> tuple[tuple[str, str], ...]:
    """Cells that a rule or a person decided, the hours of all other labels together."""
    rows: list[tuple[str, str]] = []
    for name in flags:
        tensor = flags[name]
        dims = (*(dim for dim in tensor.dims if dim != time), time)
        values = tensor.values(*dims).reshape(-1, tensor.sizes[time])
        places = itertools.product(*(tensor.index(dim) for dim in dims[:-1]))
        hours = tensor.index(time)
        lever = (titles[name],) if len(titles) > 1 else ()
        for labels, numbers in zip(places, values, strict=True):
            for number in sorted({int(n) for n in numbers.tolist()} - {0}):
                zone = next((zones[str(x)] for x in labels if str(x) in zones), "UTC")
                found = [
                    hours[k].tz_convert(zone)
                    for k, n in enumerate(numbers.tolist())
                    if int(n) == number
                ]
                which = f"{found[0]:%a %-d %b %H:%M %Z}"
                if len(found) == len(hours):
                    which = "every hour"
                elif len(found) > 1:
                    which = f"{len(found)} hours from {which} to {found[-1]:%a %-d %b %H:%M %Z}"
                rows.append((labelled((*lever, *labels, which)), reasons[number - 1]))
    return tuple(rows)
