"""The errors of the algebra, and how they show labels: a few of them, never a whole tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3


class AlignmentError(ValueError):
    """Operands whose labels cannot be brought together without guessing.

    Attributes:
        dim: the dimension at fault, or None where several are.
        left: the labels of the left side, where one dimension is at fault.
        right: the labels of the right side, where one dimension is at fault.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0], {"region": ["SFO"]}, "rides")
        >>> b = IndexTensor([2.0], {"region": ["LAX"]}, "eta")
        >>> try:
        ...     a + b
        ... except AlignmentError as error:
        ...     print(error.dim, list(error.left), list(error.right))
        region ['SFO'] ['LAX']
    """

    def __init__(
        self,
        message: str,
        *,
        dim: str | None = None,
        left: pd.Index | None = None,
        right: pd.Index | None = None,
    ) -> None:
        super().__init__(message)
        self.dim = dim
        self.left = left
        self.right = right

    def __reduce__(self) -> tuple[Any, ...]:
        # Fields are keyword-only; a worker process must be able to send the error home.
        return _rebuild, (type(self), str(self), self.dim, self.left, self.right)


class LabelError(AlignmentError, KeyError):
    """A label, or a dimension, that the tensor does not have.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0], {"region": ["SFO"]}, "rides")
        >>> try:
        ...     a.sel(region="SFQ")
        ... except LabelError as error:
        ...     print(error)
        cannot select region='SFQ' from rides: no such label.
          rides  1 label: 'SFO'
        Near: 'SFO'.
    """

    def __str__(self) -> str:
        # A KeyError, which mappings raise and catch, would show the repr of its message.
        return str(self.args[0])


def _rebuild(
    kind: type[AlignmentError],
    message: str,
    dim: str | None,
    left: pd.Index | None,
    right: pd.Index | None,
) -> AlignmentError:
    return kind(message, dim=dim, left=left, right=right)


def show_label(label: object) -> str:
    """One label as a reader would write it: quoted text, ISO times.

    Example:
        >>> show_label("SFO"), show_label(3)
        ("'SFO'", '3')
    """
    if hasattr(label, "isoformat"):
        return str(label.isoformat()).replace("T", " ")
    if hasattr(label, "item"):
        label = label.item()
    if isinstance(label, tuple):
        return "(" + ", ".join(show_label(part) for part in label) + ")"
    return repr(label)


def show_labels(labels: Iterable[object], size: int) -> str:
    """Count and first labels: ``12 labels: 'SFO', 'LAX', 'SEA', ...``.

    Example:
        >>> show_labels("abcde", 5)
        "5 labels: 'a', 'b', 'c', ..."
    """
    if size == 0:
        return "no labels"
    first: list[str] = []
    for label in labels:
        if len(first) == SHOWN:
            break
        first.append(show_label(label))
    more = ", ..." if size > SHOWN else ""
    return f"{size} label{'s' if size > 1 else ''}: {', '.join(first)}{more}"


def show_sides(*sides: tuple[str, pd.Index]) -> str:
    """Two or more operands with their labels, in aligned columns.

    Example:
        >>> import pandas as pd
        >>> print(show_sides(("a", pd.Index([1])), ("bcd", pd.Index([2, 3]))))
          a    1 label: 1
          bcd  2 labels: 2, 3
    """
    width = max(len(name) for name, _ in sides)
    return "\n".join(
        f"  {name:<{width}}  {show_labels(index, len(index))}" for name, index in sides
    )
