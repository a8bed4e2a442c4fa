"""What a notebook shows of an object: a title and short rows on one screen, as text and HTML."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

_LINES, _COLUMNS = 20, 100


@final
@dataclass(frozen=True)
class Screen:
    """At most 20 lines of 100 columns.

    Args:
        title: the first line.
        rows: a name and what is said of it.
    """

    title: str
    rows: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self._shown()), default=0)
        lines = [self.title, *(f"  {name:<{width}}  {said}" for name, said in self._shown())]
        return "\n".join(_cut(line.rstrip()) for line in lines)

    def html(self, picture: str = "") -> str:
        """The same as an element, escaped.

        Args:
            picture: HTML that is put below, as it is.
        """
        # Only a notebook pays for the import.
        import html

        body = "".join(
            f'<tr><th style="text-align:left">{html.escape(_flat(name))}</th>'
            f'<td style="text-align:left">{html.escape(_flat(said))}</td></tr>'
            for name, said in self._shown()
        )
        title = html.escape(_flat(self.title))
        return f"<div><code>{title}</code><table>{body}</table>{picture}</div>"

    def _shown(self) -> tuple[tuple[str, str], ...]:
        room = _LINES - 1
        if len(self.rows) <= room:
            return self.rows
        return (*self.rows[: room - 1], ("...", f"and {len(self.rows) - room + 1} more"))


def listed(names: Iterable[str]) -> str:
    """Names with commas, or a dash where there are none."""
    return ", ".join(names) or "-"


def _cut(line: str) -> str:
    line = _flat(line)
    return line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..."


def _flat(text: str) -> str:
    """Text on one line: descriptions and messages are anybody's."""
    return "".join(c if c.isprintable() else " " for c in text)
