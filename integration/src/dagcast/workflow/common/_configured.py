"""Settings of a project that is not on disk yet."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagcast import _config_file
from dagcast.config import Config, config_text, load_config
from dagcast.plugins import load_plugins
from dagcast.vocabulary import first_config


def configured(flags: Mapping[str, str] | None, **project: Any) -> Config:
    """The settings of a new project: of the packages, then its own, then dotted flags.

    Args:
        flags: dotted key to text; a package that ``disable`` names sets nothing.
        **project: tables that win over those of the packages, such as ``seeds``.

    Raises:
        ConfigError: a flag is wrong.
        AssemblyError: two packages bring first settings that contradict each other.
    """
    disable = _config_file.literal((flags or {}).get("disable", "[]"))
    plugins = load_plugins(disable=disable if isinstance(disable, list) else ())
    config = first_config(plugins, **project)
    if not flags:
        return config
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "dagcast.toml"
        path.write_text(config_text(config), encoding="utf-8")
        return load_config(path, flags=flags)
