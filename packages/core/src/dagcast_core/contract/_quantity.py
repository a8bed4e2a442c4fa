"""Variables of the business and how they roll up."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from dagcast_core.contract._checks import (
    check_choice,
    check_identifier,
    check_keys,
    check_text,
)
from dagcast_core.contract._dim import Dim
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._mapping import FrozenMapping


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


# The first two as plain text, so that one dict can serve many declarations.
Aggregation = str | Weighted
"""How values roll up along a dim: ``sum``, ``mean`` or a ``Weighted`` mean."""
Bounds = tuple[float | None, float | None]
"""Least and greatest possible value, both inclusive; None where there is none."""

Better = Literal["higher", "lower", ""]
Display = Literal["", "count", "money", "share", "minutes", "number"]

# Three capitals at the start of a unit, as ISO 4217 writes a currency: USD, EUR/h, JPY/ride.
_CURRENCY = re.compile(r"[A-Z]{3}(?=/|$)")
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
        title: how people call it, on pages and in the terminal; ``heading`` where none is given.
        better: whether more of it is good (``higher``) or bad (``lower``); empty for neither.
        display: how its figures are written; ``figures`` says what an empty one means.

    Title, better and display promise nothing either: two declarations that differ in them alone are
    equal, and a contract's version does not move.

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
    title: str = field(default="", compare=False)
    better: Better = field(default="", compare=False)
    display: Display = field(default="", compare=False)

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
        check_text(self.title, f"title of {what}")
        check_choice(self.better, get_args(Better), f"better of {what}")
        check_choice(self.display, get_args(Display), f"display of {what}")
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

    @property
    def heading(self) -> str:
        """The title, or else the name in words: ``pickup_stretch`` is "Pickup stretch"."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def currency(self) -> str | None:
        """ISO code that the unit begins with, as in ``USD/h``; None where it is no money."""
        found = _CURRENCY.match(self.unit)
        return found.group() if found else None

    @property
    def figures(self) -> Display:
        """How figures are written: ``display``, or else what the unit says.

        A unit that begins with a currency is money, ``1`` a share (shown in %), ``min`` minutes, a
        rate ``x/h`` a count, everything else a number.
        """
        if self.display:
            return self.display
        if self.currency:
            return "money"
        plain: dict[str, Display] = {"1": "share", "min": "minutes"}
        return plain.get(self.unit, "count" if self.unit.endswith("/h") else "number")

    def read_as(self, other: "Quantity") -> "Quantity":
        """Return this declaration; what it leaves open of how people read it is ``other``'s."""
        return replace(
            self,
            title=self.title or other.title,
            better=self.better or other.better,
            display=self.display or other.display,
        )

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
            "title": self.title,
            "better": self.better,
            "display": self.display,
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
