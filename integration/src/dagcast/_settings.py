"""What all tables of ``dagcast.toml`` have in common."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationInfo


def no_flag(cls: type[BaseModel], value: Any, about: ValidationInfo) -> Any:
    """Refuse true and false where no flag is asked for: `hours = true` would be one hour."""
    field = cls.model_fields[about.field_name or ""]
    if _flagged(value) and not any(map(_may_be_flag, _parts(field.annotation))):
        raise ValueError("a value of its own kind, not true or false")
    return value


def _flagged(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_flagged, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_flagged, value))
    return isinstance(value, bool)


def _parts(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of."""
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part)


def _may_be_flag(part: Any) -> bool:
    # Tables within look at their own fields.
    inner = isinstance(part, type) and issubclass(part, BaseModel)
    return inner or part is bool or part is Any or isinstance(part, bool)
