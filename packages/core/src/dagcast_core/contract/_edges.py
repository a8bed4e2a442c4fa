"""What a consumer expects of a quantity against what its producer promises."""

from collections.abc import Iterator
from dataclasses import dataclass

from dagcast_core.contract._quantity import Quantity


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference along an edge, with the code of the problem it makes."""

    code: str
    expected: str
    found: str
    fix: str


def mismatches(expected: Quantity, found: Quantity) -> Iterator[Mismatch]:
    """Yield what keeps ``found`` from serving as ``expected``.

    What follows from another difference is left out: dims that differ are not compared further.

    Args:
        expected: the quantity as the consumer declares it.
        found: the quantity as the producer declares it.
    """
    name = expected.name
    # Dims are a set: values belong to labels, whatever the order in which they are declared.
    if set(_dims(expected)) != set(_dims(found)):
        yield Mismatch(
            "DC104",
            f"[{', '.join(_dims(expected))}]",
            f"[{', '.join(_dims(found))}]",
            f"declare the same dims on both sides, or aggregate {name!r} in a model between them",
        )
    found_dims = {dim.name: dim for dim in found.dims}
    for dim in expected.dims:
        other = found_dims.get(dim.name)
        if other is None or other.kind != dim.kind:
            continue
        if dim.vocabulary != other.vocabulary:
            yield Mismatch(
                "DC109",
                f"{dim.name} from {dim.vocabulary}",
                f"{dim.name} from {other.vocabulary}",
                f"move both sides to one version of the labels of {dim.name!r}",
            )
        if dim.frequency != other.frequency:
            yield Mismatch(
                "DC107",
                f"{dim.name} every {dim.frequency!r}",
                f"{dim.name} every {other.frequency!r}",
                f"resample {name!r} to {dim.frequency!r} where it is produced",
            )
        if dim.zone != other.zone:
            yield Mismatch(
                "DC108",
                f"{dim.name} in {dim.zone}",
                f"{dim.name} in {other.zone}",
                f"convert the labels to {dim.zone} where {name!r} is produced",
            )
        if expected.aggregated(dim.name) != found.aggregated(dim.name):
            yield Mismatch(
                "DC106",
                f"{expected.aggregated(dim.name)} along {dim.name}",
                f"{found.aggregated(dim.name)} along {dim.name}",
                f"take the owner's declaration of {name!r}; a rolled-up value would differ",
            )
    if expected.unit != found.unit:
        yield Mismatch(
            "DC105",
            expected.unit,
            found.unit,
            f"convert in the producer, or declare {name!r} in {found.unit!r} where it is read",
        )
    if expected.dtype != found.dtype:
        yield Mismatch(
            "DC112",
            expected.dtype,
            found.dtype,
            f"convert in the producer, or declare {name!r} as {found.dtype!r} where it is read",
        )
    if not within(found, expected):
        yield Mismatch(
            "DC110",
            interval(expected),
            interval(found),
            f"clamp {name!r} in the producer, or accept the wider bounds where it is read",
        )
    if found.nullable and not expected.nullable:
        yield Mismatch(
            "DC113",
            "a value in every cell",
            "cells that may be missing",
            f"fill {name!r} in the producer, or declare it nullable where it is read",
        )


def within(inner: Quantity, outer: Quantity) -> bool:
    """Tell whether every value that ``inner``'s bounds allow is allowed by ``outer``'s."""
    low, high = inner.bounds
    least, greatest = outer.bounds
    low_fits = least is None or (low is not None and low >= least)
    high_fits = greatest is None or (high is not None and high <= greatest)
    return low_fits and high_fits


def interval(quantity: Quantity) -> str:
    """Write the bounds of ``quantity`` as an interval."""
    low, high = quantity.bounds
    left = "(-inf" if low is None else f"[{low:g}"
    right = "inf)" if high is None else f"{high:g}]"
    return f"{left}, {right}"


def total_unit(quantity: Quantity) -> str:
    """Return the unit of ``quantity`` rolled up over time: a rate per step, summed, is an amount.

    A mean over time keeps its unit.
    """
    time = quantity.time_dim
    if time is None or quantity.aggregated(time.name) != "sum":
        return quantity.unit
    return quantity.unit.removesuffix(f"/{time.frequency}")


def _dims(quantity: Quantity) -> tuple[str, ...]:
    # Labels are the usual kind; others say theirs, so that a difference of kind shows.
    return tuple(d.name if d.kind == "label" else f"{d.name}:{d.kind}" for d in quantity.dims)
