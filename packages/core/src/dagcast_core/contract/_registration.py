"""Contracts with their origin, and what assembling them yields."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dagcast_core.contract._contract import Contract, Effect, Input
from dagcast_core.contract._problem import AssemblyError, Problem
from dagcast_core.contract._quantity import Quantity


@dataclass(frozen=True, slots=True)
class Registration:
    """A contract and the distribution that brought it.

    Args:
        contract: what the model promises and asks.
        distribution: e.g. ``dagcast-eta``; empty for a model made in a session.
        version: of the distribution.
        entry_point: name under ``dagcast.models``.
    """

    contract: Contract
    distribution: str = ""
    version: str = ""
    entry_point: str = ""

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.contract.model

    def __str__(self) -> str:
        if not self.distribution:
            return self.model
        return f"{self.model} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True)
class Edge:
    """One quantity that flows from a model to another.

    Args:
        producer: model that makes it.
        quantity: its name.
        consumer: model that reads it.
        lag: steps of the time dim by which the consumer reads it late.
    """

    producer: str
    quantity: str
    consumer: str
    lag: int = 0


@dataclass(frozen=True, slots=True)
class Assembly:
    """Contracts joined by quantity name.

    Attributes:
        registrations: the active contracts in an order in which models can run.
        inactive: contracts left out because another model was chosen to serve their quantity.
        edges: quantities that flow between models.
        externals: inputs that no model produces, each as its first consumer asks for it.
        problems: everything that keeps the models from working together, one per root cause.
    """

    registrations: tuple[Registration, ...]
    inactive: tuple[Registration, ...]
    edges: tuple[Edge, ...]
    externals: tuple[Input, ...]
    problems: tuple[Problem, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the active models, producers first."""
        return tuple(item.model for item in self.registrations)

    def raise_problems(self) -> None:
        """Do nothing if the contracts fit.

        Raises:
            AssemblyError: they do not; it carries every problem.
        """
        if self.problems:
            raise AssemblyError(self.problems, len(self.registrations))

    def contract(self, model: str, version: str = "1.0.0", description: str = "") -> Contract:
        """Return the union of the active contracts as one contract.

        Raises:
            AssemblyError: the contracts do not fit.
        """
        self.raise_problems()
        contracts = [item.contract for item in self.registrations]
        return union(model, contracts, version=version, description=description)

    def to_json(self) -> dict[str, Any]:
        """Return the assembly as JSON types."""
        return {
            "models": [
                {
                    "model": item.model,
                    "distribution": item.distribution,
                    "version": item.version,
                    "entry_point": item.entry_point,
                    "contract_version": item.contract.version,
                    "inputs": list(item.contract.input_names),
                    "outputs": list(item.contract.output_names),
                }
                for item in self.registrations
            ],
            "inactive": [str(item) for item in self.inactive],
            "edges": [
                {name: getattr(edge, name) for name in edge.__slots__} for edge in self.edges
            ],
            "externals": [item.name for item in self.externals],
            "problems": [problem.to_json() for problem in self.problems],
        }


def union(
    model: str, contracts: Iterable[Contract], *, version: str = "1.0.0", description: str = ""
) -> Contract:
    """Return what ``contracts`` promise and ask together.

    Inputs are those that no member produces. An input is required if any member requires it.
    Lags are 0, because members apply their own. Look-aheads add up along paths of members.

    Args:
        model: name of the union.
        contracts: in the order in which inputs and outputs are to be listed.
        version: of the union's interface.
        description: one line.
    """
    members = tuple(contracts)
    produced = {name for member in members for name in member.output_names}
    inputs: dict[str, Input] = {}
    outputs: list[Quantity] = []
    effects: list[Effect] = []
    for member in members:
        for item in member.inputs:
            if item.name not in produced:
                inputs[item.name] = _joined(inputs.get(item.name), item)
        outputs.extend(member.outputs)
        effects.extend(member.effects)
    return Contract(
        model,
        version=version,
        inputs=tuple(inputs.values()),
        outputs=tuple(outputs),
        effects=tuple(effects),
        look_ahead=_look_ahead(members),
        description=description,
    )


def _look_ahead(members: tuple[Contract, ...]) -> int:
    # How far a member reads ahead through those before it; what is read late counts back. Loops
    # are delayed in all, so as many rounds as there are members settle every path.
    producers = {name: m.model for m in members for name in m.output_names}
    reach = {member.model: 0 for member in members}
    for _ in members:
        for member in members:
            steps = [
                member.look_ahead - item.lag + reach.get(producers.get(item.name, ""), 0)
                for item in member.inputs
            ]
            reach[member.model] = max(0, *steps) if steps else 0
    return max(reach.values(), default=0)


def _joined(first: Input | None, second: Input) -> Input:
    if first is None:
        return Input(second.quantity, required=second.required, default=second.default)
    # Only one of the readers need say how people call it.
    if first.required or not second.required:
        quantity = first.quantity.read_as(second.quantity)
        return Input(quantity, required=first.required, default=first.default)
    return Input(second.quantity.read_as(first.quantity))
