"""A project's models: assembled, built, fitted, read back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from dagcast.errors import ConfigError, ProjectError
from dagcast.project import Project
from dagcast.vocabulary import decided, known_ahead
from dagcast.workflow.common._assembled import Assembled, assembled, demands, experiments
from dagcast.workflow.common._horizon import (
    Clocks,
    Moments,
    clocks_of,
    moments,
    open_store,
    read_history,
)
from dagcast_core.contract import nearest

if TYPE_CHECKING:
    from dagcast.plugins import Plugins
    from dagcast.standing import Aside
    from dagcast_core.contract import Assembly, ExperimentSet, Quantity
    from dagcast_core.data import MetricStore
    from dagcast_core.model import ModelCollection
    from dagcast_core.tensor import Panel


@final
@dataclass(frozen=True)
class Session:
    """What the stages after ingestion share.

    Attributes:
        project: the project.
        store: its metrics.
        times: of the planning round.
        plugins: the installed packages.
        assembly: their contracts, joined and without problems.
        experiments: of the events and of the packages.
        aside: models that lack something in the store.
    """

    project: Project
    store: "MetricStore"
    times: Moments
    plugins: "Plugins"
    assembly: "Assembly"
    experiments: "ExperimentSet"
    aside: "tuple[Aside, ...]" = ()

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Labels that the models make parameters for."""
        return self.store.labels()

    @property
    def weeks(self) -> int:
        """Weeks of history used for a fit."""
        return self.project.config.data.history_weeks

    @property
    def names(self) -> tuple[str, ...]:
        """Every quantity that a model reads or makes, externals first."""
        made = [name for item in self.assembly.registrations for name in item.contract.output_names]
        return tuple(dict.fromkeys((*self.external_names, *made)))

    @property
    def external_names(self) -> tuple[str, ...]:
        """Quantities that come from outside, levers included."""
        return tuple(quantity.name for quantity in self.externals)

    @property
    def externals(self) -> "tuple[Quantity, ...]":
        """Quantities that come from outside, levers included.

        An optional input that is observed and not known ahead is none: it takes its default in the
        history as it will over the horizon.
        """
        known = known_ahead(self.plugins) | set(self.project.config.levers)
        return tuple(item.quantity for item in self.assembly.externals if item.name in known)

    @property
    def quantities(self) -> "tuple[Quantity, ...]":
        """Every quantity that a model reads or makes, externals first."""
        made = [q for item in self.assembly.registrations for q in item.contract.outputs]
        return (*self.externals, *made)

    def history(self, times: Moments | None = None) -> "Panel":
        """All quantities of the models over the history, as known at the data moment."""
        return read_history(
            self.store, times or self.times, self.names, self.externals, self.clocks
        )

    def archive(self, times: Moments | None = None) -> "Panel | None":
        """The history from the first experiment on, where that began before it; None otherwise.

        What an experiment measured, it measured where it ran: its effect is taken there.
        """
        times = times or self.times
        begun = [pd.Timestamp(item.cells.start) for item in self.known_experiments(times)]
        first = min(begun, default=times.first) - pd.Timedelta(weeks=1)
        held = min((span.start for span in self.store.spans().values()), default=times.first)
        first = max(first, held)
        if not begun or min(begun) >= times.first or first >= times.first:
            return None
        return self.history(replace(times, first=first))

    @property
    def clocks(self) -> Clocks:
        """Quantities that follow from labels' own clocks."""
        return clocks_of(self.project, self.plugins, self.store, self.externals)

    @property
    def decided(self) -> frozenset[str]:
        """Quantities that somebody decides: the levers, and what packages say is a decision."""
        return decided(self.plugins) | frozenset(self.project.config.levers)

    def known_experiments(self, times: Moments | None = None) -> "ExperimentSet":
        """Experiments that were over by the end of the history."""
        last = (times or self.times).last
        running = [item.name for item in self.experiments if pd.Timestamp(item.cells.end) > last]
        return self.experiments.without(*running)

    @property
    def exogenous_names(self) -> tuple[str, ...]:
        """Quantities that come from outside and are not decided."""
        levers = self.project.config.levers
        return tuple(name for name in self.external_names if name not in levers)

    @property
    def judged(self) -> tuple[str, ...]:
        """Quantities that a backtest judges: those named, or else what people look at and plan for.

        Of the latter those that a model makes and the store observes. What models that stand aside
        would make is left out.
        """
        config = self.project.config
        lost = {name for item in self.aside for name in item.makes}
        named = tuple(name for name in config.backtest.quantities if name not in lost)
        if named:
            return named
        wanted = dict.fromkeys(
            (
                *config.display.first,
                *config.objective.weights,
                *(rail.quantity for rail in config.guardrails),
            )
        )
        made = {name for item in self.assembly.registrations for name in item.contract.output_names}
        held = self.store.metrics()
        found = tuple(name for name in wanted if name in made and name in held)
        # Settings that name none of what is here leave all of it to judge.
        return found or tuple(name for name in self.names if name in made and name in held)

    def build(self, labels: Mapping[str, Any] | None = None) -> "ModelCollection":
        """A new, unfitted collection."""
        from dagcast.assembly import build_collection

        return build_collection(
            self.plugins,
            dict(labels or self.labels),
            dict(self.project.config.serving),
            experiments=self.experiments,
            aside=self.aside,
            hyperparameters=self.project.config.models,
            **demands(self.project.config),
        )

    def contents(self) -> dict[str, str]:
        """Start of the sha256 over the files of the framework and of every team package."""
        from dagcast.release import installed_packages

        return {
            item.distribution: item.content[:16]
            for item in installed_packages(self.plugins)
            if item.distribution not in ("dagcast", "dagcast-testing")
        }

    def provenance(self) -> dict[str, Any]:
        """Data moment, data identity, package versions and seeds."""
        packages = {item.distribution: item.version for item in self.assembly.registrations}
        for name in ("dagcast", "dagcast-core", "torch"):
            packages[name] = version(name)
        return {
            "data_moment": self.times.as_of.isoformat(),
            "data_id": self.store.manifest_id,
            "history": [self.times.first.isoformat(), self.times.last.isoformat()],
            "packages": dict(sorted(packages.items())),
            "contracts": {
                item.model: item.contract.version for item in self.assembly.registrations
            },
            "seeds": self.project.config.seeds.model_dump(),
            "hyperparameters": {
                name: dict(values) for name, values in self.project.config.models.items()
            },
        }


def open_session(project: Project) -> Session:
    """Everything that fitting, planning and looking back need.

    Raises:
        ProjectError: nothing was ingested.
        ConfigError: the heartbeat is no table.
        AssemblyError: the installed packages do not fit together.
    """
    from dagcast_core.contract import ExperimentSet

    store = open_store(project)
    measured = experiments(project)
    found = assembled(project.config, measured, project=project)
    assembly, plugins = found.assembly, found.plugins
    _require_models(project, found)
    assembly.raise_problems()
    _require_heartbeat(project.config.data.heartbeat, plugins, store)
    shipped = [item for item in plugins.experiments if item.name not in {e.name for e in measured}]
    together = ExperimentSet((*shipped, *measured), measured.covariances)
    if found.aside:
        from dagcast.assembly import speaks_of

        silent = [e.name for e in together if not speaks_of(e, assembly.registrations)]
        together = together.without(*silent)
    times = moments(project, store)
    return Session(project, store, times, plugins, assembly, together, found.aside)


def _require_models(project: Project, found: Assembled) -> None:
    """Refuse to go on where every model stands aside."""
    if found.aside and not found.assembly.registrations:
        lacking = "; ".join(f"{item.model} lacks {item.why}" for item in found.aside[:3])
        raise ProjectError(
            "a model that has what it needs in the store",
            f"none: {lacking}{', and so on' if len(found.aside) > 3 else ''}",
            f"`dagcast check --project {project.folder}` says what to declare for each.",
        )


def _require_heartbeat(name: str | None, plugins: "Plugins", store: "MetricStore") -> None:
    """Refuse a misspelt table; one that is declared and not ingested leaves it to the others."""
    known = dict.fromkeys((*(table.name for table in plugins.tables), *store.spans()))
    if name is not None and name not in known:
        near = nearest(name, known)
        raise ConfigError(
            f"[data] heartbeat of dagcast.toml to be a table ({', '.join(known)})",
            repr(name),
            f"Did you mean {near!r}?" if near else "Correct the name, or leave it out.",
        )
