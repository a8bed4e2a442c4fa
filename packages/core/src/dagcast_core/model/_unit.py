"""What is fitted together on own data: one model, or models joined by a latent quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import pandas as pd
import torch

from dagcast_core.contract import Contract
from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._errors import ModelError, NonFiniteError
from dagcast_core.model._flat import FlatParameters, pieces
from dagcast_core.model._loss import ExperimentAgreement, FitnessTerm, LossTerm
from dagcast_core.model._model import Model, input_from
from dagcast_core.model._regularisation import ParameterTerm
from dagcast_core.model._target import Target
from dagcast_core.tensor import IndexTensor, Panel


@final
@dataclass
class Part:
    """One model of a unit with the inputs and targets of its own fit.

    Attributes:
        name: of the model.
        model: the model.
        fixed: inputs that are held: observed ones at their true values, latent ones at their
            prediction, detached.
        live: inputs that come from models of the same unit; only those that a term reaches
            through carry a gradient.
        data: fitness terms and what they compare with.
        priors: terms on parameters alone.
    """

    name: str
    model: Model
    fixed: dict[str, IndexTensor]
    live: tuple[str, ...]
    through: frozenset[str] = frozenset()
    data: list[tuple[FitnessTerm, Target]] = field(default_factory=list)
    priors: list[ParameterTerm] = field(default_factory=list)

    def inputs(
        self,
        outputs: Mapping[str, IndexTensor],
        held: Mapping[str, IndexTensor] | None = None,
    ) -> dict[str, IndexTensor]:
        """All inputs, given what the models before it in the unit produced.

        Args:
            outputs: of the models before it.
            held: where inputs that no term reaches through are taken from; from ``outputs`` by
                default.
        """
        cut = outputs if held is None else held
        live = {q: outputs[q] if q in self.through else cut[q].detach() for q in self.live}
        return {**self.fixed, **live}


@final
class Unit:
    """Models whose own-data losses are minimised together.

    Inputs that one model of the unit takes from another without reaching through them are held at
    the values of the last `Unit.refresh`: were they to follow the parameters while carrying no
    gradient, the gradient would not be that of the loss, and no line search could trust it.

    Args:
        parts: the models in an order in which they can run.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.names = tuple(part.name for part in self.parts)
        self.flat = FlatParameters(
            [p for part in self.parts for p in part.model.parameters() if p.requires_grad]
        )
        self._cut = {q for part in self.parts for q in part.live if q not in part.through}
        self._held: dict[str, IndexTensor] = {}
        self._noise: dict[int, torch.Tensor] = {}
        self._counted: list[list[tuple[FitnessTerm, Target]]] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Let held inputs follow the parameters; say whether there are any."""
        if self._cut:
            outputs = self.outputs()
            self._held = {quantity: outputs[quantity] for quantity in self._cut}
        return bool(self._cut)

    @property
    def name(self) -> str:
        """The models' names."""
        return " + ".join(self.names)

    def resample(
        self,
        times: Callable[[IndexTensor], torch.Tensor] | None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Stand for another sample of the data and of what is believed; None undoes it.

        Args:
            times: how often the cells of a prediction count, in its layout.
            generator: of the noise on priors; without it they would seem to be known exactly.
        """
        self._counted, self._noise = None, {}
        if times is None:
            return
        outputs = self.outputs()
        self._counted = [
            [(term, target.masked(times(outputs[term.name]))) for term, target in part.data]
            for part in self.parts
        ]
        for part in self.parts:
            for term in part.priors:
                shape = term.standardised().shape
                noise = torch.randn(shape, generator=generator, dtype=torch.float64)
                self._noise[id(term)] = noise

    def loss(self) -> torch.Tensor:
        """Fitness and priors of all parts; 0-d, nats."""
        return self.fitness() + self.prior()

    def fitness(self) -> torch.Tensor:
        """The fitness terms alone; 0-d."""
        return sum(self.fitness_by_part().values(), torch.zeros((), dtype=torch.float64))

    def fitness_by_part(self) -> dict[str, torch.Tensor]:
        """The fitness terms by name of the model."""
        losses: dict[str, torch.Tensor] = {}
        outputs: dict[str, IndexTensor] = {}
        data = self._counted or [part.data for part in self.parts]
        last = max((i for i, terms in enumerate(data) if terms), default=-1)
        for part, terms in list(zip(self.parts, data, strict=True))[: last + 1]:
            made = part.model.run(part.inputs(outputs, self._held))
            outputs.update(made)
            values = [term.value(made[term.name], target) for term, target in terms]
            losses[part.name] = sum(values, torch.zeros((), dtype=torch.float64))
        return losses

    def prior(self) -> torch.Tensor:
        """The terms on parameters alone; 0-d."""
        values = [
            term.value(self._noise.get(id(term))) for part in self.parts for term in part.priors
        ]
        return sum(values, torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """Loss by name of the model, nats."""
        fitness = self.fitness_by_part()
        return {
            part.name: float(fitness.get(part.name, 0.0))
            + sum(float(term.value()) for term in part.priors)
            for part in self.parts
        }

    @torch.no_grad()
    def outputs(self, held: Mapping[str, IndexTensor] | None = None) -> dict[str, IndexTensor]:
        """What the models predict from the inputs of the fit, detached.

        Args:
            held: latent inputs that no term reaches through, kept at these values.
        """
        outputs: dict[str, IndexTensor] = {}
        for part in self.parts:
            outputs.update(part.model.run(part.inputs(outputs, held)))
        return outputs

    def raise_non_finite(self) -> None:
        """Find where the loss or its gradient stops being a number.

        Raises:
            NonFiniteError: names the model, and the quantity and cells, term or parameter.
        """
        outputs: dict[str, IndexTensor] = {}
        for part in self.parts:
            inputs = part.inputs(outputs)
            for given in inputs.values():
                _raise_cells(part.name, f"its input {given.name!r}", given)
            outputs.update(part.model.run(inputs))
            for quantity in part.model.contract.output_names:
                _raise_cells(part.name, f"its output {quantity!r}", outputs[quantity])
            for term, target in part.data:
                if not torch.isfinite(term.value(outputs[term.name], target)):
                    raise NonFiniteError(part.name, f"the loss of {term.name!r} is not finite")
            for prior in part.priors:
                if not torch.isfinite(prior.value()):
                    raise NonFiniteError(
                        part.name, f"the prior on parameter {prior.parameter.label!r} is not finite"
                    )
        gradient = self.flat.gradient(self.loss())
        for part in self.parts:
            for name, parameter in part.model.named_parameters():
                for own, piece in zip(
                    self.flat.parameters, pieces(gradient, self.flat.sizes), strict=True
                ):
                    bad = ~torch.isfinite(piece)
                    if own is parameter and bad.any():
                        raise NonFiniteError(
                            part.name,
                            f"the gradient of parameter {name.removesuffix('.raw')!r} is not "
                            f"finite at {int(bad.sum())} of {bad.numel()} values, first at "
                            f"position {int(bad.nonzero()[0])}",
                        )


def first_bad_cells(given: IndexTensor, count: int = 3) -> str:
    """Labels of the first cells that are not finite, for messages."""
    places = (~torch.isfinite(given.tensor.detach())).nonzero()[:count].tolist()
    cells = [
        "("
        + ", ".join(
            f"{dim}={_shown(given.index(dim)[position])}"
            for dim, position in zip(given.dims, place, strict=True)
        )
        + ")"
        for place in places
    ]
    return ", ".join(cells)


def _raise_cells(member: str, what: str, given: IndexTensor) -> None:
    bad = int((~torch.isfinite(given.tensor.detach())).sum())
    if bad:
        raise NonFiniteError(
            member,
            f"{what} is not finite in {bad} of {given.tensor.numel()} cells, first "
            f"{first_bad_cells(given)}",
        )


def _shown(label: object) -> str:
    if isinstance(label, pd.Timestamp):
        return f"{label:%Y-%m-%d %H:%M}"
    return repr(label)


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
            check_term(name, leaf, term)
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


def check_term(name: str, leaf: Model, term: LossTerm) -> None:
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


def build_unit(
    collection: ModelCollection,
    names: Sequence[str],
    history: Panel,
    values: Mapping[str, IndexTensor],
    hidden: Mapping[str, IndexTensor],
) -> Unit:
    """Collect inputs and targets for the own-data fit of some models.

    Args:
        collection: holds the models.
        names: the models of the unit, in order.
        history: observed quantities.
        values: complete inputs: observed where possible, predicted where latent.
        hidden: by quantity, 1 in cells whose value was missing and had to be filled; outputs there
            are not compared.

    Raises:
        ModelError: an input is missing.
    """
    leaves = collection.leaves
    parts: list[Part] = []
    produced: set[str] = set()
    for name in names:
        leaf = leaves[name]
        terms = list(leaf.loss_terms())
        through = frozenset(
            q for term in terms if isinstance(term, FitnessTerm) for q in term.through
        )
        live = tuple(
            item.name
            for item in leaf.contract.inputs
            if item.name in produced and (item.name in through or item.name not in values)
        )
        fixed = {
            item.name: input_from(leaf.contract, item, values).detach()
            for item in leaf.contract.inputs
            if item.name not in live
        }
        part = Part(name, leaf, fixed, live, through)
        part.priors = [term for term in terms if isinstance(term, ParameterTerm)]
        produced.update(leaf.contract.output_names)
        parts.append(part)
    unit = Unit(parts)
    _attach_targets(unit, history, hidden)
    return unit


def _attach_targets(unit: Unit, history: Panel, hidden: Mapping[str, IndexTensor]) -> None:
    outputs: dict[str, IndexTensor] | None = None
    for part in unit.parts:
        terms = [term for term in part.model.loss_terms() if isinstance(term, FitnessTerm)]
        if not terms:
            continue
        if outputs is None:
            outputs = unit.outputs()
        for term in terms:
            like = outputs[term.name]
            target = term.target(history, like)
            for quantity in part.model.contract.input_names:
                if quantity in hidden:
                    target = target.masked(_seen(hidden[quantity], like))
            part.data.append((term, target))


def _seen(hidden: IndexTensor, like: IndexTensor) -> torch.Tensor:
    """Which cells of a prediction have no filled input; layout of ``like``."""
    extra = tuple(dim for dim in hidden.dims if dim not in like.dims)
    if extra:
        hidden = hidden.max(*extra)
    wanted = {dim: like.index(dim) for dim in hidden.dims}
    laid = hidden.reindex(wanted, fill=0.0)
    shared = tuple(dim for dim in like.dims if dim in laid.dims)
    shape = [like.sizes[dim] if dim in shared else 1 for dim in like.dims]
    return (laid.values(*shared).reshape(shape) == 0).expand(tuple(like.tensor.shape))
