"""Reading ``dagcast.toml``: where each value came from, and what is wrong with it.

``tomllib`` keeps no positions, so the line of a key is found again in the text. That is enough for
a message; the values themselves come only from the parser.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dagcast._held import held_text, parsed_toml
from dagcast.errors import ConfigError

Key = tuple[str | int, ...]

# Bytes of a file, and problems that are told at once.
_LARGEST, _TOLD = 1_000_000, 20
_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"""^\s*([A-Za-z0-9_\-."']+)\s*=""")


def parse(path: Path) -> tuple[dict[str, Any], str]:
    """Read a TOML file.

    Returns:
        The parsed tables and the text they came from.

    Raises:
        ConfigError: the file cannot be read or is not TOML; names the line and column.
    """
    try:
        text = held_text(path, _LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a readable UTF-8 text", f"{path}: {error}", "Restore the file."
        ) from error
    try:
        return parsed_toml(text), text
    except ValueError as error:
        # A number of thousands of digits, or thousands of brackets, is none of the parser's errors.
        raise ConfigError(
            f"TOML in {path}",
            str(error),
            "Correct that line; text goes in quotes, lists in square brackets.",
        ) from error


def line_of(text: str, key: Key) -> int | None:
    """Line, counted from 1, that sets ``key`` in a TOML text, or the nearest table above it."""
    lines = _lines(text)
    for end in range(len(key), 0, -1):
        if key[:end] in lines:
            return lines[key[:end]]
    return None


def _lines(text: str) -> dict[Key, int]:
    found: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _split(header.group(2))
            if header.group(1) == "[[":
                position = counts.get(table, 0)
                counts[table] = position + 1
                found.setdefault(table, number)
                table = (*table, position)
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            found.setdefault((*table, *_split(assignment.group(1))), number)
    return found


def _split(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def merge(tables: Mapping[str, Any], dotted: str, value: Any, source: str) -> dict[str, Any]:
    """Set one dotted key over the file's value.

    Raises:
        ConfigError: a part of the key is a value, not a table.
    """
    merged = dict(tables)
    here = merged
    *parents, last = dotted.split(".")
    for depth, part in enumerate(parents):
        inner = here.get(part, {})
        if not isinstance(inner, Mapping):
            inside = ".".join(parents[: depth + 1])
            raise ConfigError(
                f"{inside} to be a table",
                f"{source} sets {dotted!r}",
                f"Set {inside} itself, or edit the list in dagcast.toml.",
            )
        here[part] = dict(inner)
        here = here[part]
    here[last] = value
    return merged


def literal(text: str) -> Any:
    """A flag's or environment variable's text as TOML would read it, else as plain text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def explain(
    error: ValidationError,
    model: type[BaseModel],
    *,
    path: Path,
    text: str,
    sources: Mapping[str, str],
) -> ConfigError:
    """Turn pydantic's findings into one message that names place, value and remedy.

    Args:
        error: what pydantic found; every problem is listed.
        model: the settings' class, for the allowed keys.
        path: the file that was read.
        text: its text, for line numbers.
        sources: dotted keys that a flag or the environment set, with its name.
    """
    problems = []
    found_errors = error.errors()
    for item in found_errors[:_TOLD]:
        key: Key = tuple(part for part in item["loc"] if not _is_branch(part))
        problems.append(_problem(item, key, model, _place(key, path, text, sources)))
    expected = "; ".join(problem[0] for problem in problems)
    found = "; ".join(problem[1] for problem in problems)
    if len(found_errors) > _TOLD:
        found += f"; and {len(found_errors) - _TOLD:,} more"
    fixes = " ".join(dict.fromkeys(problem[2] for problem in problems if problem[2]))
    return ConfigError(expected, found, fixes or f"Correct {path.name}.")


def _is_branch(part: str | int) -> bool:
    # pydantic adds the name of a validator to the location of what it wraps.
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _place(key: Key, path: Path, text: str, sources: Mapping[str, str]) -> str:
    dotted = ".".join(str(part) for part in key)
    for name, source in sources.items():
        if dotted == name or dotted.startswith(f"{name}."):
            return source
    line = line_of(text, key)
    return f"{path.name} line {line}" if line else path.name


def _problem(
    item: Mapping[str, Any], key: Key, model: type[BaseModel], place: str
) -> tuple[str, str, str]:
    name = ".".join(str(part) for part in key)
    if item["type"] == "extra_forbidden":
        # Only a wrong key pays for the import.
        import difflib

        allowed = _allowed(model, key[:-1])
        table = ".".join(str(part) for part in key[:-1])
        where = f"[{table}]" if table else "the top level"
        near = difflib.get_close_matches(str(key[-1]), allowed, n=1)
        advice = f"Did you mean {near[0]!r}?" if near else "Remove the key."
        return (
            f"a key of {where} ({', '.join(allowed)})",
            f"{key[-1]!r} at {place}",
            advice,
        )
    if item["type"] == "missing":
        return (f"the key {name!r}", f"none at {place}", f"Add {key[-1]} = ... there.")
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.replace("valid datetime", "UTC time such as 2026-03-02T00:00:00Z")
    if not key:
        # What several tables say together has no line of its own.
        return (message, f"none at {place}", "")
    found = repr(item["input"])
    shown = found if len(found) <= 200 else f"{found[:200]}..."
    return (f"{name} to be {message}", f"{shown} at {place}", "")


def _allowed(model: type[BaseModel], key: Sequence[str | int]) -> list[str]:
    here: Any = model
    for part in key:
        if isinstance(part, int):
            continue
        fields = getattr(here, "model_fields", {})
        if part not in fields:
            continue
        here = _inner(fields[part].annotation)
    return sorted(getattr(here, "model_fields", {}))


def _inner(annotation: Any) -> Any:
    """The settings class inside ``tuple[X, ...]``, ``dict[str, X]`` or ``X | None``."""
    for argument in getattr(annotation, "__args__", ()):
        found = _inner(argument)
        if hasattr(found, "model_fields"):
            return found
    return annotation
