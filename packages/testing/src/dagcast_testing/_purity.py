"""Checks that a prediction follows from its inputs and the parameters, and from nothing else."""

import contextlib
import copy
import dataclasses
import io
from collections.abc import Mapping, ValuesView
from typing import Any

import torch

from dagcast_core.model import Model, ModelCollection, hyperparameters_of
from dagcast_core.tensor import Panel
from dagcast_testing._history import own_history, whole_history
from dagcast_testing._outputs import predicted, same, shown
from dagcast_testing._outside import outside_reads
from dagcast_testing._problems import first_line, said
from dagcast_testing._setting import Setting, jittered
from dagcast_testing._source import (
    clock_read,
    other_random_states,
    random_states,
    restore,
    settings,
)


def check_no_mutation(setting: Setting, seed: int) -> None:
    """Prediction leaves its inputs and its own parameters as they were."""
    panel = setting.panel(seed)
    before = {name: tensor.tensor.clone() for name, tensor in panel.items()}
    state = copy.deepcopy(setting.model.state_dict())
    predicted(setting.model, panel)
    for name, values in before.items():
        assert same(panel[name].tensor, values), (
            f"{_who(setting)}: expected input {name!r} unchanged; found it changed in place. "
            "fix: assign a new tensor instead of an in-place operation"
        )
    for name, values in setting.model.state_dict().items():
        assert same(values, state[name]), (
            f"{_who(setting)}: expected a prediction to leave {name!r} as it was; found it changed"
        )


def check_determinism(setting: Setting, seed: int) -> None:
    """The same inputs give the same bits: whatever the clock, the environment, calls before."""
    clock = clock_read(setting.model)
    assert clock is None, (
        f"{_who(setting)}: expected the same outputs at any time of day; found that {clock}. fix: "
        "read the time off the labels of the inputs"
    )
    panel = setting.panel(seed)
    out = io.StringIO()
    with (
        other_random_states(1),
        outside_reads(setting.model) as read,
        contextlib.redirect_stdout(out),
    ):
        before = random_states()
        first = predicted(setting.model, panel)
        moved = [name for name, value in random_states().items() if value != before[name]]
    with other_random_states(2):
        second = predicted(setting.model, panel)
    for name in first:
        assert same(first[name].tensor, second[name].tensor), (
            f"{_who(setting)}: expected the same {name!r} from the same inputs; found a "
            "difference between two calls. fix: draw nothing at random and keep no state in forward"
        )
    assert not read, (
        f"{_who(setting)}: expected the same outputs on every machine; found that {read[0]}. "
        "fix: hand what it holds to the constructor, or make it an input"
    )
    printed = first_line(out.getvalue())
    assert not printed, (
        f"{_who(setting)}: expected a prediction that prints nothing, since results go to standard "
        f"output; found {printed[:60]!r}. fix: use the module logging, or take the print out"
    )
    # A setting that the very first prediction changes is the same before and after any other.
    now = settings()
    then = setting.kept.get("settings") or now
    moved += [name for name, value in then.items() if value != now[name]]
    if moved:
        restore(then)
    assert not moved, (
        f"{_who(setting)}: expected a prediction to leave the process as it was; found that it "
        f"changes {', '.join(moved)}. fix: give what is random a generator of its own, and leave "
        "settings to whoever runs the model"
    )


def check_nothing_is_kept(setting: Setting, seed: int) -> None:
    """Neither what was predicted before nor how the model is run makes a difference.

    Tensors whose values changed since, other tensors and another copy of the model give what a
    model gives that has predicted nothing yet.
    """
    # What a model keeps of a prediction may be nothing that can be copied.
    fresh: Model = setting.kept.get("fresh") or setting.model
    panel, other = _copied(setting.panel(seed)), setting.panel(seed + 1)
    untouched = predicted(copy.deepcopy(fresh), _copied(other))
    model = copy.deepcopy(fresh)
    first = predicted(model, panel)
    moved = any(not same(panel[name].tensor, other[name].tensor) for name in panel)
    if setting.model.contract.effects and moved:
        assert any(not same(first[n].tensor, untouched[n].tensor) for n in first), (
            f"{_who(setting)}: expected other outputs of other inputs; found the same bits, "
            f"whatever is given. {_KEPT}, and starts where outputs are alive"
        )
    _assert_same(setting, untouched, predicted(model, _copied(other)), "an earlier prediction")
    with torch.no_grad():
        for name, tensor in panel.items():
            tensor.tensor.copy_(other[name].tensor)
    _assert_same(setting, untouched, predicted(model, panel), "an earlier prediction")
    was = fresh.training
    for what in ("training mode", "evaluation mode", "torch.no_grad()"):
        twin = copy.deepcopy(fresh).train(
            was if what.startswith("torch") else what == "training mode"
        )
        with torch.set_grad_enabled(not what.startswith("torch")):
            found = predicted(twin, _copied(other))
        for name, values in untouched.items():
            assert same(values.tensor, found[name].tensor), (
                f"{_who(setting)}: expected the same {name!r} however the model is run; found "
                f"another under {what}. fix: let forward look neither at self.training nor at "
                "torch's modes"
            )


_KEPT = (
    "fix: keep nothing of a prediction, in the model, its module or a cache: forward computes it "
    "anew"
)


def _assert_same(setting: Setting, expected: Panel, found: Panel, what: str) -> None:
    for name, values in expected.items():
        assert same(values.tensor, found[name].tensor), (
            f"{_who(setting)}: expected {name!r} to follow from the inputs alone; found that it "
            f"depends on {what}. {_KEPT}"
        )


def _copied(panel: Panel) -> Panel:
    """The same values in tensors that nobody has seen."""
    held = {name: tensor.with_tensor(tensor.tensor.clone()) for name, tensor in panel.items()}
    return Panel(held)


def check_state_dict(setting: Setting, seed: int) -> None:
    """A model's state, loaded into a fresh copy, predicts the same: nothing is kept elsewhere.

    The model first sees other inputs, and its start is taken from data, as before a fit: from its
    own quantities alone, and from everything that a real history holds.
    """
    for part in _members(setting.model):
        _assert_registered(part)
    panel = setting.panel(seed)
    # Other tests have predicted with the model itself.
    fresh = setting.kept.get("fresh") or copy.deepcopy(setting.model)
    before = predicted(copy.deepcopy(fresh), panel)
    for what, learner in (
        ("earlier predictions", _after_other_inputs(fresh, setting.panel(seed + 1))),
        ("warm_start", _after_warm_start(fresh, own_history(setting, seed))),
        ("warm_start", _after_warm_start(fresh, whole_history(setting, seed))),
    ):
        learned = jittered(learner, seed)
        state = learned.state_dict()
        expected = predicted(learned, panel)
        twin = copy.deepcopy(fresh)
        twin.load_state_dict(state)
        found = predicted(twin, panel)
        for name, values in expected.items():
            assert same(values.tensor, found[name].tensor), (
                f"{_who(setting)}: expected {name!r} to survive state_dict and load_state_dict; "
                f"found that {what} left something outside. fix: register what is learned as a "
                "parameter or a buffer"
            )
    # What lies outside every model survives in this process, and in no other.
    untouched = predicted(copy.deepcopy(fresh), panel)
    for name, values in before.items():
        assert same(values.tensor, untouched[name].tensor), (
            f"{_who(setting)}: expected {name!r} of one model to stay as it was when another was "
            "started; found it changed. fix: keep nothing in the module or the class"
        )


def _assert_registered(model: Model) -> None:
    """What can be learned is known to torch: a list or a dict hides it from the fit."""
    known = {id(item) for item in (*model.modules(), *model.parameters())}
    for name, value in vars(model).items():
        if name in ("_modules", "_parameters", "_buffers"):
            continue
        hidden = [item for item in _within(value) if id(item) not in known]
        assert not hidden, (
            f"{model.contract.model}: expected every parameter to be registered, so that it is "
            f"fitted and saved; found {type(hidden[0]).__name__} in {name!r}, which is neither. "
            "fix: assign each self.parameter(...) to an attribute of its own, or hold them in a "
            "torch.nn.ModuleList"
        )


def _within(value: Any, depth: int = 3) -> list[Any]:
    if isinstance(value, torch.nn.Module) or (
        isinstance(value, torch.Tensor) and value.requires_grad
    ):
        return [value]
    held = value.values() if isinstance(value, Mapping) else value
    if not depth or not isinstance(held, (list, tuple, set, frozenset, ValuesView)):
        return []
    return [found for item in held for found in _within(item, depth - 1)]


def _after_other_inputs(fresh: Model, other: Panel) -> Model:
    model = copy.deepcopy(fresh)
    predicted(model, other)
    return model


def _after_warm_start(fresh: Model, history: Panel) -> Model:
    model = copy.deepcopy(fresh)
    try:
        model.warm_start(history)
    except Exception as error:
        raise AssertionError(
            f"{model.contract.model}: expected a start from a history that holds "
            f"{shown(list(history))}; found {said(error)}. fix: look whether the history has what "
            "warm_start takes from it, and do without"
        ) from error
    return model


def check_constructions(setting: Setting, again: Model) -> None:
    """Another construction starts with the same values and predicts the same, bit for bit."""
    first, second = setting.model.state_dict(), again.state_dict()
    for name in dict.fromkeys((*first, *second)):
        agree = name in first and name in second and same(first[name], second[name])
        assert agree, (
            f"{_who(setting)}: expected {name!r} to start the same in every construction; found "
            "another start in the second. fix: start from declared values, not from a clock or "
            "from random numbers"
        )
    expected = setting.outputs(0)
    found = predicted(again, setting.panel(0))
    for name, values in expected.items():
        assert same(values.tensor, found[name].tensor), (
            f"{_who(setting)}: expected the same {name!r} of every construction; found a "
            "difference. fix: keep what a model is made of in its arguments, not in a clock, a "
            "counter or random numbers"
        )


def check_hyperparameters(setting: Setting) -> None:
    """Values that are chosen lie where a search may look, and the model holds at both ends."""
    for model in _members(setting.model):
        name: str = model.contract.model
        chosen: Any = getattr(model, "hyperparameters", None)
        values = hyperparameters_of(model)
        declared = {item.name: item for item in dataclasses.fields(chosen)} if values else {}
        for key, value in values.items():
            ends = declared[key].metadata.get("range")
            if ends is None:
                continue
            assert ends[0] <= value <= ends[1], (
                f"{name}: expected the hyperparameter {key!r} within its range, {ends[0]:g} to "
                f"{ends[1]:g}; found {value:g}. fix: choose another value, or widen the range"
            )


def _members(model: Model) -> list[Model]:
    return list(model.leaves.values()) if isinstance(model, ModelCollection) else [model]


def _who(setting: Setting) -> str:
    return setting.model.contract.model
