"""Every hook that a package can implement; integration calls them, packages never do.

A package registers a module under the entry-point group ``dagcast.models`` and decorates
functions in it with ``hookimpl``. Hooks return things and change nothing. The module must import
without torch: import the models inside ``dagcast_models``.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from dagcast_core.contract import Contract, Experiment, WorldFactory
    from dagcast_core.model import Model

PROJECT = "dagcast"
ENTRY_POINT_GROUP = "dagcast.models"
PLUGIN_API = "1"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def dagcast_contracts() -> "list[Contract]":  # type: ignore[empty-body]
    """Declare what this package's models promise and ask. Called by every check, before models.

    Returns:
        One contract per model that ``dagcast_models`` builds; several for a nested collection.
    """


@hookspec
def dagcast_models(labels: Mapping[str, Sequence[Any]]) -> "list[Model]":  # type: ignore[empty-body]
    """Build this package's models. Called once per assembly, after the contracts fit.

    Args:
        labels: labels to make parameters for, by dim: ``{"region": (...), "incentive": (...)}``.

    Returns:
        Unfitted models, one per declared contract.
    """


@hookspec
def dagcast_experiments() -> "list[Experiment]":  # type: ignore[empty-body]
    """Declare the measured effects that this package brings along.

    Returns:
        Experiments; an empty list if there are none. A project's own come from its data.
    """


@hookspec
def dagcast_constraints() -> list[Any]:  # type: ignore[empty-body]
    """Contribute constraints that every plan has to keep, e.g. a legal limit.

    Returns:
        Constraints of ``dagcast_core.decide``, added to the project's own.
    """


@hookspec
def dagcast_review_panels() -> list[Any]:  # type: ignore[empty-body]
    """Contribute panels to the page on which a plan is reviewed.

    Returns:
        Callables from a plan to a plotly figure, in order of appearance.
    """


@hookspec
def dagcast_worlds() -> "list[WorldFactory]":  # type: ignore[empty-body]
    """Contribute simulated marketplaces.

    Returns:
        Factories, unique by ``name``.
    """
