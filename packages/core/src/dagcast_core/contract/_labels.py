"""What is known of a dim's labels before any event: which there are, clocks and borders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from dagcast_core.contract._checks import check_identifier, check_labels
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._looks import looks
from dagcast_core.contract._mapping import FrozenMapping

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of one dim, as files beside the events or a package say.

    Args:
        dim: name of the dim.
        labels: all of them, in order of appearance; rows with another one are set aside.
        zones: label -> IANA name of its clock; labels may be left out.
        since: label -> ISO 8601 instant from which on it did business.
        near: label -> labels that share a border with it.

    Raises:
        ContractError: a label repeats or looks like another one, a mapping names one that is not
            there, or an instant is none.
    """

    dim: str
    labels: tuple[str, ...]
    zones: Mapping[str, str] = field(default_factory=FrozenMapping)
    since: Mapping[str, str] = field(default_factory=FrozenMapping)
    near: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        what = f"LabelSet of {check_identifier(self.dim, 'the dim of a LabelSet')!r}"
        object.__setattr__(self, "labels", check_labels(self.labels, f"labels of {what}"))
        for label in self.labels:
            if self.labels.count(label) > 1:
                raise ContractError(f"{what} names {label!r} twice")
        first: dict[str, str] = {}
        for label in self.labels:
            other = first.setdefault(looks(str(label)), label)
            if other != label:
                raise ContractError(f"{what} names both {other!r} and {label!r}, which look alike")
        near = {label: tuple(others) for label, others in self.near.items()}
        for name, mapping in (("zones", self.zones), ("since", self.since), ("near", near)):
            object.__setattr__(self, name, FrozenMapping(mapping))
        named = (*self.zones, *self.since, *near, *(x for xs in near.values() for x in xs))
        for label in named:
            if label not in self.labels:
                raise ContractError(
                    f"{what} speaks of {label!r}, which is none of its labels "
                    f"({', '.join(map(str, self.labels[:3]))}, ...)"
                )
        for label, moment in self.since.items():
            try:
                found = datetime.fromisoformat(moment)
            except (TypeError, ValueError):
                found = None
            if found is None or found.tzinfo is None:
                raise ContractError(
                    f"{what} begins {label!r} at {moment!r}; expected an ISO 8601 instant with a "
                    "zone such as '2025-03-03T00:00+00:00'"
                )


@dataclass(frozen=True, slots=True)
class Calendar:
    """An exogenous quantity that needs no table where a label's clock is known.

    Args:
        quantity: its name.
        of: from instants (UTC) and the IANA name of a zone, and with ``by_country`` the code of a
            country ("US", "US-CA"), to one value per instant.
        by_country: whether it follows from the label's country besides, as holidays do.

    Raises:
        ContractError: the name is not valid, or ``of`` cannot be called.
    """

    quantity: str
    of: "Callable[..., ndarray]"
    by_country: bool = False

    def __post_init__(self) -> None:
        check_identifier(self.quantity, "the quantity of a Calendar")
        if not callable(self.of):
            raise ContractError(
                f"Calendar of {self.quantity!r} is made by {self.of!r}; expected a function of "
                "hours and a zone"
            )
