"""Every hook that a package can implement; integration calls them, packages never do.

A package registers a module under the entry-point group ``dagcast.models`` and decorates
functions in it with ``hookimpl``. Hooks return things and change nothing. The module must import
without torch and pandas: import the models inside ``dagcast_models``.

A package need not bring models: tables, labels, calendars and first settings are a business of
their own.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from dagcast_core.contract import (
        Calendar,
        Contract,
        Experiment,
        LabelSet,
        ReviewPanel,
        WorldFactory,
    )
    from dagcast_core.data import EventTable, LinearMetric
    from dagcast_core.model import Model

PROJECT = "dagcast"
"""Name under which pluggy knows the hooks."""
ENTRY_POINT_GROUP = "dagcast.models"
"""Group of entry points in which a package registers its module of hooks."""
PLUGIN_API = "1.1"
"""Version of the hooks: the major number has to agree, a minor one adds hooks."""

_HEAVY = frozenset({"torch", "pandas"})


class HeavyImportError(ImportError):
    """A package imports what only building its models needs.

    Every check and every completion of a command asks packages what they declare: one that takes
    seconds to import makes all of that slow, for everybody.

    Attributes:
        heavy: the module imported.
    """

    def __init__(self, heavy: str) -> None:
        self.heavy = heavy
        super().__init__(f"{heavy} is imported where a package is only asked what it declares")


class _Refusal:
    """Comes first in ``sys.meta_path``; what is imported already never gets there."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name in _HEAVY:
            raise HeavyImportError(name)


@contextmanager
def nothing_heavy() -> Iterator[None]:
    """Let no import of torch or pandas begin; one that has happened already stays.

    Raises:
        HeavyImportError: the block imports one of them.
    """
    refusal = _Refusal()
    sys.meta_path.insert(0, refusal)
    try:
        yield
    finally:
        sys.meta_path.remove(refusal)


hookspec = pluggy.HookspecMarker(PROJECT)
"""Decorates the functions of this module, which say what a hook is given and returns."""
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Decorates a package's own function of the same name, in the module of its entry point."""


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
        labels: labels to make parameters for, by dim: ``{"region": (...), "vehicle": (...)}``.

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
def dagcast_tables() -> "list[EventTable | LinearMetric]":  # type: ignore[empty-body]
    """Declare the event tables that people may put into a project, and metrics made of theirs.

    Called by every check, so that two packages that claim one table are found before any event.

    Returns:
        Tables, each read from ``<name>.parquet`` or ``<name>.csv``, and weighted sums of metrics,
        which are defined where the store holds all their terms.
    """


@hookspec
def dagcast_labels(events: Path) -> "list[LabelSet]":  # type: ignore[empty-body]
    """Say which labels a dim has, according to files beside the events.

    Args:
        events: a folder of event files; the folder above it is a good place to look, too.

    Returns:
        One set per dim that the files speak of; an empty list where there are none. Rows with
        other labels are set aside.

    Raises:
        DataError: a file is damaged or contradicts itself.
    """


@hookspec
def dagcast_calendars() -> "list[Calendar]":  # type: ignore[empty-body]
    """Declare quantities that follow from a label's own clock alone.

    Returns:
        Calendars, unique by quantity.
    """


@hookspec
def dagcast_project() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Give the first settings of a new project: levers, limits, objective, what is shown first.

    Returns:
        Tables as ``dagcast.toml`` has them. Those of several packages are merged: tables united,
        lists joined. What two packages set to different values is a problem of theirs.
    """


@hookspec
def dagcast_constraints() -> list[Any]:  # type: ignore[empty-body]
    """Contribute constraints that every plan has to keep, e.g. a legal limit.

    Returns:
        Constraints of ``dagcast_core.decide``, added to the project's own.
    """


@hookspec
def dagcast_review_panels() -> "list[ReviewPanel]":  # type: ignore[empty-body]
    """Contribute charts to the page on which people decide about a plan.

    Called when the page is written; the charts follow the page's selection as all others do.

    Returns:
        Panels, in order of appearance. One that fails is named on the page, and the others stay.
    """


@hookspec
def dagcast_worlds() -> "list[WorldFactory]":  # type: ignore[empty-body]
    """Contribute simulated marketplaces.

    Returns:
        Factories, unique by ``name``.
    """
