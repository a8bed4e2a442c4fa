"""Figures as people read them: money, totals with units, intervals.

How a quantity is read (its title, what is better, how figures are written) is said by the package
that owns it; here stand only the ways of writing.
"""

import math
import re
from collections.abc import Iterable
from typing import Any

MINUS = "\N{MINUS SIGN}"
"""Stands before a negative figure; a hyphen is too short to be seen."""
DASH = "\N{EN DASH}"
"""Stands where there is no figure, and between the ends of an interval."""

_SYMBOLS = {
    "USD": "$",
    "EUR": "\N{EURO SIGN}",
    "GBP": "\N{POUND SIGN}",
    "JPY": "\N{YEN SIGN}",
    "INR": "\N{INDIAN RUPEE SIGN}",
}
_STEPS = {"USD": "dollar", "EUR": "euro", "GBP": "pound", "min": "minute", "1": "percentage point"}
_CURRENCY = re.compile(r"[A-Z]{3}(?![A-Za-z])")


def currency(unit: str) -> str | None:
    """ISO code that a unit begins with, as in ``USD/h``; None where it is no money."""
    found = _CURRENCY.match(unit)
    return found.group() if found else None


def symbol(unit: str) -> str:
    """What stands before an amount: ``$`` for ``USD/h``, ``CHF `` where there is no sign."""
    code = currency(unit) or ""
    return _SYMBOLS.get(code, f"{code} " if code else "")


def amount(value: float, unit: str, *, signed: bool = False) -> str:
    """A value of an objective: money without cents, anything else as a number with its unit."""
    rounded = round(value) if currency(unit) else value
    sign = MINUS if rounded < 0 else ("+" if signed and rounded > 0 else "")
    if currency(unit):
        return f"{sign}{symbol(unit)}{abs(value):,.0f}"
    return f"{sign}{_plain(abs(value))} {unit}".removesuffix(" 1")


def number(value: float, digits: int = 3) -> str:
    """A figure with so many significant digits, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def words(title: str) -> str:
    """A title inside a sentence: ``Pickup ETA`` becomes ``pickup ETA``, ``ETA`` stays."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def listed(parts: Iterable[str]) -> str:
    """Parts in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def total_unit(unit: str) -> str:
    """Unit of a sum over hours: ``ride/h`` becomes ``rides``."""
    if not unit.endswith("/h"):
        return unit
    base = unit.removesuffix("/h")
    return base if base.isupper() else f"{base}s"


def counted(number: int, what: str) -> str:
    """A count in a sentence: ``1 forecast``, ``4 forecasts``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def step_of(unit: str) -> str:
    """One unit in words: ``dollar``, ``minute``, ``percentage point``, or the unit itself."""
    return _STEPS.get(unit, unit)


def figure(value: float, unit: str, written: str = "", *, signed: bool = False) -> str:
    """A value with its unit: ``$1.23 M``, ``412,200``, ``4.62 min``, ``8.1 %``.

    Args:
        value: in ``unit``.
        unit: of the value.
        written: how, as ``Quantity.figures`` says it; what the unit says where it is empty.
        signed: whether a value above 0 shows its sign.
    """
    if value is None or not math.isfinite(value):
        return DASH
    sign = MINUS if value < 0 else ("+" if signed and value > 0 else "")
    size = abs(value)
    match written or _written(unit):
        case "money":
            # A price per ride has cents; an amount per hour is a total's rate.
            fine = "/" in unit.removesuffix("/h")
            return f"{sign}{symbol(unit)}{f'{size:,.2f}' if fine else _short(size)}"
        case "share":
            return f"{sign}{100 * size:.1f} {'pts' if signed else '%'}"
        case "minutes":
            return f"{sign}{size:.2f} {unit}"
        case _:
            return f"{sign}{_plain(size)}"


def interval(low: float, high: float, unit: str, written: str = "", *, signed: bool = False) -> str:
    """Both ends of an interval."""
    ends = (figure(end, unit, written, signed=signed) for end in (low, high))
    return " to ".join(ends)


def share(part: float, whole: float) -> str:
    """A part in per cent of a whole, or nothing where the whole is not above 0."""
    if whole <= 0:
        return ""
    percent = round(100 * part / whole)
    return f"{MINUS if percent < 0 else ''}{abs(percent)}%"


def labelled(labels: Iterable[Any]) -> str:
    """Labels of several dims as one."""
    return ", ".join(map(str, labels))


def _written(unit: str) -> str:
    if currency(unit):
        return "money"
    return {"1": "share", "min": "minutes"}.get(unit, "number")


def _plain(size: float) -> str:
    return f"{size:,.0f}" if size >= 100 or float(size).is_integer() else f"{size:.3g}"


def _short(size: float) -> str:
    if size >= 1e6:
        return f"{size / 1e6:,.2f} M"
    if size >= 1e5:
        return f"{size / 1e3:,.0f} k"
    if size >= 1e4:
        return f"{size / 1e3:,.1f} k"
    return f"{size:,.0f}"
