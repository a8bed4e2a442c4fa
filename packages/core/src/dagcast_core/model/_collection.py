"""Models that wire themselves by quantity name into a DAG, and are a model together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch

from dagcast_core.contract import AssemblyError, Contract, Graph, Problem, Screen
from dagcast_core.contract import union as contract_union
from dagcast_core.model._errors import ModelError
from dagcast_core.model._lag import lagged_after
from dagcast_core.model._memo import Memo
from dagcast_core.model._model import Model, input_from
from dagcast_core.model._residual import Residual, Residuals, filled, residual_of
from dagcast_core.model._wiring import Wiring, wire
from dagcast_core.tensor import IndexTensor, Panel


@final
class ModelCollection(Model):
    """A DAG of models, wired by quantity name; it is a model, and it nests.

    Nesting groups models for people; the DAG is always that of the innermost models, so nested
    and flat collections compute the same.

    Args:
        models: members, which may be collections themselves.
        name: name of the collection as a model.
        version: semantic version of its contract.

    Raises:
        AssemblyError: the members' contracts do not fit; it carries every problem.

    Attributes:
        wiring: who produces what for whom, among the innermost models.
    """

    wiring: Wiring

    def __init__(
        self, models: Iterable[Model], name: str = "collection", version: str = "1.0.0"
    ) -> None:
        super().__init__()
        given = tuple(models)
        for model in given:
            if not isinstance(model, Model):
                raise ModelError(f"a collection holds models; found a {type(model).__name__}.")
        _check_names(given)
        leaves = [leaf for model in given for leaf in leaves_of(model)]
        self.wiring = wire([leaf.contract for leaf in leaves])
        self._members = torch.nn.ModuleDict({model.contract.model: model for model in given})
        by_name = {leaf.contract.model: leaf for leaf in leaves}
        self._leaves = tuple((leaf, by_name[leaf]) for leaf in self.wiring.order)
        self._memos = {leaf: Memo() for leaf in self.wiring.order}
        contracts = [self.wiring.contracts[leaf] for leaf in self.wiring.order]
        self.contract: Contract = contract_union(name, contracts, version=version)

    # Its parts

    @property
    def members(self) -> Mapping[str, Model]:
        """The models it was made of, by name."""
        return {name: model for name, model in self._members.items() if isinstance(model, Model)}

    @property
    def leaves(self) -> Mapping[str, Model]:
        """The innermost models by name, in an order in which they can run."""
        return dict(self._leaves)

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the innermost models, producers first."""
        return self.wiring.order

    @property
    def graph(self) -> Graph:
        """Who makes what for whom, to be drawn as text, Mermaid or SVG."""
        return Graph.of(self.wiring.contracts.values(), self.order)

    def __repr__(self) -> str:
        return str(self._screen())

    def _repr_html_(self) -> str:
        return self._screen().html(self.graph.svg())

    def _screen(self) -> Screen:
        graph = self.graph
        title = f"ModelCollection {self.contract.model} of {len(self.order)} models"
        return Screen(title, (("from outside", ", ".join(graph.outside)), *graph.rows()))

    def leaves_within(self, name: str) -> tuple[str, ...]:
        """Names of the innermost models of a member, at any depth.

        Raises:
            ModelError: there is no such member.
        """
        found = _find(self, name)
        if found is None:
            raise ModelError(
                f"{self.contract.model} has no member {name!r}; it has "
                f"{', '.join(dict.fromkeys([*self.members, *self.order]))}."
            )
        inside = {leaf.contract.model for leaf in leaves_of(found)}
        return tuple(leaf for leaf in self.order if leaf in inside)

    def outputs_of(self, *names: str) -> tuple[str, ...]:
        """Quantities that the named members produce."""
        leaves = [leaf for name in names for leaf in self.leaves_within(name)]
        return tuple(q for leaf in leaves for q in self.wiring.contracts[leaf].output_names)

    def replace(self, name: str, model: Model) -> ModelCollection:
        """The collection with one member, at any depth, swapped for another model.

        The other members are shared, not copied.

        Raises:
            ModelError: there is no such member.
            AssemblyError: the new model does not fit.
        """
        self.leaves_within(name)
        swapped = []
        for key, member in self.members.items():
            if key == name:
                swapped.append(model)
            elif isinstance(member, ModelCollection) and _find(member, name) is not None:
                swapped.append(member.replace(name, model))
            else:
                swapped.append(member)
        return ModelCollection(swapped, self.contract.model, self.contract.version)

    def freeze(self, *names: str) -> None:
        """Hold the parameters of the named members; all of them if none is named."""
        self._set_trainable(names, False)

    def unfreeze(self, *names: str) -> None:
        """Let the parameters of the named members be fitted again; all if none is named."""
        self._set_trainable(names, True)

    def _set_trainable(self, names: Sequence[str], trainable: bool) -> None:
        leaves = self.leaves
        for name in names or self.members:
            for leaf in self.leaves_within(name):
                leaves[leaf].requires_grad_(trainable)

    # Prediction

    def forward(self, **inputs: IndexTensor) -> Mapping[str, IndexTensor]:
        """Compute every quantity that the members produce.

        Args:
            inputs: quantities that no member produces, by name.
        """
        return self.propagate(inputs)

    def run(self, inputs: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        """Compute every output from exactly the declared inputs."""
        return self.propagate(inputs)

    def predict(
        self,
        panel: Panel,
        *,
        actuals: Mapping[str, Panel] | None = None,
        residuals: Mapping[str, Residual] | None = None,
        isolated: Iterable[str] = (),
    ) -> Panel:
        """Predict every output from the quantities of a panel.

        Args:
            panel: the collection's inputs; observed outputs are read only for ``isolated`` members
                and as the first values of lagged loops.
            actuals: by member, what happened: its outputs there replace its predictions, cell by
                cell where they are observed.
            residuals: by quantity, what its model did not foresee; added to its predictions.
            isolated: members that are fed the panel's true values instead of what other members
                predict, as far as the panel has them.

        Raises:
            ModelError: an input is missing, or no member has a given name.
        """
        replaced: dict[str, IndexTensor] = {}
        for member, happened in (actuals or {}).items():
            own = self.outputs_of(member)
            replaced.update({q: happened[q] for q in own if q in happened})
        alone = {leaf for name in isolated for leaf in self.leaves_within(name)}
        return Panel(
            self.propagate(
                panel, replaced=replaced, residuals=residuals, isolated=alone, observed=panel
            )
        )

    def residuals(self, panel: Panel) -> Residuals:
        """What each model did not foresee, given what truly happened upstream of it.

        Args:
            panel: inputs and observed outputs over the same labels.

        Returns:
            By observed quantity. Predicting with all of them reproduces the panel.
        """
        found: dict[str, Residual] = {}
        values = dict(panel)
        with torch.no_grad():
            for _name, leaf in self._leaves:
                for quantity, output in leaf.run(leaf.inputs_from(values)).items():
                    values[quantity] = output
                    if quantity in panel:
                        declared = leaf.contract.output(quantity)
                        added = quantity in leaf.sums
                        found[quantity] = residual_of(
                            declared, output, panel[quantity], added=added
                        )
                        values[quantity] = filled(panel[quantity], output)
        return Residuals(found)

    def propagate(
        self,
        known: Mapping[str, IndexTensor],
        *,
        only: Iterable[str] | None = None,
        replaced: Mapping[str, IndexTensor] | None = None,
        residuals: Mapping[str, Residual] | None = None,
        isolated: Iterable[str] = (),
        observed: Mapping[str, IndexTensor] | None = None,
    ) -> dict[str, IndexTensor]:
        """Run the DAG on quantities by name; the ground of every kind of prediction.

        Args:
            known: inputs, and whatever else the models that run read from outside.
            only: names of the innermost models that run; all by default.
            replaced: values that take the place of predictions, by quantity.
            residuals: added to predictions, by quantity.
            isolated: names of innermost models that read ``observed`` before predictions.
            observed: true values by quantity.

        Returns:
            The outputs of the models that ran.
        """
        known = dict(known)
        replaced, residuals, observed = replaced or {}, residuals or {}, observed or {}
        running = set(self.order if only is None else only)
        alone = set(isolated)
        group = {q for name in alone for q in self.wiring.contracts[name].output_names}
        feedback = [(name, item) for name, item in self.wiring.feedback if name in running]
        outside = set(known) if only is not None else set(known) - set(self.wiring.producer)
        base = {name: known[name] for name in known if name in outside}
        earlier: dict[str, IndexTensor] = {}
        for _ in range(self._sweeps(feedback, base)):
            values = dict(base)
            for name, leaf in self._leaves:
                if name not in running:
                    continue
                inputs: dict[str, IndexTensor] = {}
                for item in leaf.contract.inputs:
                    source: Mapping[str, IndexTensor] = values
                    if name in alone and item.name in observed and item.name not in group:
                        source = observed
                    if any(name == looped and item is read for looped, read in feedback):
                        inputs[item.name] = lagged_after(
                            leaf.contract,
                            item,
                            earlier.get(item.name),
                            known.get(item.name),
                        )
                    else:
                        inputs[item.name] = input_from(leaf.contract, item, source)
                values.update(self._outputs(name, leaf, inputs, replaced, residuals))
            if _same(feedback, earlier, values):
                break
            earlier = {item.name: values[item.name] for _, item in feedback}
        return {
            quantity: values[quantity]
            for name in self.order
            if name in running
            for quantity in self.wiring.contracts[name].output_names
        }

    def _outputs(
        self,
        name: str,
        leaf: Model,
        inputs: dict[str, IndexTensor],
        replaced: Mapping[str, IndexTensor],
        residuals: Mapping[str, Residual],
    ) -> dict[str, IndexTensor]:
        memo = self._memos[name]
        outputs = memo.get(leaf, inputs)
        if outputs is None:
            outputs = leaf.run(inputs)
            memo.put(leaf, inputs, outputs)
        if not replaced and not residuals:
            return outputs
        changed = dict(outputs)
        for quantity, output in outputs.items():
            if quantity in replaced:
                changed[quantity] = filled(replaced[quantity], output)
            elif quantity in residuals:
                changed[quantity] = residuals[quantity].applied_to(output)
        return changed

    def _sweeps(self, feedback: Sequence[tuple[str, Any]], base: Mapping[str, IndexTensor]) -> int:
        """Sweeps after which a lagged loop is exact: each settles at least ``lag`` more steps."""
        if not feedback:
            return 1
        steps = max((max(given.sizes.values(), default=1) for given in base.values()), default=1)
        lag: int = min(item.lag for _, item in feedback)
        return 2 + -(-steps // lag)


def leaves_of(model: Model) -> tuple[Model, ...]:
    """The innermost models: a collection's own, or the model itself."""
    if isinstance(model, ModelCollection):
        return tuple(leaf for member in model.members.values() for leaf in leaves_of(member))
    return (model,)


def as_collection(model: Model) -> ModelCollection:
    """The model itself if it is a collection, else a collection of it alone."""
    if isinstance(model, ModelCollection):
        return model
    return ModelCollection([model], name=model.contract.model)


def _find(collection: ModelCollection, name: str) -> Model | None:
    for key, member in collection.members.items():
        if key == name:
            return member
        if isinstance(member, ModelCollection):
            found = _find(member, name)
            if found is not None:
                return found
    return None


def _same(
    feedback: Sequence[tuple[str, Any]],
    earlier: Mapping[str, IndexTensor],
    values: Mapping[str, IndexTensor],
) -> bool:
    return all(
        item.name in earlier and torch.equal(earlier[item.name].tensor, values[item.name].tensor)
        for _, item in feedback
    )


def _check_names(models: Sequence[Model]) -> None:
    names = [model.contract.model for model in models]
    for name in names:
        if names.count(name) > 1:
            raise AssemblyError(
                [
                    Problem.of(
                        "DC116",
                        name,
                        expected="one model of this name",
                        found=f"{names.count(name)}",
                        fix="give one of them another name in its contract",
                    )
                ],
                len(models),
            )
