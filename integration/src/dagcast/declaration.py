"""A quantity's declaration as Python source, for another team to paste."""

from collections.abc import Iterable

from dagcast_core.contract import Aggregation, Dim, Quantity, Weighted
from dagcast_core.dims import HOUR, HOUR_OF_WEEK

_SHIPPED = {"HOUR": HOUR, "HOUR_OF_WEEK": HOUR_OF_WEEK}
# As long as our formatter lets a line be.
_WIDTH = 100


def declaration(quantity: Quantity) -> str:
    """Return source that declares an equal quantity, imports included.

    How people read it (title, display, which way is better) is its owner's to say, and left out.

    Example:
        >>> print(declaration(Quantity("wait", (HOUR,), "min", bounds=(0, None))))
        from dagcast_core.contract import Quantity
        from dagcast_core.dims import HOUR
        <BLANKLINE>
        WAIT = Quantity("wait", dims=(HOUR,), unit="min", bounds=(0, None))
    """
    own = [dim for dim in quantity.dims if _shipped(dim) is None]
    weighted = any(isinstance(how, Weighted) for how in quantity.aggregation.values())
    names = ["Quantity", *(["Dim"] if own else []), *(["Weighted"] if weighted else [])]
    lines = [f"from dagcast_core.contract import {', '.join(sorted(names))}"]
    shipped = sorted({name for dim in quantity.dims if (name := _shipped(dim)) is not None})
    if shipped:
        lines.append(f"from dagcast_core.dims import {', '.join(shipped)}")
    lines += ["", *(f"{dim.name.upper()} = {_dim(dim)}" for dim in own)]
    fields = [f'"{quantity.name}"', *_fields(quantity)]
    start = f"{quantity.name.upper()} = Quantity("
    flat = f"{start}{', '.join(fields)})"
    if len(flat) <= _WIDTH:
        return "\n".join((*lines, flat))
    return "\n".join((*lines, start, *(f"    {field}," for field in fields), ")"))


def _fields(quantity: Quantity) -> Iterable[str]:
    names = [_shipped(dim) or dim.name.upper() for dim in quantity.dims]
    yield f"dims=({', '.join(names)}{',' if len(names) == 1 else ''})"
    yield f"unit={_text(quantity.unit)}"
    if quantity.dtype != "float64":
        yield f"dtype={_text(quantity.dtype)}"
    if quantity.aggregation:
        pairs = (f"{_text(dim)}: {_how(how)}" for dim, how in quantity.aggregation.items())
        yield f"aggregation={{{', '.join(pairs)}}}"
    if quantity.bounds != (None, None):
        yield f"bounds=({', '.join(map(_number, quantity.bounds))})"
    if quantity.nullable:
        yield "nullable=True"
    if quantity.typical is not None:
        yield f"typical=({', '.join(map(_number, quantity.typical))})"
    if quantity.description:
        yield f"description={_text(quantity.description)}"


def _dim(dim: Dim) -> str:
    fields = [_text(dim.name)]
    if dim.kind != "label":
        fields.append(f"kind={_text(dim.kind)}")
    if dim.vocabulary is not None and dim.vocabulary != f"{dim.name}/v1":
        fields.append(f"vocabulary={_text(dim.vocabulary)}")
    if dim.frequency is not None:
        fields.append(f"frequency={_text(dim.frequency)}")
    if dim.zone is not None:
        fields.append(f"zone={_text(dim.zone)}")
    return f"Dim({', '.join(fields)})"


def _shipped(dim: Dim) -> str | None:
    return next((name for name, known in _SHIPPED.items() if known == dim), None)


def _how(how: Aggregation) -> str:
    return f"Weighted({_text(how.by)})" if isinstance(how, Weighted) else _text(how)


def _number(value: float | None) -> str:
    return (
        "None" if value is None else f"{value:g}" if float(f"{value:g}") == value else repr(value)
    )


def _text(value: str) -> str:
    # Python's own escapes, in the quotes that our formatter writes.
    plain = repr(value)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in value else plain
