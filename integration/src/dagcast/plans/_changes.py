"""Changes of a plan as people make them at a map: labels, hours, and what becomes of the cells."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, final

from dagcast.errors import UsageError
from dagcast.plans._proposal import LEVER, VALUE, LeverShape

if TYPE_CHECKING:
    import pandas as pd

How: TypeAlias = Literal["set", "scale", "most", "total"]
"""Set cells to a value, multiply them, cap each of them, or cap their sum."""
_HOWS = ("set", "scale", "most", "total")
# As many as somebody makes by hand.
_MOST = 200


@final
@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        lever: whose cells.
        where: labels by dim; a dim that is left out means all of its labels.
        start: first hour, ISO with zone; the first of the plan where it is None.
        end: last hour, ISO with zone; the last of the plan where it is None.
        how: what becomes of the cells.
        value: in the unit of a cell, of the sum of cells for ``total``, or a factor.
    """

    lever: str
    where: Mapping[str, tuple[str, ...]]
    start: str | None
    end: str | None
    how: How
    value: float


def changes_of(given: Any) -> tuple[Change, ...]:
    """Changes as a browser sends them.

    Raises:
        UsageError: they are none, or too many.
    """
    if not isinstance(given, list) or not 0 < len(given) <= _MOST:
        raise _wrong(f"1 to {_MOST} changes", "none or more")
    return tuple(_change(item) for item in given)


def _change(item: Any) -> Change:
    if not isinstance(item, Mapping) or set(item) - {
        "lever",
        "where",
        "start",
        "end",
        "how",
        "value",
    }:
        raise _wrong("a change with lever, where, start, end, how and value", f"{item!r:.100}")
    lever, where, how, value = (item.get(key) for key in ("lever", "where", "how", "value"))
    labels = where if isinstance(where, Mapping) else {}
    known = all(
        isinstance(dim, str) and isinstance(names, list) and all(isinstance(n, str) for n in names)
        for dim, names in labels.items()
    )
    hours = [item.get("start"), item.get("end")]
    if not isinstance(lever, str) or not known or how not in _HOWS:
        raise _wrong(
            "a lever, labels by dim, and one of set, scale, most and total", f"{item!r:.100}"
        )
    if not all(hour is None or isinstance(hour, str) for hour in hours):
        raise _wrong("hours such as 2026-03-02T00:00Z", f"{hours!r:.100}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("a number", f"{value!r:.50}")
    if not (math.isfinite(value) and value >= 0):
        raise _wrong("a finite number, 0 or above", f"{value:g}")
    where_ = {dim: tuple(names) for dim, names in labels.items()}
    return Change(lever, where_, hours[0], hours[1], cast("How", how), float(value))


def applied(
    decisions: "pd.DataFrame", changes: Sequence[Change], levers: Mapping[str, LeverShape]
) -> "pd.DataFrame":
    """The cells that changes touch, with their new values; one after the other.

    Args:
        decisions: of the plan: lever, dims, value.
        changes: in their order.
        levers: those that are decided, by name.

    Raises:
        UsageError: a lever, dim, label or hour that the plan does not have.
    """
    frame = decisions.reset_index(drop=True).copy()
    touched = frame[LEVER].isna()
    for change in changes:
        chosen = _cells(frame, change, levers)
        own = frame.loc[chosen, VALUE]
        if change.how == "set":
            frame.loc[chosen, VALUE] = change.value
        elif change.how == "scale":
            frame.loc[chosen, VALUE] = own * change.value
        elif change.how == "most":
            frame.loc[chosen, VALUE] = own.clip(upper=change.value)
        elif (total := float(own.sum())) > change.value:
            frame.loc[chosen, VALUE] = own * (change.value / total)
        touched |= chosen
    return frame[touched]


def _cells(
    frame: "pd.DataFrame", change: Change, levers: Mapping[str, LeverShape]
) -> "pd.Series[bool]":
    import pandas as pd

    if change.lever not in levers:
        raise _wrong(f"a lever out of {', '.join(levers)}", repr(change.lever))
    shape = levers[change.lever]
    chosen = frame[LEVER] == change.lever
    for dim, names in change.where.items():
        if dim not in shape.labels or dim == shape.time:
            dims = ", ".join(name for name in shape.labels if name != shape.time)
            raise _wrong(f"a dim out of {dims}", repr(dim))
        known = {str(label) for label in shape.labels[dim]}
        if strange := [name for name in names if name not in known]:
            raise _wrong(f"a {dim} out of {', '.join(sorted(known)[:10])}", repr(strange[0]))
        chosen &= frame[dim].astype(str).isin(names)
    for hour, after in ((change.start, True), (change.end, False)):
        if hour is None:
            continue
        try:
            moment = pd.Timestamp(hour).tz_convert("UTC")
        except (ValueError, TypeError) as error:
            raise _wrong(
                "an hour with its zone, such as 2026-03-02T00:00Z", f"{hour!r:.50}"
            ) from error
        chosen &= frame[shape.time] >= moment if after else frame[shape.time] <= moment
    if not chosen.any():
        raise _wrong("cells of the plan", "none in the hours and labels that were chosen")
    return chosen


def _wrong(expected: str, found: str) -> UsageError:
    return UsageError(expected, found, "Correct it; nothing was changed.")
