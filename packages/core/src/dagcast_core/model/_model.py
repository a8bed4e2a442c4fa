"""The base of every model: a contract, labelled parameters and a forward pass."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, TypeAlias

import torch

from dagcast_core.contract import Contract, ContractError, Dim, Input, Quantity, nearest
from dagcast_core.model._errors import ModelError
from dagcast_core.model._lag import lagged
from dagcast_core.model._loss import LossTerm
from dagcast_core.model._optimizer import OptimizerSpec
from dagcast_core.model._parameter import LabelledParameter
from dagcast_core.model._transform import Transform, TransformName
from dagcast_core.tensor import IndexTensor, Panel, align

Outputs: TypeAlias = "IndexTensor | Mapping[str, IndexTensor]"


class Model(torch.nn.Module, ABC):
    """Predicts the outputs of its contract from the inputs of its contract, and nothing else.

    A subclass sets ``contract``, makes its parameters with `Model.parameter`, and writes
    `forward`, whose arguments are named as the inputs are. Everything else has a default.

    Attributes:
        contract: what the model reads and produces.
        memory: steps of the time dim that `forward` reads back from its inputs, e.g. 24 where a
            bonus is still felt a day later. Experiments are evaluated with that much context.
        join: how labels meet inside `forward`; ``exact`` loses none in silence.
        sums: outputs that are a sum of which a lever moves one part only. What was not foreseen of
            them is added, not multiplied: in hindsight twice the hours that were forecast are no
            sign that a bonus adds twice as many.
    """

    contract: Contract
    memory: ClassVar[int] = 0
    join: ClassVar[Literal["exact", "inner"]] = "exact"
    sums: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        model = super().__new__(cls)
        # What it is made with, so that `remade` can make it again with other hyperparameters; kept
        # by no other, since a collection's members need not be copied twice.
        if "hyperparameters" in cls.__signature__.parameters:  # type: ignore[attr-defined]
            model.__dict__["_made_with"] = (args, kwargs)
        return model

    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Help and notebooks show what `__init__` takes, not what `__new__` keeps.
        _, *parameters = inspect.signature(cls.__init__).parameters.values()
        cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        declared = cls.__dict__.get("contract")
        _check_attributes(cls, declared)
        if isinstance(declared, Contract) and "forward" in cls.__dict__:
            _check_signature(cls, declared)

    @abstractmethod
    def forward(self, *args: Any, **inputs: Any) -> Outputs:
        """Compute the outputs.

        Args:
            args: none; a subclass names its inputs as arguments.
            inputs: one tensor per declared input, by quantity name. An optional input that is not
                there arrives as its default, a tensor without dims.

        Returns:
            The output where there is one, else a mapping with every declared output by name.
        """

    def loss_terms(self) -> Sequence[LossTerm]:
        """What the fit minimises; none by default."""
        return ()

    def optimizer(self) -> OptimizerSpec:
        """How the fit minimises it: full-batch L-BFGS by default."""
        return OptimizerSpec()

    def warm_start(self, history: Panel) -> None:
        """Set data-based starting values, e.g. in closed form, before the first optimisation.

        Args:
            history: observed quantities, and predictions of the latent ones this model reads.
        """

    # Parameters

    def parameter(
        self,
        *dims: Dim | str,
        labels: Mapping[str, Iterable[Any]] | Iterable[Any] | None = None,
        start: Any = 0.0,
        transform: TransformName | Transform | None = None,
        pool: bool = True,
        side_by_side: float | None = None,
    ) -> LabelledParameter:
        """Make a learned parameter; assign it to an attribute to register it.

        Args:
            dims: named dims, in order; none for a single number.
            labels: labels by dim, or a sequence where there is one dim.
            start: starting value in the parameter's own unit.
            transform: ``softplus``, ``exp``, ``sigmoid``, a `Transform`, or None.
            pool: whether a label unseen in training gets the mean over the trained labels.
            side_by_side: the value in the effects of experiments that compare labels side by side:
                1 for the share of an effect that other labels do not lack, because such a trial
                counts as made what treated labels take from others. None: the same everywhere.

        Raises:
            ModelError: labels are missing or the start is outside the transform's range.

        Example:
            ``self.elasticity = self.parameter(REGION, labels=regions, start=0.3)``
        """
        if labels is None:
            by_dim: Mapping[str, Iterable[Any]] = {}
        elif isinstance(labels, Mapping):
            by_dim = {str(dim): given for dim, given in labels.items()}
        elif len(dims) == 1:
            by_dim = {str(dims[0]): labels}
        else:
            raise ModelError(
                f"a parameter with {len(dims)} dims needs its labels by dim, as in "
                f"labels={{{', '.join(f'{str(dim)!r}: ...' for dim in dims)}}}."
            )
        return LabelledParameter(dims, by_dim, start, transform, pool, side_by_side)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, LabelledParameter):
            if hasattr(type(self), name):
                raise ModelError(
                    f"a parameter of {type(self).__name__} cannot be called {name!r}: every model "
                    "has an attribute of that name, which would hide it. Choose another name."
                )
            value.label = name
        super().__setattr__(name, value)

    def labelled_parameters(self) -> Iterator[tuple[str, LabelledParameter]]:
        """The parameters by their dotted name, in order of declaration."""
        for name, module in self.named_modules():
            if isinstance(module, LabelledParameter):
                yield name, module

    # Prediction

    def predict(self, panel: Panel) -> Panel:
        """Run the model on the quantities of a panel that it declares, and on no others.

        Args:
            panel: at least the required inputs, by name.

        Returns:
            The declared outputs.

        Raises:
            ModelError: an input is missing or has other dims than declared, or the outputs are not
                those of the contract.
        """
        return Panel(self.run(self.inputs_from(panel)))

    def run(self, inputs: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        """Call `forward` under the model's join and check that it keeps its contract.

        Args:
            inputs: exactly the declared inputs, as `inputs_from` gives them.

        Raises:
            ModelError: the outputs are not those of the contract.
        """
        with align(self.join):
            outputs = self(**inputs)
        return _checked(self.contract, outputs)

    def inputs_from(self, panel: Mapping[str, IndexTensor]) -> dict[str, IndexTensor]:
        """The declared inputs, lagged where declared so, with defaults for absent optional ones.

        Raises:
            ModelError: a required input is missing or has other dims than declared.
        """
        return {item.name: input_from(self.contract, item, panel) for item in self.contract.inputs}


def input_from(contract: Contract, item: Input, panel: Mapping[str, IndexTensor]) -> IndexTensor:
    """One declared input out of a panel.

    Raises:
        ModelError: it is required and missing, or has other dims than declared.
    """
    if item.name not in panel:
        if not item.required:
            return IndexTensor(float(item.default or 0.0), {}, item.name)
        near = nearest(item.name, list(panel))
        hint = f" Near: {near!r}." if near else f" It has {', '.join(sorted(panel)) or 'nothing'}."
        raise ModelError(
            f"{contract.model} needs {item.name!r} [{', '.join(item.quantity.dim_names)}], which "
            f"the panel does not have.{hint}"
        )
    given = panel[item.name]
    if set(given.dims) != set(item.quantity.dim_names):
        raise ModelError(
            f"{contract.model} reads {item.name!r} with the dims "
            f"({', '.join(item.quantity.dim_names)}); the panel has it with "
            f"({', '.join(given.dims)})."
        )
    if given.dims != item.quantity.dim_names:
        # Dims are a set, and forward may rely on the order in which its contract declares them.
        given = given.transpose(*item.quantity.dim_names)
    return lagged(given, item) if item.lag else given


def _checked(contract: Contract, outputs: Outputs) -> dict[str, IndexTensor]:
    names = contract.output_names
    if isinstance(outputs, IndexTensor):
        if len(names) != 1:
            raise ModelError(
                f"forward of {contract.model} returned one tensor; its contract declares "
                f"{len(names)} outputs ({', '.join(names)}). Return a mapping by name."
            )
        outputs = {names[0]: outputs}
    given: object = outputs
    if not isinstance(given, Mapping):
        # Parts of a tuple have no names, and their order is nobody's promise.
        listed = ", ".join(f"{name!r}: {name}" for name in names)
        raise ModelError(
            f"forward of {contract.model} returned a {type(given).__name__}; its contract "
            f"declares {', '.join(names)}. Return {'the tensor, or ' * (len(names) == 1)}a mapping "
            f"by name, {{{listed}}}."
        )
    if set(outputs) != set(names):
        missing, extra = set(names) - set(outputs), set(outputs) - set(names)
        raise ModelError(
            f"forward of {contract.model} returned other outputs than its contract declares: "
            f"missing {', '.join(sorted(missing)) or 'none'}; undeclared "
            f"{', '.join(sorted(extra)) or 'none'}."
        )
    return {
        quantity.name: _output(contract, quantity, outputs[quantity.name])
        for quantity in contract.outputs
    }


def _output(contract: Contract, quantity: Quantity, output: IndexTensor) -> IndexTensor:
    if not isinstance(output, IndexTensor):
        raise ModelError(
            f"forward of {contract.model} returned a {type(output).__name__} for "
            f"{quantity.name!r}; expected an IndexTensor."
        )
    dims = quantity.dim_names
    if output.dims != dims:
        if set(output.dims) != set(dims):
            raise ModelError(
                f"forward of {contract.model} returned {quantity.name!r} with the dims "
                f"({', '.join(output.dims)}); its contract declares ({', '.join(dims)})."
            )
        output = output.transpose(*dims)
    return output if output.name == quantity.name else output.named(quantity.name)


def _check_attributes(cls: type[Model], contract: object) -> None:
    """Refuse what a class says of itself and nothing could act on."""
    if cls.join not in ("exact", "inner"):
        raise ContractError(f"join of {cls.__name__} is {cls.join!r}; expected 'exact' or 'inner'.")
    memory: object = cls.memory
    if not isinstance(memory, (int, property)) or (isinstance(memory, int) and memory < 0):
        raise ContractError(
            f"memory of {cls.__name__} is {memory!r}; expected 0 or more steps that forward reads "
            "back."
        )
    if isinstance(contract, Contract):
        strange = [name for name in cls.sums if name not in contract.output_names]
        if strange:
            raise ContractError(
                f"sums of {cls.__name__} names {strange[0]!r}; expected outputs of its contract "
                f"({', '.join(contract.output_names)})."
            )


def _check_signature(cls: type, contract: Contract) -> None:
    """Compare the arguments of ``forward`` with the contract where the class is defined."""
    arguments = list(inspect.signature(cls.forward).parameters.values())[1:]  # type: ignore[attr-defined]
    if any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in arguments):
        return
    names = {argument.name for argument in arguments}
    undeclared = names - set(contract.input_names)
    unread = set(contract.input_names) - names
    if undeclared or unread:
        side = (
            f"it reads {', '.join(sorted(undeclared))}, which the contract does not declare"
            if undeclared
            else f"the contract declares {', '.join(sorted(unread))}, which it does not read"
        )
        raise ContractError(
            f"forward of {cls.__name__} does not match the contract {contract.model!r}: {side}. "
            "A path that is used must be declared, and the reverse."
        )
