"""The graph of models as text, as Mermaid and as SVG.

The SVG is drawn here: Graphviz would have to be installed on the machine beside Python, and what
draws graphs in pure Python brings matplotlib along. A DAG of models is small and its layers are
known, so boxes in columns with curves between them are enough.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from dagcast_core.contract._contract import Contract
from dagcast_core.contract._screen import listed

_BOX, _GAP_X, _GAP_Y, _LINE = 190, 120, 26, 15
_MOST_OUTSIDE = 6


@final
@dataclass(frozen=True)
class Link:
    """A quantity that one model makes and another reads.

    Attributes:
        maker: name of the model that makes it.
        reader: name of the model that reads it.
        quantity: its name.
        lag: steps by which the reader reads an older value.
    """

    maker: str
    reader: str
    quantity: str
    lag: int


@final
@dataclass(frozen=True)
class Graph:
    """Who makes what for whom.

    Args:
        contracts: of the models, producers first.
    """

    contracts: tuple[Contract, ...]

    @classmethod
    def of(cls, contracts: Iterable[Contract], order: Sequence[str] = ()) -> "Graph":
        """The graph of contracts, in an order of their models; in the given one by default."""
        by_name = {contract.model: contract for contract in contracts}
        return cls(tuple(by_name[name] for name in order or by_name))

    @property
    def links(self) -> tuple[Link, ...]:
        """Every quantity between two models, in the order of the readers."""
        maker = {name: item.model for item in self.contracts for name in item.output_names}
        return tuple(
            Link(maker[read.name], item.model, read.name, read.lag)
            for item in self.contracts
            for read in item.inputs
            if read.name in maker
        )

    @property
    def outside(self) -> tuple[str, ...]:
        """Quantities that models read and none makes, levers included."""
        made = {name for item in self.contracts for name in item.output_names}
        read = dict.fromkeys(name for item in self.contracts for name in item.input_names)
        return tuple(name for name in read if name not in made)

    def rows(self) -> tuple[tuple[str, str], ...]:
        """A line for each model: what it reads and what it makes."""
        return tuple(
            (
                item.model,
                f"{listed(_read(read.name, read.lag) for read in item.inputs)} -> "
                f"{listed(item.output_names)}",
            )
            for item in self.contracts
        )

    def text(self) -> str:
        """As plain text, nothing left out."""
        makers = {(link.reader, link.quantity): link.maker for link in self.links}
        lines = [f"from outside: {listed(self.outside)}"]
        for item in self.contracts:
            lines += ["", item.model]
            for read in item.inputs:
                source = makers.get((item.model, read.name), "outside")
                lines.append(f"  reads {_read(read.name, read.lag)}  ({source})")
            lines += [f"  makes {name}" for name in item.output_names]
        return "\n".join(lines)

    def mermaid(self) -> str:
        """As a Mermaid flowchart, which GitHub and notebooks draw."""
        place = {item.model: f"m{k}" for k, item in enumerate(self.contracts)}
        lines = ["flowchart LR"]
        lines += [f'  {place[item.model]}["{item.model}"]' for item in self.contracts]
        for k, name in enumerate(self.outside):
            lines.append(f'  x{k}(["{name}"])')
            lines += [
                f"  x{k} --> {place[item.model]}"
                for item in self.contracts
                if name in item.input_names
            ]
        for link in self.links:
            arrow = "-.->" if link.lag else "-->"
            label = _read(link.quantity, link.lag)
            lines.append(f'  {place[link.maker]} {arrow}|"{label}"| {place[link.reader]}')
        return "\n".join(lines)

    def svg(self) -> str:
        """As an SVG element: models in columns, producers to the left; lagged reads are dashed."""
        boxes = self._boxes()
        width = max((x + _BOX for x, _, _ in boxes.values()), default=0) + 20
        height = max((y + h for _, y, h in boxes.values()), default=0) + 20
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="11" '
            'role="img"><title>Models and what they read of each other</title>'
        ]
        joined: dict[tuple[str, str, bool], list[str]] = {}
        for link in self.links:
            key = (link.maker, link.reader, link.lag > 0)
            joined.setdefault(key, []).append(_read(link.quantity, link.lag))
        for (maker, reader, lagged), names in joined.items():
            parts.append(_curve(boxes[maker], boxes[reader], lagged, listed(names)))
        for item in self.contracts:
            x, y, h = boxes[item.model]
            parts.append(
                f'<rect x="{x}" y="{y}" width="{_BOX}" height="{h}" rx="5" fill="#f4f6f8" '
                f'stroke="#56677a"/><text x="{x + 8}" y="{y + 17}" font-weight="bold" '
                f'fill="#16222e">{_escaped(item.model)}</text>'
            )
            for k, line in enumerate(self._outside_lines(item)):
                parts.append(
                    f'<text x="{x + 8}" y="{y + 17 + _LINE * (k + 1)}" '
                    f'fill="#56677a">{_escaped(line)}</text>'
                )
        return "".join([*parts, "</svg>"])

    def _boxes(self) -> dict[str, tuple[int, int, int]]:
        """Left, top and height of each model's box."""
        column: dict[str, int] = {}
        for item in self.contracts:
            # A lagged read may come from a model further on, which has no column yet.
            before = [
                column[link.maker] + 1
                for link in self.links
                if link.reader == item.model and link.maker in column
            ]
            column[item.model] = max(before, default=0)
        top: dict[int, int] = {}
        boxes = {}
        for item in self.contracts:
            at = column[item.model]
            height = 26 + _LINE * len(self._outside_lines(item))
            # Every second column is set lower, so that curves past it stay in sight.
            y = top.get(at, 20 + 30 * (at % 2))
            boxes[item.model] = (20 + at * (_BOX + _GAP_X), y, height)
            top[at] = y + height + _GAP_Y
        return boxes

    def _outside_lines(self, item: Contract) -> list[str]:
        outside = set(self.outside)
        names = [_read(read.name, read.lag) for read in item.inputs if read.name in outside]
        if len(names) > _MOST_OUTSIDE:
            names = [*names[: _MOST_OUTSIDE - 1], f"and {len(names) - _MOST_OUTSIDE + 1} more"]
        return [f"< {name}" for name in names]


def _read(name: str, lag: int) -> str:
    return f"{name} ({lag} earlier)" if lag else name


def _curve(tail: tuple[int, int, int], head: tuple[int, int, int], lagged: bool, label: str) -> str:
    x1, y1 = tail[0] + _BOX, tail[1] + 13
    x2, y2 = head[0], head[1] + 13
    bend = max(40, abs(x2 - x1) // 2)
    dash = ' stroke-dasharray="5 4"' if lagged else ""
    short = label if len(label) <= 34 else f"{label[:31]}..."
    return (
        f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" '
        f'stroke="#8a9bad"{dash}><title>{_escaped(label)}</title></path>'
        f'<path d="M{x2} {y2} l-7 -3 l0 6 z" fill="#8a9bad"/>'
        f'<text x="{(x1 + x2) // 2}" y="{(y1 + y2) // 2 - 4}" text-anchor="middle" '
        f'fill="#2f5d8a">{_escaped(short)}</text>'
    )


def _escaped(text: str) -> str:
    # Only a drawing pays for the import.
    import html

    return html.escape(text)
