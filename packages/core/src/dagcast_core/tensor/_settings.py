"""How labels are joined, per call or for everything inside a ``with`` block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Literal, TypeAlias, final, get_args

from dagcast_core.tensor._layout import Layout
from dagcast_core.tensor._plan import JoinPlan

Join: TypeAlias = Literal["inner", "exact", "left", "outer"]
OnEmpty: TypeAlias = Literal["raise", "allow"]

_PLAN_COUNT = 1024
_PLAN_BYTES = 64 * 2**20


@final
class Settings:
    """One way of joining labels, with the plans made under it.

    Settings are interned, so that finding a plan costs one look-up by identity.

    Attributes:
        join: which labels the result keeps.
        fill: value for missing labels under ``left`` and ``outer``.
        tolerance: largest distance of equal float labels.
        on_empty: whether an empty intersection raises.
        plans: plans by (left, right) layout, bounded by number and by memory.
    """

    __slots__ = ("_bytes", "fill", "join", "on_empty", "plans", "tolerance")

    def __init__(
        self, join: Join, fill: float | None, tolerance: float | None, on_empty: OnEmpty
    ) -> None:
        self.join = join
        self.fill = fill
        self.tolerance = tolerance
        self.on_empty = on_empty
        self.plans: dict[tuple[Layout, Layout], JoinPlan] = {}
        self._bytes = 0

    def keep(self, pair: tuple[Layout, Layout], plan: JoinPlan) -> None:
        """Remember a plan; at the bounds, forget the older half."""
        if len(self.plans) >= _PLAN_COUNT or self._bytes + plan.nbytes > _PLAN_BYTES:
            # Half at a time: the first entry of a dict whose front was emptied is slow to find.
            for oldest in list(islice(self.plans, (len(self.plans) + 1) // 2)):
                self._bytes -= self.plans.pop(oldest).nbytes
        self.plans[pair] = plan
        self._bytes += plan.nbytes


@lru_cache(maxsize=64)
def _interned(
    join: Join, fill: float | None, fill_type: str, tolerance: float | None, on_empty: OnEmpty
) -> Settings:
    del fill_type  # only part of the key: 1, 1.0 and True are equal but give other dtypes
    return Settings(join, fill, tolerance, on_empty)


def settings(
    join: Join | None = None,
    fill: float | None = None,
    tolerance: float | None = None,
    on_empty: OnEmpty | None = None,
) -> Settings:
    """Settings of a call: what it says, and the context's where it says nothing.

    Raises:
        ValueError: an unknown join, or a negative tolerance.

    Example:
        >>> settings("outer", fill=0.0).join, settings().join
        ('outer', 'inner')
    """
    current = SETTINGS.get()
    if join is None and fill is None and tolerance is None and on_empty is None:
        return current
    join = current.join if join is None else join
    if join not in get_args(Join):
        raise ValueError(
            f"cannot join labels by {join!r}: the joins are {', '.join(get_args(Join))}."
        )
    on_empty = current.on_empty if on_empty is None else on_empty
    if on_empty not in get_args(OnEmpty):
        raise ValueError(f"cannot handle empty joins by {on_empty!r}: say 'raise' or 'allow'.")
    if tolerance is not None and not tolerance >= 0:
        raise ValueError(f"cannot use the tolerance {tolerance!r}: it is a distance, at least 0.")
    fill = current.fill if fill is None else fill
    if isinstance(fill, float) and math.isnan(fill):
        fill = math.nan  # one object, since nan differs from itself
    tolerance = current.tolerance if tolerance is None else tolerance
    return _interned(join, fill, type(fill).__name__, tolerance, on_empty)


_DEFAULT = _interned("inner", None, "", None, "raise")
# Settings never change, but for the plans that they remember.
SETTINGS: ContextVar[Settings] = ContextVar("dagcast_alignment", default=_DEFAULT)


# Every left label must be there; whatever else the right side has is not asked for.
COVERING = _interned("left", None, "", None, "allow")


@contextmanager
def using(chosen: Settings) -> Iterator[None]:
    """Apply settings to every operation inside the block.

    Example:
        >>> with using(settings("exact")):
        ...     SETTINGS.get().join
        'exact'
    """
    token = SETTINGS.set(chosen)
    try:
        yield
    finally:
        SETTINGS.reset(token)
