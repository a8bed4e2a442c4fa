"""One evaluation of a model under every draw of its parameters.

Draws are a batch dimension of the parameters: torch's `vmap` runs the model once, with each of its
operations over all draws. A model that looks at values while it runs (an ``if`` on a tensor) cannot
be batched; its draws are then run one after another, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, final

import torch
from torch import Tensor

from dagcast_core.decide.declare import Known
from dagcast_core.model import Model, ModelCollection, ParameterDraws, Residual
from dagcast_core.solver import DecisionError

__all__ = ["Run", "Scenarios", "run_model", "run_with"]

Run: TypeAlias = Callable[[Known, Mapping[str, Residual]], Known]


def run_model(model: Model, known: Known, residuals: Mapping[str, Residual]) -> Known:
    """Every output of the model from levers and context."""
    if isinstance(model, ModelCollection):
        return model.propagate(known, residuals=residuals)
    outputs = model.run(model.inputs_from(known))
    return {
        name: residuals[name].applied_to(value) if name in residuals else value
        for name, value in outputs.items()
    }


def run_with(
    model: Model, parameters: Mapping[str, Tensor], known: Known, residuals: Mapping[str, Residual]
) -> Known:
    """The same with other values of some parameters, differentiable in them."""
    found: Known = torch.func.functional_call(
        _Runner(model),
        {f"model.{name}": given for name, given in parameters.items()},
        (known, residuals),
    )
    return found


@final
class Scenarios:
    """A model with each draw of its parameters in turn.

    Args:
        model: what the draws are of; it is left as it is.
        draws: of its parameters.
    """

    def __init__(self, model: Model, draws: ParameterDraws) -> None:
        self.runner = _Runner(model)
        self.states = {f"model.{name}": values.detach() for name, values in draws.states.items()}
        self.count = len(draws)
        self.batched: bool | None = None

    def over(
        self,
        values: Callable[[Run], tuple[Tensor, ...]],
        parameters: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, ...]:
        """What ``values`` returns under each draw, stacked along a leading axis of draws.

        Args:
            values: computes tensors from a model that it is given as a function.
            parameters: by name in the model, (draws, ...), instead of those of the draws.
        """
        if self.batched is None:
            self.batched = self._can_batch(values)
        states = dict(self.states)
        states.update({f"model.{name}": given for name, given in (parameters or {}).items()})
        if self.batched:
            found: tuple[Tensor, ...] = torch.func.vmap(lambda state: self._one(values, state))(
                states
            )
            return found
        each = [
            self._one(values, {name: given[draw] for name, given in states.items()})
            for draw in range(self.count)
        ]
        return tuple(torch.stack(parts) for parts in zip(*each, strict=True))

    def with_own(self, value: Callable[[Run, Tensor], Tensor], own: Tensor) -> Tensor:
        """One number under each draw, from the draw's own row of a tensor, (draws,).

        Args:
            value: from a model as a function, and a row.
            own: (draws, ...).
        """
        if self.batched is None:
            self.batched = self._can_batch(lambda run: (value(run, own[-1].detach()),))
        if self.batched:
            found: Tensor = torch.func.vmap(
                lambda state, row: self._one(lambda run: (value(run, row),), state)[0]
            )(self.states, own)
            return found
        return torch.stack(
            [
                self._one(lambda run, row=own[k]: (value(run, row),), self.state(k))[0]  # type: ignore[misc]
                for k in range(self.count)
            ]
        )

    def state(self, draw: int) -> dict[str, Tensor]:
        """Parameters of one draw."""
        return {name: given[draw] for name, given in self.states.items()}

    def _one(
        self, values: Callable[[Run], tuple[Tensor, ...]], state: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        def run(known: Known, residuals: Mapping[str, Residual]) -> Known:
            found: Known = torch.func.functional_call(self.runner, dict(state), (known, residuals))
            return found

        return values(run)

    def _can_batch(self, values: Callable[[Run], tuple[Tensor, ...]]) -> bool:
        """Whether a batched run works and gives what single runs give."""
        with torch.no_grad():
            last = self._one(values, self.state(self.count - 1))
            try:
                together = torch.func.vmap(lambda state: self._one(values, state))(self.states)
            except DecisionError:
                raise
            except (RuntimeError, ValueError, TypeError, NotImplementedError):
                return False
            return all(
                torch.allclose(many[-1], one, rtol=1e-9, atol=1e-12, equal_nan=True)
                for many, one in zip(together, last, strict=True)
            )


@final
class _Runner(torch.nn.Module):
    """Gives `functional_call` a module whose call takes residuals too."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, known: Known, residuals: Mapping[str, Residual]) -> Known:
        return run_model(self.model, known, residuals)
