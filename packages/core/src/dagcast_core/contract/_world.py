"""What a simulated marketplace does for the rest: the only thing integration knows of one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pandas import DataFrame, DatetimeIndex

    from dagcast_core.contract._experiment import Experiment


class World(Protocol):
    """A marketplace whose truth is known.

    Decisions are frames, one row per cell, with the columns ``lever``, the levers' dims, ``hour``
    (its start, UTC) and ``value`` (in the lever's unit).
    """

    @property
    def carries_out(self) -> tuple[str, ...]:
        """Levers that ``play`` carries out; any other goes on as it was announced."""
        ...

    def write_events(self, folder: Path) -> dict[str, int]:
        """Write the history's event files, and calendar and forecast of the planning week.

        Returns:
            Rows written, by file.
        """
        ...

    def play(
        self, folder_out: Path, decisions: "DataFrame", hours: "DatetimeIndex"
    ) -> dict[str, int]:
        """Live through ``hours`` under ``decisions`` and write their event files.

        The random numbers do not depend on the decisions, so two plans meet the same week.

        Returns:
            Rows written, by file.
        """
        ...

    def outcome(self, decisions: "DataFrame") -> "DataFrame":
        """Return what would happen under ``decisions``, without writing events.

        Returns:
            One row per label, such as a region, and hour of the planning week, one column per
            quantity.
        """
        ...

    def true_effect(self, experiment: "Experiment") -> float:
        """Return the effect that ``experiment`` estimates, on its own scale."""
        ...


@runtime_checkable
class ContinuingWorld(World, Protocol):
    """A world that goes on: its weeks can be played one after another.

    ``play`` then also writes what the week after needs: its calendar, campaigns, fares and weather
    forecast. Reopen the world of the history and follow the played weeks in their order::

        world = factory.load(history)
        for folder in played:
            world = world.after(folder)
    """

    def after(self, folder: Path) -> "ContinuingWorld":
        """Return the world a week later, as it went on from the week that ``play`` wrote there.

        Its history holds that week, and the first hour that it can play is the one after.
        """
        ...


class WorldFactory(Protocol):
    """Makes and reopens worlds of one kind; what the hook ``dagcast_worlds`` returns."""

    name: str

    def create(self, size: int, weeks: int, seed: int, scenario: Mapping[str, Any], /) -> World:
        """Return a new marketplace; equal arguments give equal worlds.

        Args:
            size: labels of the dim that the world is made of, such as regions.
            weeks: of history.
            seed: of everything random.
            scenario: settings of the world's own.
        """
        ...

    def load(self, folder: Path) -> World:
        """Return the world whose ``world.json`` lies in ``folder``."""
        ...
