"""Where in a project's settings something stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dagcast import _config_file
from dagcast._held import held_text
from dagcast.errors import ConfigError

CONFIG = "dagcast.toml"
FOLDER = "sources"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a declaration.

    Attributes:
        key: of the setting, below the source's own table.
        expected: what it should say.
        found: what it says.
        fix: what to do.
    """

    key: tuple[str, ...]
    expected: str
    found: str
    fix: str = ""


def refuse(folder: Path | None, source: str, findings: Iterable[Finding]) -> ConfigError:
    """One error of everything that is wrong with a source, each with its place."""
    findings = tuple(findings)
    expected = "; ".join(
        f"[sources.{source}] {'.'.join(item.key)} to be {item.expected}"
        if item.key
        else f"[sources.{source}] to have {item.expected}"
        for item in findings
    )
    found = "; ".join(f"{item.found} at {place(folder, source, item.key)}" for item in findings)
    fixes = " ".join(dict.fromkeys(item.fix for item in findings if item.fix))
    return ConfigError(expected, found, fixes or "Correct the declaration.")


def place(folder: Path | None, source: str, key: tuple[str, ...] = ()) -> str:
    """File and line of a source's setting, or of the nearest one above it."""
    if folder is None:
        return CONFIG
    own = folder / FOLDER / f"{source}.toml"
    path, full = (own, key) if own.is_file() else (folder / CONFIG, ("sources", source, *key))
    name = f"{FOLDER}/{own.name}" if path == own else CONFIG
    try:
        text = held_text(path)
    except (OSError, UnicodeDecodeError):
        return name
    line = _config_file.line_of(text, full)
    return f"{name} line {line}" if line else name
