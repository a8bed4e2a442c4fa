"""Named dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dagcast_core.contract._checks import check_choice, check_identifier, check_keys, check_text
from dagcast_core.contract._errors import ContractError

DimKind = Literal["label", "time", "int"]
"""What the labels of a dim are: text, instants or integers."""


@dataclass(frozen=True, slots=True)
class Dim:
    """A named dimension, declared once and used as an object.

    Args:
        name: lower-case identifier; also the name of the dim on an ``IndexTensor``.
        kind: what its labels are: ``label`` (text), ``time`` (instants) or ``int``.
        vocabulary: versioned list that labels come from, ``name/vN``. A ``label`` dim without one
            gets ``<name>/v1``; a ``time`` dim has none.
        frequency: step of a ``time`` dim as a pandas alias, e.g. ``h``.
        zone: zone of a ``time`` dim's labels. Stored instants are UTC.
        description: one line.

    Raises:
        ContractError: a field is missing or does not belong to the kind.
    """

    name: str
    kind: DimKind = "label"
    vocabulary: str | None = None
    frequency: str | None = None
    zone: str | None = None
    description: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        check_identifier(self.name, "the name of a Dim")
        check_choice(self.kind, ("label", "time", "int"), f"kind of Dim {self.name!r}")
        check_text(self.description, f"description of Dim {self.name!r}")
        if self.kind == "time":
            if not self.frequency or not self.zone:
                raise ContractError(
                    f"time Dim {self.name!r} needs a frequency and a zone, "
                    f"e.g. Dim({self.name!r}, kind='time', frequency='h', zone='UTC'); "
                    f"found frequency={self.frequency!r}, zone={self.zone!r}"
                )
            if self.vocabulary is not None:
                raise ContractError(f"time Dim {self.name!r} cannot have a vocabulary")
        elif self.frequency is not None or self.zone is not None:
            raise ContractError(
                f"Dim {self.name!r} is of kind {self.kind!r}; only kind 'time' has a frequency "
                "and a zone"
            )
        if self.kind == "label" and self.vocabulary is None:
            object.__setattr__(self, "vocabulary", f"{self.name}/v1")
        if self.vocabulary is not None:
            stem, _, version = self.vocabulary.partition("/v")
            if not stem or not version.isdecimal():
                raise ContractError(
                    f"vocabulary of Dim {self.name!r} is {self.vocabulary!r}; "
                    f"expected NAME/vN such as '{self.name}/v1'"
                )

    def __str__(self) -> str:
        return self.name

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types; the description is no part of the promise but kept."""
        return {
            "name": self.name,
            "kind": self.kind,
            "vocabulary": self.vocabulary,
            "frequency": self.frequency,
            "zone": self.zone,
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Dim":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "a Dim")
        return cls(**data)
