"""What an integration release is made of: one immutable file."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from dagcast.exported import RELEASE_SCHEMA
from dagcast_core.contract import Contract, ContractError, Problem

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Package:
    """One distribution of a release.

    Attributes:
        distribution: its name.
        version: as installed.
        content: sha256 of its importable files, the same for a wheel and for its sources.
        contracts: what it promises and asks.
    """

    distribution: str
    version: str
    content: str
    contracts: tuple[Contract, ...] = ()

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        contracts = [contract.to_json() for contract in self.contracts]
        return {
            "distribution": self.distribution,
            "version": self.version,
            "content": self.content,
            "contracts_hash": digest(contracts),
            "contracts": contracts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Package":
        """Read what ``to_json`` wrote."""
        contracts = tuple(Contract.from_json(item) for item in data["contracts"])
        return cls(data["distribution"], data["version"], data["content"], contracts)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a release, and how much worse its successor may be.

    Attributes:
        name: e.g. ``mase.eta``.
        value: finite.
        tolerance: by how much a successor may be worse, in the unit of the value.
        better: which direction is better.
        seeds: that the figure depends on.
        data: identifies what it was measured on, by content: figures of other data are another
            thing. Empty where nobody said.
        parts: the figure of each of several observations, such as a backtest's windows, so that two
            candidates can be compared in pairs; empty where it has none.
    """

    name: str
    value: float
    tolerance: float
    better: Better = "lower"
    seeds: tuple[int, ...] = ()
    data: str = ""
    parts: tuple[float, ...] = ()

    def worse_than(self, other: "Metric") -> float:
        """Return by how much this is worse than ``other``; negative if it is better."""
        return self.value - other.value if other.better == "lower" else other.value - self.value

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "name": self.name,
            "value": self.value,
            "tolerance": self.tolerance,
            "better": self.better,
            "seeds": list(self.seeds),
            "data": self.data,
            "parts": list(self.parts),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Metric":
        """Read what ``to_json`` wrote."""
        parts = tuple(data.get("parts", ()))
        return cls(**{**data, "seeds": tuple(data["seeds"]), "parts": parts})


@dataclass(frozen=True, slots=True)
class GateResult:
    """How one gate went.

    Attributes:
        name: of the gate.
        passed: whether it lets the candidate through.
        detail: one line.
        problems: what it found.
        metrics: what it measured.
    """

    name: str
    passed: bool
    detail: str
    problems: tuple[Problem, ...] = ()
    metrics: tuple[Metric, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "name": self.name,
            "passed": self.passed,
            "detail": self.detail,
            "problems": [problem.to_json() for problem in self.problems],
            "metrics": [metric.to_json() for metric in self.metrics],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "GateResult":
        """Read what ``to_json`` wrote."""
        return cls(
            data["name"],
            data["passed"],
            data["detail"],
            tuple(Problem.from_json(item) for item in data["problems"]),
            tuple(Metric.from_json(item) for item in data["metrics"]),
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """An integration release, or a candidate for one.

    Attributes:
        name: unique among releases.
        parent: the release it was derived from; empty for the first.
        created_at: UTC, ISO 8601.
        commit: of the sources, if they were in a repository.
        packages: distributions of the set, by name.
        environment: what the packages need, themselves included, as ``name==version``.
        data: what the figures were measured on.
        gates: results; empty before verification.
        afresh: why figures that were measured on other data than the parent's begin anew; empty
            where they may not.
    """

    name: str
    parent: str
    created_at: str
    commit: str
    packages: tuple[Package, ...]
    environment: tuple[str, ...]
    data: str
    gates: tuple[GateResult, ...] = ()
    afresh: str = ""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures of all gates."""
        return tuple(metric for gate in self.gates for metric in gate.metrics)

    @property
    def passed(self) -> bool:
        """Whether it was verified and every gate let it through."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)

    def package(self, distribution: str) -> Package | None:
        """Return one distribution of the set, if it is in it."""
        return next((p for p in self.packages if p.distribution == distribution), None)

    def with_gates(self, gates: tuple[GateResult, ...]) -> "Manifest":
        """Return the candidate with its results."""
        return replace(self, gates=gates)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types, with a hash over all of them."""
        body = {
            "schema": RELEASE_SCHEMA,
            "name": self.name,
            "parent": self.parent,
            "created_at": self.created_at,
            "commit": self.commit,
            "data": self.data,
            "packages": [package.to_json() for package in self.packages],
            "environment": list(self.environment),
            "gates": [gate.to_json() for gate in self.gates],
            **({"afresh": self.afresh} if self.afresh else {}),
        }
        return {**body, "sha256": digest(body)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Manifest":
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: the hash does not fit, a key is missing or unknown, or a figure is bad.
        """
        body = {key: value for key, value in data.items() if key != "sha256"}
        if body.get("schema") != RELEASE_SCHEMA:
            raise ValueError(f"its schema is {body.get('schema')!r}; expected {RELEASE_SCHEMA!r}")
        if data.get("sha256") != digest(body):
            raise ValueError("its sha256 does not fit its content: it was changed after the fact")
        known = {field.name for field in fields(cls)} | {"schema"}
        if set(body) | {"afresh"} != known:
            raise ValueError(f"its keys differ from {', '.join(sorted(known))}")
        try:
            return cls(
                name=body["name"],
                parent=body["parent"],
                created_at=body["created_at"],
                commit=body["commit"],
                packages=tuple(Package.from_json(item) for item in body["packages"]),
                environment=tuple(body["environment"]),
                data=body["data"],
                gates=tuple(GateResult.from_json(item) for item in body["gates"]),
                afresh=body.get("afresh", ""),
            )
        except (ContractError, KeyError, TypeError) as error:
            raise ValueError(f"it cannot be read: {error}") from error


def digest(value: object) -> str:
    """Return the sha256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


def finite(metric: Metric) -> bool:
    """Tell whether a figure can be compared."""
    return math.isfinite(metric.value) and math.isfinite(metric.tolerance) and metric.tolerance >= 0
