"""The sources of a project, held against what the installed packages declare."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagcast.config import Config

if TYPE_CHECKING:
    from dagcast.plugins import Plugins
    from dagcast.sources import Declared
    from dagcast_core.contract import Quantity


def declared_sources(
    config: Config, plugins: "Plugins", folder: Path | None
) -> "tuple[Declared, ...]":
    """The declared sources, resolved.

    Args:
        config: of the project.
        plugins: the installed packages.
        folder: of the project, from which paths count; None where there is none yet.

    Raises:
        ConfigError: a declaration is wrong; names the place.
    """
    if not config.sources:
        return ()
    from dagcast.sources import declared

    own = {table.name for table in plugins.declared}
    tables = {table.name: table for table in plugins.tables if table.name not in own}
    return declared(config.sources, known_quantities(plugins), tables, folder)


def with_sources(config: Config, plugins: "Plugins", folder: Path | None) -> "Plugins":
    """The packages, and the tables that the project declares beside theirs."""
    found = declared_sources(config, plugins, folder)
    own = tuple(item.table for item in found if item.settings.into is None)
    return replace(plugins, declared=own) if own else plugins


def known_quantities(plugins: "Plugins") -> "dict[str, Quantity]":
    """Every quantity that a model of the packages reads or makes; of two, its maker's."""
    read = [entry.quantity for item in plugins.registrations for entry in item.contract.inputs]
    made = [quantity for item in plugins.registrations for quantity in item.contract.outputs]
    return {quantity.name: quantity for quantity in (*read, *made)}
