"""Markup of which every text is escaped: only what `tag` made is taken as it is."""

import html
from typing import TypeAlias, final


@final
class Html(str):
    """Markup; everything else is text, whatever it looks like."""

    __slots__ = ()


Child: TypeAlias = "str | Html | None"


def tag(element: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """An element.

    Args:
        element: its name.
        children: texts, which are escaped, and elements.
        attributes: ``class_`` is ``class``, and ``data_key`` is ``data-key``; True stands without a
            value, None and False are left out.
    """
    given = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if element in _VOID:
        return Html(f"<{element}{given}>")
    return Html(f"<{element}{given}>{joined(*children)}</{element}>")


def joined(*children: Child) -> Html:
    """Elements and texts one after the other."""
    return Html(
        "".join(
            child if isinstance(child, Html) else html.escape(child)
            for child in children
            if child is not None
        )
    )


_VOID = {"input", "link", "meta", "br", "hr"}


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
