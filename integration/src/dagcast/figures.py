"""Figures as people read them: money, totals with units, intervals, names of quantities."""

import math

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"

# How quantities are called on a page, and how many decimals they get.
TITLES = {
    "sessions": "Sessions",
    "driver_hours": "Driver hours",
    "incremental_driver_hours": "Incremental driver hours",
    "eta": "Pickup ETA",
    "prime_time": "Prime time",
    "rides": "Rides",
    "profit": "Profit",
    "revenue": "Fares",
    "driver_pay": "Driver pay",
    "conversion": "Conversion",
}

# More of these is worse for riders.
LOWER_IS_BETTER = frozenset({"eta", "prime_time"})


def money(value: float) -> str:
    """Dollars without cents, with a true minus sign."""
    sign = MINUS if round(value) < 0 else ""
    return f"{sign}${abs(value):,.0f}"


def signed_money(value: float) -> str:
    """Dollars with their sign."""
    return f"+{money(value)}" if round(value) > 0 else money(value)


def number(value: float, digits: int = 3) -> str:
    """A figure with so many significant digits, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def title(quantity: str) -> str:
    """A quantity's name on a page."""
    return TITLES.get(quantity, quantity.replace("_", " ").capitalize())


def total_unit(unit: str) -> str:
    """Unit of a sum over hours: ``ride/h`` becomes ``rides``."""
    if not unit.endswith("/h"):
        return unit
    base = unit.removesuffix("/h")
    return base if base.isupper() else f"{base}s"


def figure(value: float, unit: str, *, signed: bool = False) -> str:
    """A total with its unit: ``$1.23 M``, ``412,200``, ``4.62 min``, ``8.1 %``."""
    sign = MINUS if value < 0 else ("+" if signed and value > 0 else "")
    size = abs(value)
    if unit.startswith("USD"):
        return f"{sign}${_short(size)}"
    if unit == "1":
        return f"{sign}{100 * size:.1f} {'pts' if signed else '%'}"
    if unit == "min":
        return f"{sign}{size:.2f} min"
    return f"{sign}{size:,.0f}" if size >= 100 or float(size).is_integer() else f"{sign}{size:.3g}"


def interval(low: float, high: float, unit: str, *, signed: bool = False) -> str:
    """Both ends of an interval."""
    return f"{figure(low, unit, signed=signed)} to {figure(high, unit, signed=signed)}"


def _short(size: float) -> str:
    if size >= 1e6:
        return f"{size / 1e6:,.2f} M"
    if size >= 1e5:
        return f"{size / 1e3:,.0f} k"
    if size >= 1e4:
        return f"{size / 1e3:,.1f} k"
    return f"{size:,.0f}"


def share(part: float, whole: float) -> str:
    """A part in per cent of a whole, or nothing where the whole is not above 0."""
    if whole <= 0:
        return ""
    percent = round(100 * part / whole)
    return f"{MINUS if percent < 0 else ''}{abs(percent)}%"
