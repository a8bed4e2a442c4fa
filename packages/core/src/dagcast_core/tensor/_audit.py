"""Which labels joins have dropped, collected on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dropped:
    """Labels that one kind of operation dropped along one dim.

    Attributes:
        expression: what was computed, such as ``rides * eta``.
        dim: dimension.
        left: labels of the left side without a partner.
        right: labels of the right side without a partner.
    """

    expression: str
    dim: str
    left: int
    right: int


@dataclass
class Audit:
    """What was dropped inside an `audit` block.

    Attributes:
        counts: how often each drop happened.
    """

    counts: dict[Dropped, int] = field(default_factory=dict)

    @property
    def drops(self) -> tuple[Dropped, ...]:
        """Each distinct drop, in order of first occurrence."""
        return tuple(self.counts)

    @property
    def total(self) -> int:
        """Labels dropped over all operations."""
        return sum((d.left + d.right) * n for d, n in self.counts.items())

    def __str__(self) -> str:
        if not self.counts:
            return "no labels dropped"
        return "\n".join(
            f"{d.expression}: along {d.dim!r} {d.left} of the left, {d.right} of the right"
            + (f" ({n} times)" if n > 1 else "")
            for d, n in self.counts.items()
        )


AUDIT: ContextVar[Audit | None] = ContextVar("dagcast_audit", default=None)


@contextmanager
def audit() -> Iterator[Audit]:
    """Collect the labels that joins drop inside the block.

    Yields:
        The collection, filled as operations run.

    Example:
        >>> from dagcast_core.tensor import IndexTensor
        >>> a = IndexTensor([1.0, 2.0], {"region": ["SFO", "LAX"]}, "rides")
        >>> b = IndexTensor([1.0], {"region": ["LAX"]}, "eta")
        >>> with audit() as dropped:
        ...     total = a + b
        >>> print(dropped)
        rides + eta: along 'region' 1 of the left, 0 of the right
    """
    collected = Audit()
    token = AUDIT.set(collected)
    try:
        yield collected
    finally:
        AUDIT.reset(token)


def record(expression: str, drops: tuple[tuple[str, int, int], ...]) -> None:
    """Tell the current audit, if there is one.

    Example:
        >>> with audit() as dropped:
        ...     record("a + b", (("region", 1, 2),))
        >>> dropped.total
        3
    """
    collected = AUDIT.get()
    if collected is not None:
        for dim, left, right in drops:
            entry = Dropped(expression, dim, left, right)
            collected.counts[entry] = collected.counts.get(entry, 0) + 1
