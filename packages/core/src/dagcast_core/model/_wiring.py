"""Who produces what for whom: the graph of a collection's models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from dagcast_core.contract import Contract, Input, assemble


@final
@dataclass(frozen=True)
class Wiring:
    """Contracts joined by quantity name, in an order in which they can run.

    Attributes:
        order: names of the models, producers first.
        contracts: by name of the model.
        producer: name of the model that makes a quantity, by quantity.
        feedback: inputs that are read with a lag from a model later in the order: (model, input).
    """

    order: tuple[str, ...]
    contracts: Mapping[str, Contract]
    producer: Mapping[str, str] = field(default_factory=dict)
    feedback: tuple[tuple[str, Input], ...] = ()

    def downstream(self, quantities: Iterable[str]) -> tuple[str, ...]:
        """Models that a change of any of the quantities reaches, in order."""
        touched = set(quantities)
        reached: set[str] = set()
        # Lagged feedback can reach an earlier model, hence until nothing more is reached.
        while True:
            before = len(reached)
            for name in self.order:
                contract = self.contracts[name]
                if touched.intersection(contract.input_names):
                    reached.add(name)
                    touched.update(contract.output_names)
            if len(reached) == before:
                return tuple(name for name in self.order if name in reached)

    def upstream(self, quantities: Iterable[str]) -> tuple[str, ...]:
        """Models whose outputs any of the quantities depend on, their producers included."""
        wanted = set(quantities)
        reached: set[str] = set()
        while True:
            before = len(reached)
            for name in reversed(self.order):
                contract = self.contracts[name]
                if wanted.intersection(contract.output_names):
                    reached.add(name)
                    wanted.update(contract.input_names)
            if len(reached) == before:
                return tuple(name for name in self.order if name in reached)

    def between(self, levers: Iterable[str], outcomes: Iterable[str]) -> tuple[str, ...]:
        """Models on any path from a lever to an outcome, in order."""
        ends = set(self.upstream(outcomes))
        return tuple(name for name in self.downstream(levers) if name in ends)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Every quantity that is read or produced."""
        names: dict[str, None] = {}
        for name in self.order:
            names.update(dict.fromkeys(self.contracts[name].input_names))
            names.update(dict.fromkeys(self.contracts[name].output_names))
        return tuple(names)


def wire(contracts: Sequence[Contract]) -> Wiring:
    """Join contracts by quantity name.

    Raises:
        AssemblyError: they do not fit; it carries every problem.
    """
    assembly = assemble(contracts)
    assembly.raise_problems()
    by_name = {contract.model: contract for contract in contracts}
    order = assembly.order
    producer = {q: name for name in order for q in by_name[name].output_names}
    place = {name: position for position, name in enumerate(order)}
    feedback = tuple(
        (name, item)
        for name in order
        for item in by_name[name].inputs
        if item.lag and item.name in producer and place[producer[item.name]] >= place[name]
    )
    return Wiring(order, by_name, producer, feedback)
