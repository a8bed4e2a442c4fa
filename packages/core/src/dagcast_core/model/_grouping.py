"""Which models are fitted together, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dagcast_core.contract import Contract
from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._errors import ModelError
from dagcast_core.model._loss import ExperimentAgreement, FitnessTerm, LossTerm
from dagcast_core.model._model import Model
from dagcast_core.model._regularisation import ParameterTerm


def group_into_units(collection: ModelCollection) -> tuple[tuple[str, ...], ...]:
    """Names of the models that are fitted together, producers first.

    A model is fitted alone unless one of its terms reaches *through* a latent input to the model
    that produces it.

    Raises:
        ModelError: a term reaches through a quantity that is no predicted input of its model, or
            compares a quantity that its model does not produce.
    """
    wiring, leaves = collection.wiring, collection.leaves
    group = {name: {name} for name in wiring.order}

    def merge(first: str, second: str) -> None:
        joined = group[first] | group[second]
        for name in joined:
            group[name] = joined

    for name, leaf in leaves.items():
        for term in leaf.loss_terms():
            _check_term(name, leaf, term)
            for quantity in term.through if isinstance(term, FitnessTerm) else ():
                if quantity not in leaf.contract.input_names or quantity not in wiring.producer:
                    raise ModelError(
                        f"a term of {name} reaches through {quantity!r}, which is no input of it "
                        "that another model predicts."
                    )
                merge(name, wiring.producer[quantity])
    return _ordered(collection, group, merge)


def _ordered(
    collection: ModelCollection,
    group: Mapping[str, set[str]],
    merge: Callable[[str, str], None],
) -> tuple[tuple[str, ...], ...]:
    wiring = collection.wiring
    needs = {
        name: {
            wiring.producer[q]
            for q in _instant_inputs(wiring.contracts[name])
            if q in wiring.producer
        }
        for name in wiring.order
    }

    def upstream(start: str) -> set[str]:
        """Every model that the unit of ``start`` waits for, by whole units."""
        seen: set[str] = set()
        waiting = list(group[start])
        while waiting:
            for needed in needs[waiting.pop()]:
                fresh = group[needed] - seen
                seen |= fresh
                waiting.extend(fresh)
        return seen

    before = {name: upstream(name) for name in wiring.order}
    for name in wiring.order:
        for other in before[name]:
            # Two units that wait for each other can only be fitted together.
            if name in before[other] and group[other] is not group[name]:
                merge(name, other)
    units: list[tuple[str, ...]] = []
    done: set[str] = set()
    while len(done) < len(wiring.order):
        ready = next(
            members
            for name in wiring.order
            if name not in done
            for members in [group[name]]
            if all(needs[member] <= done | members for member in members)
        )
        units.append(tuple(name for name in wiring.order if name in ready))
        done |= ready
    return tuple(units)


def _instant_inputs(contract: Contract) -> tuple[str, ...]:
    return tuple(item.name for item in contract.inputs if not item.lag)


def _check_term(name: str, leaf: Model, term: LossTerm) -> None:
    """Refuse terms that cannot belong to the model.

    Raises:
        ModelError: the term compares a quantity that the model does not produce, or is no term.
    """
    if isinstance(term, FitnessTerm):
        if term.name not in leaf.contract.output_names:
            raise ModelError(
                f"{name} has a term on {term.name!r}, which it does not produce; its outputs are "
                f"{', '.join(leaf.contract.output_names)}."
            )
    elif not isinstance(term, (ParameterTerm, ExperimentAgreement)):
        raise ModelError(f"loss_terms of {name} contain {term!r}; expected loss terms.")
