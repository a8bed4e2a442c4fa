"""What is fitted together on own data: one model, or models joined by a latent quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import torch

from dagcast_core.model._cells import raise_bad_cells
from dagcast_core.model._errors import NonFiniteError
from dagcast_core.model._flat import FlatParameters, pieces
from dagcast_core.model._loss import FitnessTerm
from dagcast_core.model._model import Model
from dagcast_core.model._regularisation import ParameterTerm
from dagcast_core.model._target import Target
from dagcast_core.tensor import IndexTensor


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
                raise_bad_cells(part.name, f"its input {given.name!r}", given)
            outputs.update(part.model.run(inputs))
            for quantity in part.model.contract.output_names:
                raise_bad_cells(part.name, f"its output {quantity!r}", outputs[quantity])
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
