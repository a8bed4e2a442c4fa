"""Settings of a project that is not on disk yet."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from dagcast.config import Config, config_text, load_config


def configured(config: Config, flags: Mapping[str, str] | None) -> Config:
    """Apply dotted flags to the settings of a project that is not on disk yet."""
    if not flags:
        return config
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "dagcast.toml"
        path.write_text(config_text(config), encoding="utf-8")
        return load_config(path, flags=flags)
