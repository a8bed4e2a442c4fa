"""Loading and checking what installed packages register."""

from dagcast.plugins._api import speaks
from dagcast.plugins._installed import Plugin, Plugins
from dagcast.plugins._load import load_plugins

__all__ = ["Plugin", "Plugins", "load_plugins", "speaks"]
