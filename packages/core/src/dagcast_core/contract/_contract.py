"""What one model promises and asks."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dagcast_core.contract._checks import (
    check_choice,
    check_identifier,
    check_keys,
    check_text,
    check_version,
)
from dagcast_core.contract._errors import ContractError
from dagcast_core.contract._quantity import Quantity

if TYPE_CHECKING:
    from dagcast_core.contract._screen import Screen

Sign = Literal["+", "-", "?"]
"""Which way an effect goes; ``?`` claims that there is one, and no direction."""


@dataclass(frozen=True, slots=True)
class Input:
    """A quantity that a model reads.

    Args:
        quantity: what it reads, as the consumer needs it to be.
        required: whether the model refuses to run without it.
        default: value that stands in for an optional input that nothing produces; in the unit of
            the quantity.
        lag: steps of the time dim by which the value is older than the output it explains; 0 for
            the same step.

    Raises:
        ContractError: an optional input has no default or one outside the quantity's bounds, a
            required one has one, or a lag has no time dim to count along.
    """

    quantity: Quantity
    required: bool = True
    default: float | None = None
    lag: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.quantity, Quantity):
            raise ContractError(f"an Input wraps a Quantity; found {self.quantity!r}")
        what = f"Input {self.name!r}"
        if self.required and self.default is not None:
            raise ContractError(
                f"{what} is required and has a default ({self.default!r}); "
                "write required=False, or drop the default"
            )
        if not self.required and (
            not isinstance(self.default, (int, float)) or not math.isfinite(self.default)
        ):
            raise ContractError(
                f"{what} is optional and its default is {self.default!r}; "
                "give the finite number that stands in for it"
            )
        if self.default is not None:
            low, high = self.quantity.bounds
            if (low is not None and self.default < low) or (
                high is not None and self.default > high
            ):
                raise ContractError(
                    f"the default of {what} is {self.default:g}, outside the bounds "
                    f"{self.quantity.bounds} that its quantity declares; give a value within "
                    "them, or widen the bounds"
                )
        if not isinstance(self.lag, int) or self.lag < 0:
            raise ContractError(f"lag of {what} is {self.lag!r}; expected 0 or more steps")
        if self.lag and self.quantity.time_dim is None:
            raise ContractError(f"{what} has a lag but no time dim to count it along")

    @property
    def name(self) -> str:
        """Name of the quantity."""
        return self.quantity.name

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "quantity": self.quantity.to_json(),
            "required": self.required,
            "default": self.default,
            "lag": self.lag,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Input":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "an Input")
        return cls(**{**data, "quantity": Quantity.from_json(data["quantity"])})


@dataclass(frozen=True, slots=True)
class Effect:
    """A signed causal claim: what ``outcome`` does when ``lever`` is moved.

    Args:
        lever: the quantity moved, or its name; stored as the name.
        outcome: the quantity that answers, or its name; stored as the name.
        sign: ``+`` raises, ``-`` lowers, ``?`` depends on the point. A claim holds weakly: the
            effect may vanish in a cell, but not everywhere.
        evidence: the experiment or study it rests on.
        differentiable: whether a gradient flows along it, so that plans may be made through it.

    Raises:
        ContractError: a name or the sign is not valid.
    """

    lever: str
    outcome: str
    sign: Sign = "+"
    evidence: str = ""
    differentiable: bool = True

    def __init__(
        self,
        lever: Quantity | str,
        outcome: Quantity | str,
        sign: Sign = "+",
        evidence: str = "",
        differentiable: bool = True,
    ) -> None:
        """Store quantities by name, so that a claim compares equal however it was written."""
        for name, value in (
            ("lever", check_identifier(_name(lever), "the lever of an Effect")),
            ("outcome", check_identifier(_name(outcome), "the outcome of an Effect")),
            ("sign", check_choice(sign, ("+", "-", "?"), f"sign of the Effect of {_name(lever)}")),
            ("evidence", check_text(evidence, f"evidence of the Effect of {_name(lever)}")),
            ("differentiable", bool(differentiable)),
        ):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return f"{self.lever} -> {self.outcome} ({self.sign})"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "lever": self.lever,
            "outcome": self.outcome,
            "sign": self.sign,
            "evidence": self.evidence,
            "differentiable": self.differentiable,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Effect":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, "an Effect")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Contract:
    """What one model promises to others and asks of them.

    Args:
        model: name of the model, unique in an assembly; letters, digits, ``_`` and ``-``.
        version: semantic version of this interface, apart from the distribution's own version.
        inputs: quantities read; a bare ``Quantity`` means ``Input(quantity)``.
        outputs: quantities produced.
        effects: causal claims from an input (or an own output) to an output.
        look_ahead: steps of the time dim that the model reads beyond the step it predicts, e.g. 24
            if today's driver hours depend on tomorrow's planned incentives.
        plugin_api: version of the hooks that the package was written for.
        description: one line.

    Raises:
        ContractError: names repeat, an effect concerns no declared quantity, or a field is bad.
    """

    model: str
    version: str = "1.0.0"
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Quantity, ...] = ()
    effects: tuple[Effect, ...] = ()
    look_ahead: int = 0
    plugin_api: str = "1"
    description: str = ""

    def __init__(
        self,
        model: str,
        version: str = "1.0.0",
        inputs: "tuple[Input | Quantity, ...]" = (),
        outputs: tuple[Quantity, ...] = (),
        effects: tuple[Effect, ...] = (),
        look_ahead: int = 0,
        plugin_api: str = "1",
        description: str = "",
    ) -> None:
        """Wrap bare quantities in ``inputs`` and check the whole."""
        check_identifier(model.replace("-", "_") if isinstance(model, str) else model, "the model")
        what = f"Contract {model!r}"
        wrapped = tuple(item if isinstance(item, Input) else Input(item) for item in inputs)
        for name, value in (
            ("model", model),
            ("version", check_version(version, f"version of {what}")),
            ("inputs", wrapped),
            ("outputs", tuple(outputs)),
            ("effects", tuple(effects)),
            ("look_ahead", look_ahead),
            ("plugin_api", plugin_api),
            ("description", check_text(description, f"description of {what}")),
        ):
            object.__setattr__(self, name, value)
        self._check(what)

    def _check(self, what: str) -> None:
        if not self.outputs:
            raise ContractError(f"{what} has no outputs; a model produces at least one quantity")
        for output in self.outputs:
            if not isinstance(output, Quantity):
                raise ContractError(f"outputs of {what} contain {output!r}; expected a Quantity")
        for side, names in (("inputs", self.input_names), ("outputs", self.output_names)):
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ContractError(f"{side} of {what} repeat {repeated[0]!r}")
        if not isinstance(self.look_ahead, int) or self.look_ahead < 0:
            raise ContractError(
                f"look_ahead of {what} is {self.look_ahead!r}; expected 0 or more steps"
            )
        if not isinstance(self.plugin_api, str) or not self.plugin_api.replace(".", "").isdecimal():
            raise ContractError(
                f"plugin_api of {what} is {self.plugin_api!r}; expected text such as '1'"
            )
        known = (*self.input_names, *self.output_names)
        for effect in self.effects:
            if effect.outcome not in self.output_names:
                raise ContractError(
                    f"{what} claims the effect {effect}, but {effect.outcome!r} is none of its "
                    f"outputs ({', '.join(self.output_names)})"
                )
            if effect.lever not in known:
                raise ContractError(
                    f"{what} claims the effect {effect}, but {effect.lever!r} is none of its "
                    f"inputs ({', '.join(self.input_names) or 'it has none'}); declare the input"
                )
        pairs = [(effect.lever, effect.outcome) for effect in self.effects]
        for lever, outcome in pairs:
            if pairs.count((lever, outcome)) > 1:
                raise ContractError(f"{what} claims the effect {lever} -> {outcome} twice")

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return tuple(item.name for item in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.name for output in self.outputs)

    def input(self, name: str) -> Input:
        """Return the input called ``name``.

        Raises:
            KeyError: the contract has no such input.
        """
        for item in self.inputs:
            if item.name == name:
                return item
        raise KeyError(f"{self.model} has no input {name!r}; it has {', '.join(self.input_names)}")

    def output(self, name: str) -> Quantity:
        """Return the output called ``name``.

        Raises:
            KeyError: the contract has no such output.
        """
        for quantity in self.outputs:
            if quantity.name == name:
                return quantity
        names = ", ".join(self.output_names)
        raise KeyError(f"{self.model} has no output {name!r}; it has {names}")

    def __repr__(self) -> str:
        return str(self._screen())

    def _repr_html_(self) -> str:
        return self._screen().html()

    def _screen(self) -> "Screen":
        from dagcast_core.contract._screen import Screen

        rows = [("reads", _declared(item.quantity) + _how(item)) for item in self.inputs]
        rows += [("makes", _declared(output)) for output in self.outputs]
        rows += [("claims", str(effect)) for effect in self.effects]
        about = f": {self.description}" if self.description else ""
        return Screen(f"Contract {self.model} {self.version}{about}", tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return {
            "model": self.model,
            "version": self.version,
            "inputs": [item.to_json() for item in self.inputs],
            "outputs": [output.to_json() for output in self.outputs],
            "effects": [effect.to_json() for effect in self.effects],
            "look_ahead": self.look_ahead,
            "plugin_api": self.plugin_api,
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Contract":
        """Read what ``to_json`` wrote.

        Raises:
            ContractError: an unknown key or a bad value.
        """
        check_keys(data, cls.__slots__, f"Contract {data.get('model')!r}")
        return cls(
            **{
                **data,
                "inputs": tuple(Input.from_json(item) for item in data.get("inputs", ())),
                "outputs": tuple(Quantity.from_json(item) for item in data.get("outputs", ())),
                "effects": tuple(Effect.from_json(item) for item in data.get("effects", ())),
            }
        )


def _name(quantity: Quantity | str) -> str:
    return quantity.name if isinstance(quantity, Quantity) else quantity


def _declared(quantity: Quantity) -> str:
    return f"{quantity.name} ({', '.join(quantity.dim_names)}) {quantity.unit}"


def _how(item: Input) -> str:
    lag = f", {item.lag} earlier" if item.lag else ""
    return lag if item.required else f"{lag}, {item.default:g} where nobody makes it"
