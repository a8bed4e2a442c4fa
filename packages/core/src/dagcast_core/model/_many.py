"""Effects of experiments under many sets of parameters, in one run of the models for all of them.

Sets of parameters are a batch dimension: torch's `vmap` runs the models once, with each of its
operations over all sets, and what a run costs before it computes anything is paid once. Models
that look at values while they run (an ``if`` on a tensor) cannot be batched; their sets then go one
after the other, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch

from dagcast_core.model._collection import ModelCollection
from dagcast_core.model._effect import ExperimentalEffect
from dagcast_core.model._flat import FlatParameters, pieces

# Most numbers in one tensor of a batch: the overhead is paid by then, and caches hold it still.
_MOST = 200_000


def effects_by(
    effects: Sequence[ExperimentalEffect], leaders: Sequence[int], leader: int
) -> dict[int, torch.Tensor]:
    """By place, the effects that one experiment's run of both arms serves; each 0-d.

    Args:
        effects: of all experiments.
        leaders: by effect, the place of the one whose run serves it.
        leader: the one that runs.
    """
    arms = effects[leader].run()
    return {
        place: effects[place].within(arms) for place, other in enumerate(leaders) if other == leader
    }


@final
class ManyEffects:
    """Effects of experiments as a function of many sets of parameters.

    Args:
        effects: all of one collection; outcomes of one trial share a run of its arms.
        leaders: by effect, the place of the one whose run of both arms serves it.
    """

    def __init__(self, effects: Sequence[ExperimentalEffect], leaders: Sequence[int]) -> None:
        self._runner = _Runner(effects, leaders)
        self._names = {id(p): name for name, p in self._runner.named_parameters()}
        self._together = max(1, _MOST // max(effect.cells_run for effect in effects))
        self._batched: bool | None = None

    def under(
        self, flats: Sequence[FlatParameters], values: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Effects under each set of parameters; (set, experiment).

        Args:
            flats: parameters that differ between sets; the others are as they are.
            values: of each of ``flats``; (value, set).
        """
        return self.at(
            [
                (parameter, part.reshape(-1, *parameter.shape))
                for flat, given in zip(flats, values, strict=True)
                for parameter, part in zip(
                    flat.parameters, pieces(given.mT, flat.sizes, dim=1), strict=True
                )
            ]
        )

    @torch.no_grad()
    def at(self, given: Sequence[tuple[torch.nn.Parameter, torch.Tensor]]) -> torch.Tensor:
        """The same by parameter; (set, experiment).

        Args:
            given: parameters, and their values with a leading axis of sets.
        """
        states = {self._names[id(parameter)]: values for parameter, values in given}
        count = len(given[0][1])
        found: list[torch.Tensor] = []
        for start in range(0, count, self._together):
            stop = min(start + self._together, count)
            part = {name: values[start:stop] for name, values in states.items()}
            found.append(self._some(part, stop - start))
        return torch.cat(found)

    def _some(self, states: dict[str, torch.Tensor], count: int) -> torch.Tensor:
        first = None
        if self._batched is None:
            first = self._one(states, 0)
        if count > 1 and self._batched is not False:
            try:
                together: torch.Tensor = torch.func.vmap(self._called)(states)
            except (RuntimeError, ValueError, TypeError, NotImplementedError):
                self._batched = False
            else:
                if first is None:
                    return together
                # Held against a run of one: a batch that computes something else is not used.
                self._batched = torch.allclose(
                    together[0], first, rtol=1e-9, atol=1e-12, equal_nan=True
                )
                if self._batched:
                    return together
        return torch.stack([self._one(states, at) for at in range(count)])

    def _one(self, states: dict[str, torch.Tensor], at: int) -> torch.Tensor:
        return self._called({name: given[at] for name, given in states.items()})

    def _called(self, state: dict[str, torch.Tensor]) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(self._runner, state, ())
        return found


@final
class _Runner(torch.nn.Module):
    """Gives `functional_call` a module whose call takes the models to effects."""

    def __init__(self, effects: Sequence[ExperimentalEffect], leaders: Sequence[int]) -> None:
        super().__init__()
        self.effects, self.leaders = tuple(effects), tuple(leaders)
        self.collection: ModelCollection = effects[0].collection

    def forward(self) -> torch.Tensor:
        modelled: dict[int, torch.Tensor] = {}
        for leader in dict.fromkeys(self.leaders):
            modelled.update(effects_by(self.effects, self.leaders, leader))
        return torch.stack([modelled[place] for place in range(len(self.effects))])
