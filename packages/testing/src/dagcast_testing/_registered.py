"""Checks of how a package hands its models over: by the contracts and hooks that it registers."""

import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from types import ModuleType

import pytest

from dagcast_core.contract import Contract
from dagcast_core.hooks import ENTRY_POINT_GROUP
from dagcast_core.model import Model
from dagcast_testing._installed import InstalledModel, registered_by
from dagcast_testing._outputs import same, shown
from dagcast_testing._problems import said
from dagcast_testing._setting import ordinary_labels
from dagcast_testing._source import other_random_states, random_states, settings

# Labels that a package is asked to build for: more than somebody counts off by hand.
_MANY = 31


def check_registered(model: Model) -> None:
    """The package that the model lies in registers its contract, and builds it for any labels.

    A model that its package keeps to itself, such as a candidate to be compared, is left alone.
    """
    package = type(model).__module__.partition(".")[0]
    points = [
        point
        for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        if point.module.partition(".")[0] == package and point.dist is not None
    ]
    if not points:
        pytest.skip(f"no installed package registers a module of {package!r}")
    declared: list[Contract] = []
    for point in points:
        try:
            plugin, contracts = registered_by(point)
        except Exception as error:
            raise AssertionError(
                f"{_who(model)}: expected {point.value} to say what the package declares; found "
                f"{said(error)}. fix: correct the line"
            ) from error
        declared += contracts
        if model.contract in contracts:
            _check_built(model, plugin)
    _check_exports(model, package)
    value = points[0].value
    assert declared, (
        f"{_who(model)}: expected dagcast_contracts of {value} to return the contract of the "
        "model; found an empty list, so that no check and no project would see the model. fix: "
        "return [CONTRACT]"
    )
    assert model.contract in declared or all(c.model != model.contract.model for c in declared), (
        f"{_who(model)}: expected dagcast_contracts of {value} to return the contract that the "
        f"model has; found another of the name {model.contract.model!r}. fix: give both the same "
        "Contract object"
    )


def _check_exports(model: Model, package: str) -> None:
    module = importlib.import_module(package)
    missing: list[object] = [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)]
    assert not missing, (
        f"{_who(model)}: expected {package} to have every name of its __all__; found that "
        f"{shown(missing)} is not there. fix: correct the list, or what it is looked up by"
    )


def _check_built(model: Model, plugin: ModuleType) -> None:
    """What is declared is built, for the labels that are given."""
    given, built, changed = _built(plugin)
    if isinstance(built, Exception):
        raise AssertionError(
            f"{_who(model)}: expected dagcast_models to build models for {_few(given)}; found "
            f"{said(built)}. fix: take the labels from the argument"
        ) from built
    assert not changed, (
        f"{_who(model)}: expected dagcast_models to leave the process as it was; found that it "
        f"changes {', '.join(changed)}. fix: give what is random a generator of its own, and "
        "leave settings to whoever runs the model"
    )
    mine = [item for item in built if item.contract == model.contract]
    assert mine, (
        f"{_who(model)}: expected dagcast_models to build a model with each declared contract; "
        f"found none with {model.contract.model!r}, but "
        f"{shown([item.contract.model for item in built])}. fix: give the model the same Contract "
        "object that dagcast_contracts returns"
    )
    for item in mine:
        for name, parameter in item.labelled_parameters():
            for dim in parameter.dims:
                known, found = given.get(dim, ()), tuple(parameter.indexes[dim])
                assert set(found) == set(given.get(dim, found)), (
                    f"{_who(item)}: expected dagcast_models to make {name!r} for the labels of "
                    f"{dim!r} that it is given; found {shown(list(found))} where "
                    f"{shown(list(known))} were given. fix: hand labels[{dim!r}] to the "
                    "constructor"
                )
        _check_starts(item, plugin)


def _check_starts(first: Model, plugin: ModuleType) -> None:
    """Parameters start alike where the labels come in another order."""
    (again,) = (item for item in _reordered(plugin) if item.contract == first.contract)
    others = dict(again.labelled_parameters())
    for name, parameter in first.labelled_parameters():
        values, other = parameter.value(), others[name].value()
        for dim in values.dims:
            if set(other.index(dim)) == set(values.index(dim)):
                other = other.reindex({dim: values.index(dim)})
        assert values.tensor.shape != other.tensor.shape or same(values.tensor, other.tensor), (
            f"{_who(first)}: expected {name!r} to start by label; found other values where the "
            "labels come in another order. fix: look each label's start up by its name, or start "
            "all alike"
        )


@functools.cache
def _built(
    plugin: ModuleType,
) -> tuple[Mapping[str, tuple[str, ...]], list[Model] | Exception, tuple[str, ...]]:
    """Labels that nobody has thought of, what a package builds for them, and what that changes.

    Once: all models of the package ask for it.
    """
    item = InstalledModel("", "", None, plugin)
    dims = {d for contract in item.declared() for d in ordinary_labels(contract)}
    given = {
        dim: (f"{dim} of a project", f"{dim} elsewhere", *(f"{dim} {n}" for n in range(3, _MANY)))
        for dim in sorted(dims)
    }
    with other_random_states(3):
        before = {**settings(), **random_states()}
        try:
            built: list[Model] | Exception = item.build_all(given)
        except Exception as error:
            built = error
        now = {**settings(), **random_states()}
    return given, built, tuple(name for name in now if now[name] != before[name])


@functools.cache
def _reordered(plugin: ModuleType) -> list[Model]:
    """The same once more, of the same labels from last to first."""
    given, _, _ = _built(plugin)
    with other_random_states(3):
        return InstalledModel("", "", None, plugin).build_all(
            {dim: names[::-1] for dim, names in given.items()}
        )


def _few(labels: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{dim}: {shown(list(names))}" for dim, names in labels.items())


def _who(model: Model) -> str:
    return model.contract.model
