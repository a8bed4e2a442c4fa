"""JSON that people or other programs wrote, without the liberties that Python's reader takes."""

from typing import Any, NoReturn

LARGEST = 50_000_000
"""Bytes of a JSON text; experiments and labels of a thousand regions take less than one million."""


def parsed_json(data: bytes) -> Any:
    """Read JSON whose every key stands once, whose figures are finite, and whose depth is sane.

    Args:
        data: UTF-8; at most 50 MB.

    Returns:
        Dicts, lists, texts, numbers, booleans and None.

    Raises:
        ValueError: it is none; says in words what was found.
    """
    # Contracts are joined without any.
    import json

    if len(data) > LARGEST:
        raise ValueError(f"{len(data):,} bytes, where {LARGEST:,} are the most")
    try:
        return json.loads(
            data.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_infinite
        )
    except RecursionError as error:
        raise ValueError("more levels than can be read") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} twice in one object")
    return found


def _infinite(text: str) -> NoReturn:
    raise ValueError(f"{text}, which is no number")
