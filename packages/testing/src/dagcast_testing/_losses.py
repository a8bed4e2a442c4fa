"""Checks of what a fit minimises: terms that can be computed, on what is the model's own."""

import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dagcast_core.contract import Quantity, nearest
from dagcast_core.model import (
    ExperimentAgreement,
    FitnessTerm,
    LabelledParameter,
    LossTerm,
    Model,
    ModelCollection,
    OptimizerSpec,
    Ridge,
)
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._history import whole_history
from dagcast_testing._installed import installed_contracts
from dagcast_testing._outputs import predicted, same, shown, sum_of
from dagcast_testing._problems import said
from dagcast_testing._setting import Setting
from dagcast_testing._source import other_random_states

_TERMS = "SquaredError, Poisson, ... of outputs, Ridge, ... of parameters, ExperimentAgreement"


def check_loss_terms(setting: Setting, seed: int) -> None:
    """The terms of the fit can be computed, are the same every time, and concern this model.

    Members of a collection are tried by themselves: the fit takes their terms.
    """
    if isinstance(setting.model, ModelCollection):
        return
    fresh: Model = setting.kept.get("fresh") or setting.model
    model = copy.deepcopy(fresh)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    with other_random_states(1):
        terms = _terms(model)
        first = [_fields(term) for term in terms]
    with other_random_states(2):
        second = [_fields(term) for term in _terms(model)]
    for name, values in model.state_dict().items():
        assert same(values, before[name]), (
            f"{_who(model)}: expected loss_terms to leave {name!r} as it was; found it changed. "
            "fix: set starting values in the constructor or in warm_start"
        )
    for place, term in enumerate(terms):
        again = second[place] if place < len(second) else {}
        assert _alike(first[place], again), (
            f"{_who(model)}: expected the same loss terms every time; found "
            f"{_named(term)} with other values the second time. fix: draw nothing at random in "
            "loss_terms, and read no clock"
        )
        _check_weight(model, term)
    outputs = predicted(model, setting.panel(seed))
    for term in terms:
        if isinstance(term, FitnessTerm):
            _check_fitness(setting, model, term, outputs)
        elif not isinstance(term, ExperimentAgreement):
            _check_prior(model, term)
    try:
        chosen: object = model.optimizer()
    except Exception as error:
        raise AssertionError(
            f"{_who(model)}: expected optimizer to say how the loss is minimised; found "
            f"{said(error)}. fix: correct the line: a fit calls it"
        ) from error
    assert isinstance(chosen, OptimizerSpec), (
        f"{_who(model)}: expected optimizer to return an OptimizerSpec; found "
        f"{type(chosen).__name__}. fix: return one, or leave the method out"
    )


def check_used(setting: Setting, seed: int) -> None:
    """Every parameter moves an output, or is part of a likelihood."""
    if isinstance(setting.model, ModelCollection):
        return
    fresh: Model = setting.kept.get("fresh") or setting.model
    model = copy.deepcopy(fresh)
    known = [p for p in model.labelled_parameters() if p[1].raw.requires_grad]
    total = sum_of(predicted(model, setting.panel(seed)))
    if not known:
        return
    gradients: Iterable[torch.Tensor | None] = [None] * len(known)
    if total.requires_grad:
        gradients = torch.autograd.grad(total, [p.raw for _, p in known], allow_unused=True)
    idle = [item for item, gradient in zip(known, gradients, strict=True) if gradient is None]
    if not idle:
        return
    likely = {
        id(value)
        for term in _terms(model)
        if isinstance(term, FitnessTerm)
        for value in vars(term).values()
    }
    dead: list[object] = [repr(name) for name, item in idle if id(item) not in likely]
    assert not dead, (
        f"{_who(model)}: expected every parameter to move an output; found that {shown(dead)} is "
        "made and not used. fix: use it in forward, or leave it out"
    )


def _terms(model: Model) -> tuple[Any, ...]:
    try:
        given: Any = model.loss_terms()
    except Exception as error:
        raise AssertionError(
            f"{_who(model)}: expected loss_terms to return the terms of the fit; found "
            f"{said(error)}. fix: correct the line: a fit calls it"
        ) from error
    code = type(model).loss_terms.__code__
    place = f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    listed = isinstance(given, Iterable) and not isinstance(given, torch.Tensor)
    terms: tuple[Any, ...] = tuple(given) if listed else (given,)
    for term in terms:
        # Others are dropped in silence.
        known = isinstance(term, (FitnessTerm, ExperimentAgreement)) or hasattr(term, "parameter")
        assert listed and isinstance(term, LossTerm) and known, (  # noqa: PT018
            f"{_who(model)}: expected loss_terms at {place} to return a tuple of terms that a "
            f"fit knows; found {type(term).__name__}. fix: return (...,) of {_TERMS}"
        )
    return terms


def _check_weight(model: Model, term: LossTerm) -> None:
    weight: object = getattr(term, "weight", None)
    usable = isinstance(weight, (int, float)) and math.isfinite(weight) and weight >= 0
    assert usable, (
        f"{_who(model)}: expected a weight of 0 or more of {_named(term)}; found {weight!r}. fix: "
        "a negative weight rewards what the term is against"
    )


def _check_fitness(setting: Setting, model: Model, term: FitnessTerm, outputs: Panel) -> None:
    contract = model.contract
    assert term.name in outputs, (
        f"{_who(model)}: expected {_named(term)} to compare an output of the model "
        f"({', '.join(contract.output_names)}); found {term.name!r}"
        f"{_near(term.name, contract.output_names)}. fix: name one of its outputs"
    )
    strange: list[object] = [name for name in term.through if name not in contract.input_names]
    assert not strange, (
        f"{_who(model)}: expected {_named(term)} to reach through inputs of the model "
        f"({', '.join(contract.input_names)}); found {shown(strange)}. fix: name its inputs"
    )
    if isinstance(term.weights, str):
        _check_known(model, term, term.weights, outputs)
    made = outputs[term.name]
    # What happened is what was predicted.
    history = Panel({**_beside(setting, term), **outputs.detach()})
    try:
        target = term.target(history, made)
        best = term.value(made, target).detach()
        worse = term.value(made.with_tensor(1.3 * made.tensor + 0.1), target).detach()
    except Exception as error:
        raise AssertionError(
            f"{_who(model)}: expected {_named(term)} to be computed from a history; found "
            f"{said(error)}. fix: correct the term"
        ) from error
    for value in (best, worse):
        assert value.numel() == torch.isfinite(value).sum() == 1, (
            f"{_who(model)}: expected {_named(term)} to be one finite number; found "
            f"{value.tolist()}. fix: keep logarithms and roots away from 0"
        )
    assert float(worse) >= float(best) - 1e-9 * (1.0 + abs(float(best))), (
        f"{_who(model)}: expected {_named(term)} to be least where the prediction is what "
        f"happened; found {float(best):.6g} there and {float(worse):.6g} off it. fix: a term is "
        "minimised: turn its sign"
    )


def _beside(setting: Setting, term: FitnessTerm) -> Mapping[str, IndexTensor]:
    """What else a history has to hold for the term: what its cells are weighted by."""
    if term.weights is None:
        return {}
    if not isinstance(term.weights, str):
        return whole_history(setting, 0, weeks=0)
    shape = setting.model.contract.output(term.name)
    weight = Quantity(term.weights, shape.dims, "1", bounds=(0, None), typical=(1, 20))
    return {term.weights: setting.draw(weight, np.random.default_rng(0))}


def _check_known(model: Model, term: FitnessTerm, name: str, outputs: Panel) -> None:
    known = {*model.contract.input_names, *outputs}
    for contract in installed_contracts():
        known.update(contract.output_names, contract.input_names)
    near = nearest(name, known)
    # Tables may hold what no model reads or makes: only what looks misspelt is refused.
    assert name in known or near is None, (
        f"{_who(model)}: expected {_named(term)} to be weighted by a quantity that is known; found "
        f"{name!r}, nearest is {near!r}. fix: write that one"
    )


def _check_prior(model: Model, term: Any) -> None:
    own = {id(parameter): name for name, parameter in model.labelled_parameters()}
    parameter = term.parameter
    assert id(parameter) in own, (
        f"{_who(model)}: expected {_named(term)} to be on a parameter of the model "
        f"({', '.join(own.values()) or 'it has none'}); found one that is none of its own, so a "
        "fit would not move it. fix: write self.<parameter>, which the constructor has made"
    )
    try:
        apart, value = term.standardised().detach(), term.value().detach()
    except Exception as error:
        raise AssertionError(
            f"{_who(model)}: expected {_named(term)} to be computed; found {said(error)}. fix: "
            f"give it values over the parameter's dims ({', '.join(parameter.dims) or 'none'})"
        ) from error
    assert not isinstance(term, Ridge) or apart.shape == parameter.raw.shape, (
        f"{_who(model)}: expected {_named(term)} to hold each of the {parameter.raw.numel()} "
        f"values once; found a `toward` that makes {apart.numel()} of them. fix: give one number, "
        f"or an array over the dims ({', '.join(parameter.dims) or 'none'})"
    )
    assert bool(torch.isfinite(value)), (
        f"{_who(model)}: expected {_named(term)} to be finite; found {float(value):g}. fix: keep "
        f"`toward` within the range of the parameter, {parameter.transform.lower:g} to "
        f"{parameter.transform.upper:g}"
    )


def _fields(term: LossTerm) -> dict[str, Any]:
    """What a term is made of, so that two can be compared."""
    return {n: v for n, v in vars(term).items() if not callable(v) or hasattr(v, "raw")}


def _alike(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(_equal(left[n], right[n]) for n in left)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, IndexTensor) and isinstance(right, IndexTensor):
        left, right = left.tensor, right.tensor
    if isinstance(left, LabelledParameter) and isinstance(right, LabelledParameter):
        left, right = left.raw, right.raw
    try:
        return same(torch.as_tensor(left).detach(), torch.as_tensor(right).detach())
    except (TypeError, ValueError, RuntimeError):
        return bool(left == right)


def _named(term: LossTerm) -> str:
    kind = type(term).__name__
    if isinstance(term, FitnessTerm):
        return f"{kind}({term.name!r})"
    label = getattr(getattr(term, "parameter", None), "label", None)
    return f"{kind}({label or getattr(term, 'experiment', '')!r})"


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f", nearest is {near!r}" if near else ""


def _who(model: Model) -> str:
    return model.contract.model
