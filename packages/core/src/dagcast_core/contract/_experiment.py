"""Measured effects: what was changed where, and what came of it."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from dagcast_core.contract._checks import (
    check_choice,
    check_identifier,
    check_keys,
    check_labels,
    check_text,
)
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._mapping import FrozenMapping

Design = Literal["switchback", "geo", "user_split", "natural", "prior"]
"""How an effect was measured; ``prior`` is a belief and no measurement."""
Scale = Literal["absolute", "ratio", "elasticity"]
"""What an effect is: a difference, a share of the base, or per cent per per cent."""
Label = str | int


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a quantity in an arm of an experiment.

    Args:
        quantity: name of the quantity changed.
        how: ``set`` to the value, ``add`` the value, or ``scale`` by it.
        value: in the quantity's unit for ``set`` and ``add``, a factor for ``scale``.
        where: labels that the change is restricted to, by dim, e.g. ``{"incentive": ("bonus",)}``;
            dims left out are not restricted beyond the experiment's own cells.

    Raises:
        ContractError: a field is not valid.
    """

    quantity: str
    how: Literal["set", "add", "scale"] = "set"
    value: float = 0.0
    where: Mapping[str, tuple[Label, ...]] = field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        check_identifier(self.quantity, "the quantity of a Change")
        check_choice(self.how, ("set", "add", "scale"), f"how of the Change of {self.quantity!r}")
        what = f"Change of {self.quantity!r}"
        object.__setattr__(self, "value", _finite(self.value, f"value of the {what}"))
        where: dict[str, tuple[Label, ...]] = {}
        for dim, labels in self.where.items():
            where[str(dim)] = check_labels(labels, f"where of the {what} along {str(dim)!r}")
        object.__setattr__(self, "where", FrozenMapping(where))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "quantity": self.quantity,
            "how": self.how,
            "value": self.value,
            "where": {dim: list(labels) for dim, labels in self.where.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Change":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "a Change")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of an experiment: the changes made to the world as it was.

    Args:
        name: e.g. ``control``.
        changes: applied in order; none means the quantities as they were.
    """

    name: str
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        check_text(self.name, "the name of an Arm")
        object.__setattr__(self, "changes", tuple(self.changes))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {"name": self.name, "changes": [change.to_json() for change in self.changes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Arm":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "an Arm")
        return cls(data["name"], tuple(Change.from_json(item) for item in data.get("changes", ())))


@dataclass(frozen=True, slots=True)
class Cells:
    """Where and when an experiment ran.

    Args:
        labels: of ``dim``, that took part; not empty.
        start: first hour, an ISO 8601 instant in UTC, start of the hour.
        end: last hour, inclusive, in the same form.
        local_hours: hours of day in which the arms differed, 0 to 23 in each label's own zone;
            empty means all.
        counted_hours: hours of day over which the outcome was measured, where arms differed in
            others too; empty means ``local_hours``. What an earlier hour's arm left behind then
            belongs to the effect.
        dim: the dim along which arms were assigned, such as ``region`` or ``warehouse``.

    Raises:
        ContractError: an instant is naive, not in UTC, not a whole hour, or the window is empty.
    """

    labels: tuple[str, ...]
    start: str
    end: str
    local_hours: tuple[int, ...] = ()
    counted_hours: tuple[int, ...] = ()
    dim: str = field(kw_only=True)

    def __post_init__(self) -> None:
        check_identifier(self.dim, "dim of Cells")
        object.__setattr__(self, "labels", check_labels(self.labels, "labels of Cells"))
        first, last = _hour(self.start, "start"), _hour(self.end, "end")
        if last < first:
            raise ContractError(f"Cells end at {self.end} before they start at {self.start}")
        object.__setattr__(self, "start", first.isoformat())
        object.__setattr__(self, "end", last.isoformat())
        for name in ("local_hours", "counted_hours"):
            hours = tuple(getattr(self, name))
            if any(not isinstance(hour, int) or not 0 <= hour <= 23 for hour in hours):
                raise ContractError(f"{name} of Cells are {hours}; expected hours from 0 to 23")
            object.__setattr__(self, name, tuple(sorted(set(hours))))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "dim": self.dim,
            # In the words of whoever reads and corrects the file: regions, depots.
            f"{self.dim}s": list(self.labels),
            "start": self.start,
            "end": self.end,
            "local_hours": list(self.local_hours),
            "counted_hours": list(self.counted_hours),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Cells":
        """Read what ``to_json`` wrote, in this version or an earlier one.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        # Files of dagcast-core 0.1.0 called labels of any dim regions, and named no dim for these.
        dim = data.get("dim", "region")
        named = f"{dim}s" if f"{dim}s" in data or "regions" not in data else "regions"
        if named in data and "labels" in data:
            raise ContractError(f"Cells have both {named!r} and 'labels'; leave out one of them")
        data = {("labels" if key == named else key): value for key, value in data.items()}
        check_keys(data, cls.__slots__, "Cells")
        if "labels" not in data:
            raise ContractError(f"Cells have no {named!r}: labels of {dim!r} that took part")
        return cls(
            dim=dim,
            labels=data["labels"],
            start=data["start"],
            end=data["end"],
            local_hours=tuple(data.get("local_hours", ())),
            counted_hours=tuple(data.get("counted_hours", ())),
        )


@dataclass(frozen=True, slots=True)
class Experiment:
    """A measured causal effect, which models are held to.

    Args:
        name: unique; effects cite it as their evidence.
        levers: names of the quantities that differ between the arms.
        outcome: name of the quantity measured.
        design: how assignment was made; ``prior`` for a belief taken from the literature.
        cells: where and when.
        control: what was done in one arm,
        treatment: and what in the other.
        estimate: the effect, in the form that ``scale`` says.
        standard_error: of the estimate, same form; positive.
        degrees_of_freedom: of the standard error, where few clusters stand behind it (Satterthwaite
            with CR2: Pustejovsky & Tipton 2018, doi:10.1080/07350015.2016.1247004): the error over
            its standard error is then Student's t and not normal. None where clusters are many, or
            nobody says.
        scale: ``absolute``: outcome under treatment minus control, in the outcome's unit;
            ``ratio``: treatment over control minus 1; ``elasticity``: change of the log outcome
            per change of the log lever.
        reduce: how the outcome is brought to one number over the cells before arms are compared.
        provenance: where the figure comes from.
        group: name of the experiments whose errors are correlated with this one's, if any; their
            covariance is in the ``ExperimentSet``.
        together: whether all labels switched together, so that what one of them takes from another
            is in the effect. In a switchback or geo test that compares labels side by side it is
            not: see ``side_by_side``.

    Raises:
        ContractError: the arms change a quantity that is no lever, do not differ, or a figure is
            not usable.
    """

    name: str
    levers: tuple[str, ...]
    outcome: str
    _: KW_ONLY
    design: Design = "switchback"
    cells: Cells
    control: Arm = Arm("control")
    treatment: Arm
    estimate: float
    standard_error: float
    degrees_of_freedom: float | None = None
    scale: Scale = "absolute"
    reduce: Literal["mean", "sum"] = "mean"
    provenance: str = ""
    group: str | None = None
    together: bool = False

    @property
    def side_by_side(self) -> bool:
        """Whether labels under one arm are compared with labels under the other.

        What treated labels take from others is then counted as made (interference: Hudgens &
        Halloran 2008, doi:10.1198/016214508000000292).
        """
        compared = self.design in ("switchback", "geo") and len(self.cells.labels) > 1
        return compared and not self.together

    def __post_init__(self) -> None:
        if not check_text(self.name, "the name of an Experiment"):
            raise ContractError("an Experiment has an empty name")
        what = f"Experiment {self.name!r}"
        levers = check_labels(self.levers, f"levers of {what}")
        for lever in levers:
            check_identifier(lever, f"a lever of {what}")
        object.__setattr__(self, "levers", levers)
        check_identifier(self.outcome, f"outcome of {what}")
        designs = ("switchback", "geo", "user_split", "natural", "prior")
        check_choice(self.design, designs, f"design of {what}")
        check_choice(self.scale, ("absolute", "ratio", "elasticity"), f"scale of {what}")
        check_choice(self.reduce, ("mean", "sum"), f"reduce of {what}")
        if not isinstance(self.together, bool):
            raise ContractError(f"together of {what} is {self.together!r}; expected true or false")
        object.__setattr__(self, "estimate", _finite(self.estimate, f"estimate of {what}"))
        error = _finite(self.standard_error, f"standard_error of {what}")
        if error <= 0:
            raise ContractError(
                f"standard_error of {what} is {error:g}; expected a positive number "
                "(an exact effect would outweigh every datum)"
            )
        object.__setattr__(self, "standard_error", error)
        if self.degrees_of_freedom is not None:
            freedom = _finite(self.degrees_of_freedom, f"degrees_of_freedom of {what}")
            if freedom <= 0:
                raise ContractError(
                    f"degrees_of_freedom of {what} are {freedom:g}; expected a positive number, "
                    "e.g. the clusters less one, or none where clusters are many"
                )
            object.__setattr__(self, "degrees_of_freedom", freedom)
        self._check_arms(what)

    def _check_arms(self, what: str) -> None:
        changed = {c.quantity for c in (*self.control.changes, *self.treatment.changes)}
        if changed - set(self.levers):
            raise ContractError(
                f"{what} changes {sorted(changed - set(self.levers))[0]!r}, which is none of its "
                f"levers ({', '.join(self.levers)})"
            )
        if set(self.levers) - changed:
            raise ContractError(
                f"{what} has the lever {sorted(set(self.levers) - changed)[0]!r}, which neither "
                "arm changes"
            )
        if self.control.changes == self.treatment.changes:
            raise ContractError(f"both arms of {what} do the same; their effect would be 0")
        if self.scale == "elasticity" and len(self.levers) != 1:
            raise ContractError(
                f"{what} is an elasticity over {len(self.levers)} levers; it needs exactly one"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "name": self.name,
            "levers": list(self.levers),
            "outcome": self.outcome,
            "design": self.design,
            "cells": self.cells.to_json(),
            "control": self.control.to_json(),
            "treatment": self.treatment.to_json(),
            "estimate": self.estimate,
            "standard_error": self.standard_error,
            "degrees_of_freedom": self.degrees_of_freedom,
            "scale": self.scale,
            "reduce": self.reduce,
            "provenance": self.provenance,
            "group": self.group,
            "together": self.together,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Experiment":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, f"Experiment {data.get('name')!r}")
        parts: dict[str, Any] = {"cells": Cells.from_json, "treatment": Arm.from_json}
        given = {"control": {"name": "control"}, **data}
        needed = ("name", "levers", "outcome", "cells", "treatment", "estimate", "standard_error")
        for field_name in needed:
            if field_name not in given:
                raise ContractError(f"Experiment {data.get('name')!r} has no {field_name!r}")
        for field_name, read in {**parts, "control": Arm.from_json}.items():
            try:
                given[field_name] = read(given[field_name])
            except ContractError as error:
                what = f"{field_name} of Experiment {data.get('name')!r}"
                raise ContractError(f"{what}: {error}") from error
        return cls(**given)


@dataclass(frozen=True, slots=True)
class ExperimentSet:
    """Experiments together with the covariance of those that share cells.

    Args:
        experiments: unique by name; order is kept.
        covariances: by group, the covariance matrix of that group's estimates, rows in the order
            of ``experiments``. A group without a matrix is taken as uncorrelated.

    Raises:
        ContractError: names repeat, a matrix belongs to no group, has the wrong size, is not
            symmetric, not positive definite, or disagrees with a standard error.
    """

    experiments: tuple[Experiment, ...] = ()
    covariances: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        object.__setattr__(self, "experiments", tuple(self.experiments))
        names = [experiment.name for experiment in self.experiments]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ContractError(f"two experiments are called {repeated[0]!r}; names are unique")
        matrices = {
            group: tuple(tuple(float(value) for value in row) for row in matrix)
            for group, matrix in self.covariances.items()
        }
        for group, matrix in matrices.items():
            _check_covariance(group, matrix, self.members(group))
        object.__setattr__(self, "covariances", FrozenMapping(matrices))

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self.experiments)

    def __len__(self) -> int:
        return len(self.experiments)

    def __getitem__(self, name: str) -> Experiment:
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        known = ", ".join(experiment.name for experiment in self.experiments)
        raise KeyError(f"no experiment is called {name!r}; known are {known or 'none'}")

    def members(self, group: str) -> tuple[Experiment, ...]:
        """Return the experiments of ``group``, in order."""
        return tuple(item for item in self.experiments if item.group == group)

    def without(self, *names: str) -> "ExperimentSet":
        """Return the set with ``names`` left out and the matrices reduced to the rest."""
        kept = tuple(item for item in self.experiments if item.name not in names)
        matrices: dict[str, tuple[tuple[float, ...], ...]] = {}
        for group, matrix in self.covariances.items():
            rows = [i for i, item in enumerate(self.members(group)) if item.name not in names]
            if rows:
                matrices[group] = tuple(tuple(matrix[i][j] for j in rows) for i in rows)
        return ExperimentSet(kept, matrices)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "experiments": [experiment.to_json() for experiment in self.experiments],
            "covariances": {
                group: [list(row) for row in matrix] for group, matrix in self.covariances.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ExperimentSet":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "an ExperimentSet")
        return cls(
            tuple(Experiment.from_json(item) for item in data.get("experiments", ())),
            {
                group: tuple(tuple(row) for row in matrix)
                for group, matrix in data.get("covariances", {}).items()
            },
        )


def _finite(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ContractError(f"{what} is {value!r}; expected a finite number")
    return float(value)


def _hour(value: object, what: str) -> datetime:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ContractError(
            f"{what} of Cells is {value!r}; expected an ISO 8601 hour such as "
            "'2026-01-05T00:00:00+00:00'"
        ) from None
    if instant.utcoffset() != timedelta(0):
        raise ContractError(
            f"{what} of Cells is {value!r}; expected an instant in UTC, "
            f"e.g. '{instant.replace(tzinfo=UTC).isoformat()}'"
        )
    if instant.minute or instant.second or instant.microsecond:
        raise ContractError(f"{what} of Cells is {value!r}; expected the start of an hour")
    return instant.astimezone(UTC)


def _check_covariance(
    group: str, matrix: tuple[tuple[float, ...], ...], members: Iterable[Experiment]
) -> None:
    errors = [experiment.standard_error for experiment in members]
    what = f"covariance of the experiment group {group!r}"
    size = len(errors)
    if not size:
        raise ContractError(f"{what} belongs to no experiment; set group={group!r} on its members")
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise ContractError(f"{what} is not {size} by {size}, one row per member")
    for i in range(size):
        if not math.isclose(matrix[i][i], errors[i] ** 2, rel_tol=1e-6):
            raise ContractError(
                f"{what} has {matrix[i][i]:g} on its diagonal where the squared standard error "
                f"is {errors[i] ** 2:g}"
            )
        for j in range(i):
            if not math.isclose(matrix[i][j], matrix[j][i], rel_tol=1e-9, abs_tol=1e-300):
                raise ContractError(f"{what} is not symmetric at row {i}, column {j}")
    # Cholesky by hand: this layer imports no numerical library.
    lower = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            if i == j:
                if rest <= 0:
                    raise ContractError(f"{what} is not positive definite")
                lower[i][i] = math.sqrt(rest)
            else:
                lower[i][j] = rest / lower[j][j]
