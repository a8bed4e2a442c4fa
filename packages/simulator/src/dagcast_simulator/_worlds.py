"""Makes and reopens worlds: what the simulator contributes to dagcast."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagcast_simulator._decisions import FORMAT, WorldError
from dagcast_simulator._scenario import Scenario
from dagcast_simulator._world import MarketWorld, make_world, reopen_world


class MarketWorlds:
    """Makes and reopens ``MarketWorld``: what the hook ``dagcast_worlds`` contributes."""

    name = "market"

    def create(
        self,
        regions: int = 12,
        weeks: int = 16,
        seed: int = 0,
        scenario: Mapping[str, Any] | Scenario | None = None,
    ) -> MarketWorld:
        """A new world; equal arguments give equal worlds.

        Args:
            regions: number of regions.
            weeks: weeks of history.
            seed: not negative.
            scenario: fields that differ from the default; ``{"base": name}`` starts from a
                shipped scenario.

        Raises:
            ScenarioError: the scenario is not valid.
            WorldError: a number is out of range.
        """
        if not isinstance(scenario, Scenario):
            scenario = Scenario.from_mapping(scenario or {})
        return make_world(scenario, regions, weeks, seed)

    def load(self, folder: str | Path) -> MarketWorld:
        """Reopen the world whose ``world.json`` lies in ``folder``.

        Raises:
            WorldError: there is none, or it was written in another format.
        """
        path = Path(folder) / "world.json"
        if not path.is_file():
            raise WorldError(
                f"no world.json in {folder}; write_events puts one beside the event files."
            )
        try:
            manifest = json.loads(path.read_text("utf-8"))
            kind, layout = manifest["kind"], manifest["format"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise WorldError(f"{path} is not a world's manifest: {error!r}") from error
        if (kind, layout) != ("market", FORMAT):
            raise WorldError(
                f"{path} describes a world of kind {kind!r}, format {layout!r}; this simulator "
                f"reads 'market', format {FORMAT}. Write its events again."
            )
        try:
            scenario = Scenario.from_mapping(manifest["scenario"])
            world = self.create(manifest["regions"], manifest["weeks"], manifest["seed"], scenario)
            return reopen_world(world, Path(folder), manifest)
        except KeyError as error:
            raise WorldError(f"{path} is not a world's manifest: it lacks {error}") from error
