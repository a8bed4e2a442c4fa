"""Limits as amounts: what the settings declare, with multiples of recent weeks worked out."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast.config import Budget, Config, Fallback, Guardrail, RampLimit
from dagcast.errors import ConfigError, UsageError
from dagcast_core.contract import Quantity

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel

Array: TypeAlias = npt.NDArray[np.float64]
WEEK = 168


@final
@dataclass(frozen=True)
class LeverBounds:
    """Bounds of every cell of a lever, in its unit.

    Attributes:
        lever: which one.
        lower: of every cell.
        upper: of every cell.
        change: largest change of a cell from the current plan, as a share of it; instead of the
            other two.
    """

    lever: str
    lower: float
    upper: float
    change: float | None = None


@final
@dataclass(frozen=True)
class BudgetLimit:
    """Limits on the sum over the horizon of a lever, or of several that share a purse.

    Attributes:
        levers: what is spent.
        by: dims that have a limit each; none means one limit for all.
        where: labels that the limit is restricted to, by dim.
        limits: label of ``by`` -> amount; the key of a single limit is "", labels of several dims
            are joined by a comma.
        groups: by dim in ``by``, label -> group.
    """

    levers: tuple[str, ...]
    by: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]]
    limits: Mapping[str, float]
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class OutcomeBound:
    """Limits on an outcome over the horizon.

    Attributes:
        quantity: the outcome.
        sense: ``<=`` or ``>=``.
        by: dims that have a limit each.
        reduce: over the other dims.
        weight: quantity that weighs a mean, if any.
        limits: label of ``by`` -> limit; the key of a single limit is "".
        unit: of the limits.
        chance: share of the parameter draws in which it has to hold, if not on average.
        cautious: whether even the mean of the other draws has to keep it.
        groups: by dim in ``by``, label -> group.
    """

    quantity: str
    sense: Literal["<=", ">="]
    by: tuple[str, ...]
    reduce: Literal["mean", "sum"]
    weight: str | None
    limits: Mapping[str, float]
    unit: str
    chance: float | None = None
    cautious: bool = True
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Ramp:
    """Largest change of a lever over ``step`` hours, in its unit."""

    lever: str
    step: int
    limit: float


@final
@dataclass(frozen=True)
class Limits:
    """Everything that a plan has to keep, and the rules for cells too uncertain to optimise."""

    bounds: tuple[LeverBounds, ...]
    budgets: tuple[BudgetLimit, ...]
    outcomes: tuple[OutcomeBound, ...]
    ramps: tuple[Ramp, ...]
    rules: tuple[tuple[str, Fallback], ...] = ()


def resolve_limits(
    config: Config, recent: "Panel", hours: int, quantities: Mapping[str, Quantity]
) -> Limits:
    """Turn the settings into amounts.

    Args:
        config: the settings.
        recent: levers and outcomes over whole recent weeks, dims (..., hour).
        hours: length of the horizon.
        quantities: declarations by name, for units and names.

    Raises:
        ConfigError: a setting names a lever or dim that does not exist, or a multiple of recent
            weeks has no recent value to multiply.
        UsageError: a quantity is misspelt.
    """
    for name in config.levers:
        _require(name, quantities, f"[levers.{name}]")
    bounds = tuple(_bounds(name, config, recent) for name in config.levers)
    upper = {item.lever: item.upper for item in bounds}
    return Limits(
        bounds,
        tuple(_budget(item, config, recent, hours, quantities) for item in config.budgets),
        tuple(_outcome(item, recent, hours, quantities) for item in config.guardrails),
        tuple(_ramp(item, config, upper) for item in config.ramps),
        tuple(_rule(item, config, quantities) for item in config.fallbacks),
    )


def _rule(
    rule: Fallback, config: Config, quantities: Mapping[str, Quantity]
) -> tuple[str, Fallback]:
    _require(rule.lever, config.levers, "lever of [[fallbacks]]")
    if rule.quantity:
        _require(rule.quantity, quantities, "quantity of [[fallbacks]]")
    return rule.lever, rule


def _bounds(name: str, config: Config, recent: "Panel") -> LeverBounds:
    lever = config.levers[name]
    if lever.change is not None:
        return LeverBounds(name, 0.0, float("inf"), lever.change)
    if lever.upper is not None:
        return LeverBounds(name, lever.lower, lever.upper)
    assert lever.upper_of_recent is not None
    largest = float(np.nanmax(_values(recent, name)[1], initial=0.0))
    if largest <= 0:
        raise ConfigError(
            f"recent values of {name!r} above 0, which upper_of_recent multiplies",
            "none",
            f"Set upper in [levers.{name}] of dagcast.toml.",
        )
    return LeverBounds(name, lever.lower, max(lever.lower, lever.upper_of_recent * largest))


def _budget(
    budget: Budget,
    config: Config,
    recent: "Panel",
    hours: int,
    quantities: Mapping[str, Quantity],
) -> BudgetLimit:
    names = budget.levers or (budget.lever,)
    units = {}
    for name in names:
        _require(name, config.levers, "levers of [[budgets]]")
        quantity = quantities[name]
        units[name] = quantity.unit
        time = quantity.time_dim
        adds_up = time is None or quantity.aggregated(time.name) == "sum"
        if not adds_up and not quantity.unit.endswith("/h"):
            raise ConfigError(
                "amounts that add up in [[budgets]] of dagcast.toml",
                f"{name!r} in {quantity.unit}, which is averaged over time",
                "Bound its cells in [levers] instead.",
            )
    if len(set(units.values())) > 1:
        stated = ", ".join(f"{name} in {unit}" for name, unit in units.items())
        raise ConfigError("one unit in a purse over several levers", stated, "Use a budget each.")
    weeks: dict[str, float] = {}
    for name in names:
        for label, amount in _spent(budget, name, recent, hours).items():
            weeks[label] = weeks.get(label, 0.0) + amount
    limits = {
        label: budget.limit if budget.limit is not None else float(budget.of_recent or 0.0) * amount
        for label, amount in weeks.items()
    }
    return BudgetLimit(names, budget.by, budget.where, limits, budget.groups)


def _spent(budget: Budget, name: str, recent: "Panel", hours: int) -> dict[str, float]:
    """What a lever came to over as many recent hours as the horizon has, by label of ``by``."""
    dims, values = _values(recent, name)
    _require_dims((*budget.by, *budget.where), dims, f"[[budgets]] of {name}")
    labels = {dim: [str(x) for x in recent[name].index(dim)] for dim in dims[:-1]}
    for dim, chosen in budget.where.items():
        for label in chosen:
            _require(label, labels[dim], f"where of [[budgets]], {dim}")
        keep = np.isin(np.array(labels[dim]), chosen)
        values = np.compress(keep, values, axis=dims.index(dim))
        labels[dim] = [label for label in labels[dim] if label in chosen]
    groups = _grouped(np.nan_to_num(values), dims, budget.by, labels, budget.groups)
    share = values.shape[-1] / hours
    return {label: float(found.sum()) / share for label, found in groups.items()}


def _outcome(
    rail: Guardrail, recent: "Panel", hours: int, quantities: Mapping[str, Quantity]
) -> OutcomeBound:
    _require(rail.quantity, quantities, "quantity of [[guardrails]]")
    if rail.weight is not None:
        _require(rail.weight, quantities, f"weight of the guardrail on {rail.quantity}")
    if rail.quantity not in recent or (rail.weight and rail.weight not in recent):
        if rail.limit is None:
            raise ConfigError(
                f"observed values of {rail.quantity!r}, which of_recent multiplies",
                "a quantity that is not observed",
                "Set limit of that guardrail in dagcast.toml.",
            )
        if rail.by:
            raise ConfigError(
                f"one limit for {rail.quantity!r}, which is not observed",
                f"by = {list(rail.by)}",
                "Leave out by.",
            )
        limits = {"": rail.limit}
    else:
        dims, values = _values(recent, rail.quantity)
        _require_dims(rail.by, dims, f"[[guardrails]] of {rail.quantity}")
        labels = {dim: [str(x) for x in recent[rail.quantity].index(dim)] for dim in dims[:-1]}
        weights = np.ones_like(values) if not rail.weight else _values(recent, rail.weight)[1]
        known = np.isfinite(values) & np.isfinite(weights)
        weights = np.where(known, weights, 0.0)
        totals = _grouped(
            np.where(known, values, 0.0) * weights, dims, rail.by, labels, rail.groups
        )
        shares = _grouped(weights, dims, rail.by, labels, rail.groups)
        limits = {
            label: rail.limit
            if rail.limit is not None
            else _recent(
                rail,
                label,
                float(totals[label].sum()),
                float(shares[label].sum()),
                totals[label].size / values.shape[-1] * hours,
            )
            for label in totals
        }
    unit = quantities[rail.quantity].unit
    if rail.reduce == "sum":
        unit = unit.removesuffix("/h")
    return OutcomeBound(
        rail.quantity,
        rail.sense,
        rail.by,
        rail.reduce,
        rail.weight,
        limits,
        unit,
        rail.chance,
        rail.cautious,
        rail.groups,
    )


def _recent(rail: Guardrail, label: str, total: float, share: float, cells: float) -> float:
    """``of_recent`` times the mean, or times the sum that the mean gives over the horizon."""
    if share <= 0:
        raise ConfigError(
            f"recent values of {rail.quantity!r}" + (f" for {label}" if label else ""),
            "none",
            "Set limit of that guardrail in dagcast.toml.",
        )
    mean = total / share
    multiple = float(rail.of_recent or 0.0)
    return multiple * mean * (cells if rail.reduce == "sum" else 1.0)


def _ramp(ramp: RampLimit, config: Config, upper: Mapping[str, float]) -> Ramp:
    name = ramp.lever
    _require(name, config.levers, "lever of [[ramps]]")
    if ramp.limit is not None:
        return Ramp(name, ramp.step, ramp.limit)
    if not math.isfinite(upper[name]):
        raise ConfigError(
            f"an upper bound of {name!r}, which of_upper of [[ramps]] multiplies",
            "none: its cells are bounded by their change",
            "Set limit in [[ramps]] of dagcast.toml.",
        )
    return Ramp(name, ramp.step, float(ramp.of_upper or 0.0) * upper[name])


def _values(recent: "Panel", name: str) -> tuple[tuple[str, ...], Array]:
    tensor = recent[name]
    dims = (*(dim for dim in tensor.dims if dim != "hour"), "hour")
    return dims, tensor.values(*dims).numpy().astype(np.float64)


def _grouped(
    values: Array,
    dims: tuple[str, ...],
    by: tuple[str, ...],
    labels: Mapping[str, list[str]],
    groups: Mapping[str, Mapping[str, str]],
) -> dict[str, Array]:
    """The values of every label of ``by``, or of every group of labels."""
    found = {"": values}
    for dim in by:
        of = dict(groups[dim]) if dim in groups else {label: label for label in labels[dim]}
        for label in of:
            _require(label, labels[dim], f"groups of {dim}")
        member = np.array([of.get(label, "") for label in labels[dim]])
        found = {
            f"{before}, {name}" if before else name: np.compress(
                member == name, part, axis=dims.index(dim)
            )
            for before, part in found.items()
            for name in dict.fromkeys(of.values())
        }
    return found


def _require(name: str, known: Iterable[str], where: str) -> None:
    import difflib

    names = list(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    raise UsageError(
        f"{where} in dagcast.toml to be one of {', '.join(sorted(names)) or 'none'}",
        repr(name),
        f"Did you mean {near[0]!r}?" if near else "Correct the name.",
    )


def _require_dims(found: Iterable[str], dims: tuple[str, ...], where: str) -> None:
    for dim in found:
        if dim not in dims[:-1]:
            raise ConfigError(
                f"a dim of {', '.join(dims[:-1])} in {where}",
                repr(dim),
                "Correct by or where in dagcast.toml.",
            )
