"""Limits as amounts: what the settings declare, with multiples of recent weeks worked out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import numpy as np
import numpy.typing as npt

from dagcast.config import Budget, Config, Guardrail, RampLimit
from dagcast.errors import ConfigError, UsageError
from dagcast_core.contract import Quantity

if TYPE_CHECKING:
    from dagcast_core.tensor import Panel

Array: TypeAlias = npt.NDArray[np.float64]
WEEK = 168


@final
@dataclass(frozen=True)
class LeverBounds:
    """Bounds of every cell of a lever, in its unit."""

    lever: str
    lower: float
    upper: float


@final
@dataclass(frozen=True)
class BudgetLimit:
    """Limits on the sum of a lever over the horizon.

    Attributes:
        lever: what is spent.
        by: dims that have a limit each; none means one limit for all.
        where: labels that the limit is restricted to, by dim.
        limits: label of ``by`` -> USD; the key of a single limit is "", labels of several dims are
            joined by a comma.
        groups: by dim in ``by``, label -> group.
    """

    lever: str
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
    """Everything that a plan has to keep."""

    bounds: tuple[LeverBounds, ...]
    budgets: tuple[BudgetLimit, ...]
    outcomes: tuple[OutcomeBound, ...]
    ramps: tuple[Ramp, ...]


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
    for rule in config.fallbacks:
        _require(rule.lever, config.levers, "lever of [[fallbacks]]")
        _require(rule.quantity, quantities, "quantity of [[fallbacks]]")
    bounds = tuple(_bounds(name, config, recent) for name in config.levers)
    upper = {item.lever: item.upper for item in bounds}
    return Limits(
        bounds,
        tuple(_budget(item, config, recent, hours) for item in config.budgets),
        tuple(_outcome(item, recent, hours, quantities) for item in config.guardrails),
        tuple(_ramp(item, upper) for item in config.ramps),
    )


def _bounds(name: str, config: Config, recent: "Panel") -> LeverBounds:
    lever = config.levers[name]
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


def _budget(budget: Budget, config: Config, recent: "Panel", hours: int) -> BudgetLimit:
    _require(budget.lever, config.levers, "lever of [[budgets]]")
    dims, values = _values(recent, budget.lever)
    _require_dims((*budget.by, *budget.where), dims, f"[[budgets]] of {budget.lever}")
    labels = {dim: [str(x) for x in recent[budget.lever].index(dim)] for dim in dims[:-1]}
    for dim, chosen in budget.where.items():
        for label in chosen:
            _require(label, labels[dim], f"where of [[budgets]], {dim}")
        keep = np.isin(np.array(labels[dim]), chosen)
        values = np.compress(keep, values, axis=dims.index(dim))
        labels[dim] = [label for label in labels[dim] if label in chosen]
    groups = _grouped(np.nan_to_num(values), dims, budget.by, labels, budget.groups)
    weeks = values.shape[-1] / hours
    limits = {
        label: budget.limit
        if budget.limit is not None
        else float(budget.of_recent or 0.0) * float(found.sum()) / weeks
        for label, found in groups.items()
    }
    return BudgetLimit(budget.lever, budget.by, budget.where, limits, budget.groups)


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


def _ramp(ramp: RampLimit, upper: Mapping[str, float]) -> Ramp:
    _require(ramp.lever, upper, "lever of [[ramps]]")
    if ramp.limit is not None:
        return Ramp(ramp.lever, ramp.step, ramp.limit)
    return Ramp(ramp.lever, ramp.step, float(ramp.of_upper or 0.0) * upper[ramp.lever])


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
