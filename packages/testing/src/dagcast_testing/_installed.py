"""The models of installed packages, found the way integration finds them."""

import contextlib
import functools
import importlib.metadata
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

# Not `from dagcast_core import hooks`: that looks through the layers first, and torch with them.
import dagcast_core.hooks as hooks
from dagcast_core.contract import Contract
from dagcast_core.model import Model, ModelCollection
from dagcast_testing._problems import SELECTION
from dagcast_testing._setting import ordinary_labels


@dataclass(frozen=True)
class InstalledModel:
    """A model that an installed distribution declares.

    Attributes:
        distribution: that declares it.
        version: of the distribution.
        contract: as declared, before torch is imported; None where the package cannot be loaded.
        plugin: the registered module.
        error: why it cannot be loaded.
    """

    distribution: str
    version: str
    contract: Contract | None
    plugin: Any
    error: Exception | None = None

    def __str__(self) -> str:
        return f"{self.distribution}:{self.contract.model if self.contract else 'all models'}"

    def build(self, labels: Mapping[str, Sequence[Any]] | None = None) -> Model:
        """Build the model, unfitted.

        Args:
            labels: by dim; by default three of every dim that the package's contracts name.

        Raises:
            LookupError: the package builds no model with this contract.
            Exception: whatever kept the package from being loaded.
        """
        if self.error is not None or self.contract is None:
            raise self.error or LookupError(f"{self.distribution} declares no contract")
        if labels is None:
            # The hook builds all models of the package, and each asks for its own dims.
            declared = self.declared()
            labels = {d: names for c in declared for d, names in ordinary_labels(c).items()}
        carried = self.build_all(labels)
        for model in carried:
            if model.contract == self.contract:
                return model
        names = ", ".join(type(model).__name__ for model in carried) or "nothing"
        raise LookupError(
            f"{self.distribution} {self.version} declares the contract {self.contract.model!r}, "
            f"but dagcast_models built {names}, none with that contract. Give the model the same "
            "Contract object that dagcast_contracts returns"
        )

    def declared(self) -> list[Contract]:
        """Return every contract of the package."""
        return list(_declared(self.plugin))

    def build_all(self, labels: Mapping[str, Sequence[Any]]) -> list[Model]:
        """Build every model of the package, the members of collections among them."""
        built = _manager(self.plugin).hook.dagcast_models(labels=dict(labels))
        return [model for models in built for item in models for model in _within(item)]


def installed_models(distributions: Iterable[str] = ()) -> list[InstalledModel]:
    """Find the models of installed packages.

    Args:
        distributions: to look into; all by default.

    Raises:
        LookupError: a named distribution is not installed or registers no model.
    """
    wanted = {_normalised(name): name for name in distributions}
    found: list[InstalledModel] = []
    for point in importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP):
        distribution = point.dist
        if distribution is None:
            continue
        name = distribution.metadata["Name"]
        if wanted and _normalised(name) not in wanted:
            continue
        try:
            plugin, declared = registered_by(point)
        # One broken package must not hide what is wrong with the others.
        except Exception as error:
            found.append(InstalledModel(name, distribution.version, None, None, error))
            continue
        found += [InstalledModel(name, distribution.version, c, plugin) for c in declared]
    missing = set(wanted) - {_normalised(item.distribution) for item in found}
    if missing:
        raise LookupError(
            f"no installed distribution {wanted[sorted(missing)[0]]!r} registers a model under the "
            f"entry-point group {hooks.ENTRY_POINT_GROUP!r}; install it, or correct the name"
        )
    return sorted(found, key=str)


@functools.cache
def installed_contracts() -> tuple[Contract, ...]:
    """Return the contracts of all installed packages that load; the others are no test's business.

    Looked up once: what is installed does not change while tests run.
    """
    found: list[Contract] = []
    for point in importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP):
        # Another team's package may be broken in any way.
        with contextlib.suppress(Exception):
            found += registered_by(point)[1]
    return tuple(found)


def installed_for(contract: Contract) -> InstalledModel | None:
    """Return the installed model that was registered with exactly this contract, if one was."""
    for point in importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP):
        with contextlib.suppress(Exception):
            plugin, declared = registered_by(point)
            if contract in declared and point.dist is not None:
                name, version = point.dist.metadata["Name"], point.dist.version
                return InstalledModel(name, version, contract, plugin)
    return None


@functools.cache
def registered_by(point: importlib.metadata.EntryPoint) -> tuple[Any, tuple[Contract, ...]]:
    """Return the module of an entry point and the contracts that it declares, asked once.

    Raises:
        Exception: whatever keeps it from being loaded or asked.
    """
    plugin = point.load()
    return plugin, _declared(plugin)


@functools.cache
def _declared(plugin: Any) -> tuple[Contract, ...]:
    found = _manager(plugin).hook.dagcast_contracts()
    return tuple(contract for contracts in found for contract in contracts)


def _manager(plugin: Any) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    manager.register(plugin)
    return manager


def selected_models() -> list[InstalledModel]:
    """Find the models that the environment variable selects, or all.

    Raises:
        LookupError: a selected distribution is not installed or registers no model.
    """
    names = [name for name in os.environ.get(SELECTION, "").split(",") if name]
    return installed_models(names)


def _within(built: object) -> list[Model]:
    # A package may hand over a collection; what it declared are the contracts of the parts.
    if isinstance(built, ModelCollection):
        return [built, *built.leaves.values()]
    return [built] if isinstance(built, Model) else []


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
