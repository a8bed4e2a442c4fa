"""What is installed: every plugin that passed its checks, and what they declare together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from dagcast.plugins._claims import normalised
from dagcast_core.contract import (
    Calendar,
    Contract,
    Experiment,
    LabelSet,
    Problem,
    Registration,
)

if TYPE_CHECKING:
    from dagcast_core.data import EventTable, LinearMetric
    from dagcast_core.model import Model


@dataclass(frozen=True)
class Plugin:
    """One entry point of one installed distribution.

    Attributes:
        name: of the entry point.
        distribution: that declares it.
        version: of the distribution.
        module: what was registered.
        package: import name of the package that it lies in.
        contracts: what ``dagcast_contracts`` returned.
        experiments: what ``dagcast_experiments`` returned.
        tables: event tables that ``dagcast_tables`` returned,
        metrics: and the weighted sums of metrics among them.
        calendars: what ``dagcast_calendars`` returned.
        project: first settings, as ``dagcast_project`` returned them.
        build: makes the models out of labels by dim, where no hook of ``module`` does.
    """

    name: str
    distribution: str
    version: str
    module: Any
    contracts: tuple[Contract, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    package: str = ""
    tables: "tuple[EventTable, ...]" = ()
    metrics: "tuple[LinearMetric, ...]" = ()
    calendars: tuple[Calendar, ...] = ()
    project: Mapping[str, Any] = field(default_factory=dict)
    build: "Callable[[Mapping[str, Sequence[Any]]], list[Model]] | None" = None

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Plugins:
    """What is installed, and what is wrong with it.

    Attributes:
        manager: pluggy manager holding the plugins that passed.
        plugins: those that passed, by distribution and name.
        problems: of those that did not, one per root cause.
        disabled: entry points left out on request.
        declared: tables that the project itself declares; they win over the packages'.
    """

    manager: pluggy.PluginManager
    plugins: tuple[Plugin, ...]
    problems: tuple[Problem, ...]
    disabled: tuple[str, ...] = ()
    declared: "tuple[EventTable, ...]" = ()

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Every contract with its origin."""
        return tuple(
            Registration(contract, plugin.distribution, plugin.version, plugin.name)
            for plugin in self.plugins
            for contract in plugin.contracts
        )

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """Every measured effect that packages bring along."""
        return tuple(item for plugin in self.plugins for item in plugin.experiments)

    @property
    def tables(self) -> "tuple[EventTable, ...]":
        """Every table that the project and packages declare; of two of one name, the first."""
        found: dict[str, EventTable] = {table.name: table for table in self.declared}
        for plugin in self.plugins:
            for table in plugin.tables:
                found.setdefault(table.name, table)
        return tuple(found.values())

    @property
    def metrics(self) -> "tuple[LinearMetric, ...]":
        """Every weighted sum of metrics that packages declare; of two of one name, the first."""
        found: dict[str, LinearMetric] = {}
        for plugin in self.plugins:
            for metric in plugin.metrics:
                found.setdefault(metric.name, metric)
        return tuple(found.values())

    @property
    def calendars(self) -> tuple[Calendar, ...]:
        """Every quantity that follows from a label's clock; of two of one name, the first."""
        found: dict[str, Calendar] = {}
        for plugin in self.plugins:
            for calendar in plugin.calendars:
                found.setdefault(calendar.quantity, calendar)
        return tuple(found.values())

    def labels(self, events: Path) -> dict[str, LabelSet]:
        """What the packages read of labels in a folder of event files, by dim.

        Raises:
            DataError: a file beside the events is wrong, or two packages speak of one dim.
        """
        found: dict[str, LabelSet] = {}
        for sets in self.manager.hook.dagcast_labels(events=events):
            for item in sets:
                if found.setdefault(item.dim, item) != item:
                    from dagcast_core.data import DataError

                    raise DataError(
                        f"cannot read the labels of {item.dim!r} in {events}: expected one "
                        f"package that speaks of them; found two that differ. Disable one."
                    )
        return found

    def of(self, distribution: str) -> tuple[Plugin, ...]:
        """Return the plugins of one distribution."""
        wanted = normalised(distribution)
        return tuple(p for p in self.plugins if normalised(p.distribution) == wanted)
