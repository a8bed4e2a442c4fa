"""The simulated marketplace behind a project."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dagcast.errors import ProjectError, UsageError
from dagcast.project import Project
from dagcast_core.contract import ContinuingWorld

if TYPE_CHECKING:
    from pandas import DataFrame

    from dagcast_core.contract import World, WorldFactory


HISTORY = "history"
# Folders of played weeks, by the date of their first hour: their names sort as time does.
PLAYED = "played-"


@runtime_checkable
class JudgingWorld(ContinuingWorld, Protocol):
    """A world that goes on and judges plans of the week ahead by its own truth.

    Decisions are frames as ``World`` has them.
    """

    def operator_decisions(self) -> "DataFrame":
        """Return what the operator's own rule would decide."""
        ...

    def best_decisions(
        self,
        weights: Mapping[str, float],
        *,
        budget: float | None,
        start: "DataFrame | None",
        evaluations: int,
    ) -> "DataFrame":
        """Return the best decisions that a search finds which may ask the truth.

        Args:
            weights: what is maximised, by quantity, over the week.
            budget: most that may be spent; no limit where it is None.
            start: decisions to start from.
            evaluations: how many decisions it may try.
        """
        ...

    def worth(
        self, decisions: "DataFrame", weights: Mapping[str, float], *, replications: int
    ) -> float:
        """Return what decisions are worth over the week, in the mean of so many replications."""
        ...


def open_world(project: Project) -> "tuple[World, WorldFactory, int]":
    """The simulated marketplace behind a project's events as of now, its maker and its seed.

    Weeks that were played are part of its history, in their order.

    Raises:
        ProjectError: the events come from somewhere else.
    """
    created = [entry for entry in project.journal.entries() if entry.event == "simulated"]
    if not created:
        raise ProjectError(
            "events of a simulated marketplace",
            f"none in the log of {project.folder}",
            "Only a simulated week can be played; ingest what really happened instead.",
        )
    details = created[-1].details
    factory = world_factory(str(details["world"]))
    world = factory.load(project.events / HISTORY)
    for folder in sorted(project.events.glob(f"{PLAYED}*")):
        if not isinstance(world, ContinuingWorld):
            raise ProjectError(
                "a simulated marketplace that goes on after a week was played",
                f"{factory.name}, which plays one",
                "Simulate another history in a new project.",
            )
        world = world.after(folder)
    return world, factory, int(details["seed"])


def world_factory(name: str | None) -> "WorldFactory":
    from dagcast.plugins import load_plugins

    plugins = load_plugins()
    factories: dict[str, WorldFactory] = {
        factory.name: factory for made in plugins.manager.hook.dagcast_worlds() for factory in made
    }
    if not factories:
        raise UsageError(
            "an installed package with a simulated marketplace",
            "none",
            "Install dagcast-simulator, or use `dagcast init` and events of your own.",
        )
    if name is None:
        return next(iter(factories.values()))
    if name not in factories:
        raise UsageError(
            f"the name of a simulated marketplace ({', '.join(factories)})",
            repr(name),
            "Name one of those.",
        )
    return factories[name]
