"""The models of installed packages, found the way integration finds them."""

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
from dagcast_testing._setting import ordinary_labels

# Distributions to try, separated by commas; all installed ones if it is not set.
SELECTION = "DAGCAST_CONFORMANCE"


@dataclass(frozen=True)
class InstalledModel:
    """A model that an installed distribution declares.

    Attributes:
        distribution: that declares it.
        version: of the distribution.
        contract: as declared, before torch is imported.
        plugin: the registered module.
    """

    distribution: str
    version: str
    contract: Contract
    plugin: Any

    def __str__(self) -> str:
        return f"{self.distribution}:{self.contract.model}"

    def build(self, labels: Mapping[str, Sequence[Any]] | None = None) -> Model:
        """Build the model, unfitted.

        Args:
            labels: by dim; by default three of every dim that the package's contracts name.

        Raises:
            LookupError: the package builds no model with this contract.
        """
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        manager.register(self.plugin)
        if labels is None:
            # The hook builds all models of the package, and each asks for its own dims.
            declared = [c for contracts in manager.hook.dagcast_contracts() for c in contracts]
            labels = {d: names for c in declared for d, names in ordinary_labels(c).items()}
        built = [m for models in manager.hook.dagcast_models(labels=dict(labels)) for m in models]
        carried = [model for item in built for model in _within(item)]
        for model in carried:
            if model.contract == self.contract:
                return model
        names = ", ".join(type(model).__name__ for model in carried) or "nothing"
        raise LookupError(
            f"{self.distribution} {self.version} declares the contract {self.contract.model!r}, "
            f"but dagcast_models built {names}, none with that contract. Give the model the same "
            "Contract object that dagcast_contracts returns"
        )


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
        plugin = point.load()
        manager = pluggy.PluginManager(hooks.PROJECT)
        manager.add_hookspecs(hooks)
        manager.register(plugin)
        for contracts in manager.hook.dagcast_contracts():
            found += [InstalledModel(name, distribution.version, c, plugin) for c in contracts]
    missing = set(wanted) - {_normalised(item.distribution) for item in found}
    if missing:
        raise LookupError(
            f"no installed distribution {wanted[sorted(missing)[0]]!r} registers a model under the "
            f"entry-point group {hooks.ENTRY_POINT_GROUP!r}; install it, or correct the name"
        )
    return sorted(found, key=str)


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
