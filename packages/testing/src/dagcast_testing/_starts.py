"""Checks of a warm start: it leaves the history alone, and what it learns belongs to labels."""

import copy
import warnings
from collections.abc import Mapping

import numpy as np
import torch

from dagcast_core.model import Model
from dagcast_core.tensor import IndexTensor, Panel
from dagcast_testing._history import whole_history
from dagcast_testing._outputs import first_cell, predicted, same, shown
from dagcast_testing._outside import outside_reads
from dagcast_testing._problems import said
from dagcast_testing._reads import rolled_on
from dagcast_testing._setting import Setting
from dagcast_testing._source import other_random_states

# Share of the cells that a history with gaps lacks.
_GAPS = 0.1


def check_warm_start(setting: Setting, seed: int) -> None:
    """A start taken from data is the same twice, by label, and of a history with gaps a number."""
    history = whole_history(setting, seed)
    before = {name: tensor.tensor.clone() for name, tensor in history.items()}
    with other_random_states(1), outside_reads(setting.model) as read:
        first = _started(setting, history)
    assert not read, (
        f"{_who(setting)}: expected a start from the history alone; found that {read[0]}. fix: "
        "hand what it holds to the constructor, or make it an input"
    )
    _assert_unchanged(setting, history, before)
    with other_random_states(2):
        second = _started(setting, history)
    state, again = first.state_dict(), second.state_dict()
    for name, values in state.items():
        assert same(values, again[name]), (
            f"{_who(setting)}: expected the same start of {name!r} from the same history; found "
            "another one the second time. fix: draw nothing at random in warm_start"
        )
    with other_random_states(3):
        first.warm_start(history)
    for name, values in first.state_dict().items():
        assert same(values, again[name]), (
            f"{_who(setting)}: expected {name!r} to start alike whatever was before; found "
            "another start of a model that had been started. fix: set values in warm_start, and "
            "add nothing to them"
        )
    _check_labels(setting, history, first, seed)
    _check_gaps(setting, history, seed)


def _check_gaps(setting: Setting, history: Panel, seed: int) -> None:
    """A history that lacks some cells, and one that lacks all of a label, give numbers."""
    tried = {"missing cells": Panel({n: _with_gaps(t, seed) for n, t in history.items()})}
    for dim in sorted(setting.labels):
        held = {n: _without_first(t, dim) if dim in t.dims else t for n, t in history.items()}
        tried[f"nothing for the first label of {dim!r}"] = Panel(held)
    for what, gaps in tried.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                state = _started(setting, gaps).state_dict()
        except Exception as error:
            raise AssertionError(
                f"{_who(setting)}: expected a start from a history with {what}; found "
                f"{said(error)}. fix: leave "
                "missing cells out in warm_start, and labels that have no others"
            ) from error
        for name, values in state.items():
            assert not values.is_floating_point() or bool(torch.isfinite(values).all()), (
                f"{_who(setting)}: expected a start of {name!r} from a history with {what}; "
                "found NaN. fix: leave missing cells out in warm_start, e.g. with skipna=True"
            )


def _check_labels(setting: Setting, history: Panel, first: Model, seed: int) -> None:
    """A history whose labels come in another order gives the same start."""
    expected = predicted(first, setting.panel(seed))
    for dim in sorted(setting.labels):
        holding = [name for name, tensor in history.items() if dim in tensor.dims]
        if not holding:
            continue
        moved = Panel({n: rolled_on(t, dim, 1) if n in holding else t for n, t in history.items()})
        found = predicted(_started(setting, moved), setting.panel(seed))
        for name, values in expected.items():
            off = ~torch.isclose(
                values.tensor, found[name].tensor, rtol=1e-9, atol=1e-12, equal_nan=True
            )
            assert not bool(off.any()), (
                f"{_who(setting)}: expected {name!r} after warm_start to be the same when the "
                f"labels of {dim!r} come in another order in the history; found a difference at "
                f"{first_cell(values, off)}. fix: hand the parameter an IndexTensor, or look its "
                "labels up, never go by position"
            )


def _assert_unchanged(setting: Setting, history: Panel, before: Mapping[str, torch.Tensor]) -> None:
    changed: list[object] = [n for n in history if not same(history[n].tensor, before[n])]
    assert not changed, (
        f"{_who(setting)}: expected warm_start to leave the history as it was; found "
        f"{shown(changed)} changed in place. fix: assign a new tensor instead of an in-place "
        "operation"
    )


def _started(setting: Setting, history: Panel) -> Model:
    fresh: Model = setting.kept.get("fresh") or setting.model
    model = copy.deepcopy(fresh)
    model.warm_start(history)
    return model


def _with_gaps(tensor: IndexTensor, seed: int) -> IndexTensor:
    if not tensor.tensor.is_floating_point():
        return tensor
    missing = np.random.default_rng(seed).random(tuple(tensor.tensor.shape)) < _GAPS
    return tensor.with_tensor(tensor.tensor.masked_fill(torch.as_tensor(missing), float("nan")))


def _without_first(tensor: IndexTensor, dim: str) -> IndexTensor:
    if not tensor.tensor.is_floating_point():
        return tensor
    values = tensor.tensor.clone()
    values.narrow(tensor.dims.index(dim), 0, 1).fill_(float("nan"))
    return tensor.with_tensor(values)


def _who(setting: Setting) -> str:
    return setting.model.contract.model
