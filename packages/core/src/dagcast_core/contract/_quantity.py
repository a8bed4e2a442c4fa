"""Variables of the business and how they roll up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagcast_core.contract._checks import (
    FrozenMapping,
    check_choice,
    check_identifier,
    check_keys,
    check_text,
)
from dagcast_core.contract._dim import Dim
from dagcast_core.contract._errors import ContractError


@dataclass(frozen=True, slots=True)
class Weighted:
    """A mean weighted by another quantity: ETA averages over sessions, not over hours.

    Args:
        by: name of the weighting quantity.
    """

    by: str

    def __post_init__(self) -> None:
        check_identifier(self.by, "the weight of a Weighted mean")

    def __str__(self) -> str:
        return f"mean weighted by {self.by}"


# "sum", "mean" or a Weighted mean; plain text, so that one dict can serve many declarations.
Aggregation = str | Weighted
Bounds = tuple[float | None, float | None]

_DTYPES = ("float64", "float32", "int64", "bool")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A variable of the business, declared once by its owner.

    Args:
        name: lower-case identifier; what inputs and outputs are matched by.
        dims: its dimensions, in order.
        unit: e.g. ``session/h``, ``USD/h``, ``min``; ``1`` for a pure number.
        dtype: ``float64`` for everything real-valued.
        aggregation: how values roll up along a dim, by dim name: ``sum``, ``mean`` or
            ``Weighted(name)``. Dims left out are averaged.
        bounds: least and greatest possible value, ``None`` for unbounded; both are inclusive.
        nullable: whether a cell may be missing.
        typical: range of ordinary values, in which conformance tests draw and in which the claims
            of a model that reads it hold: part of those claims, and no promise of the quantity,
            so no part of equality. None draws from the bounds.
        description: one line.

    Raises:
        ContractError: a field is out of its range.
    """

    name: str
    dims: tuple[Dim, ...]
    unit: str
    dtype: str = "float64"
    aggregation: Mapping[str, Aggregation] = field(default_factory=FrozenMapping)
    bounds: Bounds = (None, None)
    nullable: bool = False
    typical: tuple[float, float] | None = field(default=None, compare=False)
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        check_identifier(self.name, "the name of a Quantity")
        what = f"Quantity {self.name!r}"
        object.__setattr__(self, "dims", tuple(self.dims))
        for dim in self.dims:
            if not isinstance(dim, Dim):
                raise ContractError(f"dims of {what} contain {dim!r}; expected Dim objects")
        if len(set(self.dim_names)) != len(self.dims):
            raise ContractError(f"dims of {what} repeat: {', '.join(self.dim_names)}")
        if not check_text(self.unit, f"unit of {what}").strip():
            raise ContractError(f"{what} has no unit; write '1' for a pure number")
        check_choice(self.dtype, _DTYPES, f"dtype of {what}")
        check_text(self.description, f"description of {what}")
        object.__setattr__(self, "aggregation", _aggregation(self.aggregation, self.dims, what))
        object.__setattr__(self, "bounds", _bounds(self.bounds, f"the pair of bounds of {what}"))
        object.__setattr__(self, "typical", _typical(self.typical, self.bounds, what))

    @property
    def dim_names(self) -> tuple[str, ...]:
        """Names of the dims, in order."""
        return tuple(dim.name for dim in self.dims)

    @property
    def time_dim(self) -> Dim | None:
        """The first dim of kind ``time``, along which lags count."""
        return next((dim for dim in self.dims if dim.kind == "time"), None)

    def aggregated(self, dim: str) -> Aggregation:
        """Return how values roll up along ``dim``; ``mean`` where nothing is declared."""
        return self.aggregation.get(dim, "mean")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "name": self.name,
            "dims": [dim.to_json() for dim in self.dims],
            "unit": self.unit,
            "dtype": self.dtype,
            "aggregation": {
                dim: {"weighted_by": how.by} if isinstance(how, Weighted) else how
                for dim, how in self.aggregation.items()
            },
            "bounds": list(self.bounds),
            "nullable": self.nullable,
            "typical": None if self.typical is None else list(self.typical),
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Quantity":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, f"Quantity {data.get('name')!r}")
        fields = dict(data)
        fields["dims"] = tuple(Dim.from_json(dim) for dim in data["dims"])
        fields["aggregation"] = {
            dim: Weighted(how["weighted_by"]) if isinstance(how, Mapping) else how
            for dim, how in data.get("aggregation", {}).items()
        }
        fields["bounds"] = tuple(data.get("bounds", (None, None)))
        if data.get("typical") is not None:
            fields["typical"] = tuple(data["typical"])
        return cls(**fields)


def _aggregation(
    declared: Mapping[str, Aggregation], dims: tuple[Dim, ...], what: str
) -> FrozenMapping[Aggregation]:
    names = tuple(dim.name for dim in dims)
    result: dict[str, Aggregation] = {}
    for dim, how in declared.items():
        # A Dim object reads better at the declaration; the name is what is stored.
        name = str(dim)
        if name not in names:
            raise ContractError(
                f"aggregation of {what} names {name!r}, which is none of its dims "
                f"({', '.join(names) or 'it has none'})"
            )
        if not isinstance(how, Weighted):
            check_choice(how, ("sum", "mean"), f"aggregation of {what} along {name!r}")
        # The default is not stored: two spellings of one promise must compare equal.
        if how != "mean":
            result[name] = how
    return FrozenMapping(result)


def _bounds(bounds: object, what: str) -> Bounds:
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ContractError(f"{what} is {bounds!r}; expected (low | None, high | None)")
    ends: list[float | None] = []
    for end in bounds:
        if end is None:
            ends.append(None)
        elif isinstance(end, (int, float)) and math.isfinite(end):
            ends.append(float(end))
        else:
            raise ContractError(f"{what} contains {end!r}; expected a number or None")
    low, high = ends
    if low is not None and high is not None and low > high:
        raise ContractError(f"{what} is reversed: {low:g} > {high:g}")
    return (low, high)


def _typical(typical: object, bounds: Bounds, what: str) -> tuple[float, float] | None:
    if typical is None:
        return None
    low, high = _bounds(typical, f"the typical range of {what}")
    if low is None or high is None:
        raise ContractError(f"the typical range of {what} has an open end; give two numbers")
    least, greatest = bounds
    if (least is not None and low < least) or (greatest is not None and high > greatest):
        raise ContractError(
            f"the typical range of {what}, {low:g} to {high:g}, leaves its bounds {bounds}"
        )
    return (low, high)
