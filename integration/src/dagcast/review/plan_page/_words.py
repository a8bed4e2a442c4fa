"""Words and figures that several parts of a plan's page share."""

from collections.abc import Mapping, Sequence

import numpy as np

from dagcast.figures import amount, counted
from dagcast.plans import LimitRow, Outlook, Reading
from dagcast.review._content import Array

# What people decided is called by what they did.
BY_PEOPLE = {"edited": "edit", "proposal": "proposal"}
# Lever -> layer -> (rows, hour).
Layers = Mapping[str, Mapping[str, Array]]
Rows = tuple[tuple[str, ...], ...]


def whole(reading: Reading, value: float) -> str:
    """A total in full, as people check it against a budget."""
    if reading.summed and reading.written == "money":
        return amount(value, reading.total_unit)
    return reading.figure(value)


def missed(row: LimitRow) -> float:
    """By how much a limit is missed, in its unit; 0 where it is kept, give or take rounding."""
    over = row.used - row.limit if row.sense == "<=" else row.limit - row.used
    return over if over > 1e-4 * max(abs(row.limit), 1e-12) else 0.0


def plural(dim: str) -> str:
    """Labels of a dim in words: ``region`` becomes ``regions``."""
    return f"{dim.replace('_', ' ')}s"


def dim_words(outlook: Outlook) -> str:
    """The dim of the rows in a sentence."""
    return outlook.dim.replace("_", " ")


def bands(outlook: Outlook) -> str:
    """What the bands around a forecast hold."""
    draws = f"Bands hold {outlook.level:.0%} of predictive draws: {outlook.draws} of the parameters"
    if outlook.origins is None:
        return f"{draws}, without chance."
    if not outlook.origins:
        return (
            f"{draws}, with chance as the fit's own errors show it. The models were not "
            "backtested: new weeks scatter more."
        )
    past = counted(outlook.origins, "forecast")
    return f"{draws}, with chance as the errors of {past} of past weeks show it."


def chosen(outlook: Outlook) -> str:
    """How the map is used."""
    dims = plural(outlook.dim) if outlook.dim else "rows"
    return (
        f"Click, drag or use the arrow keys: the {dims} and hours that are chosen set everything "
        "below, and stand in the address. "
    )


def choose(outlook: Outlook) -> str:
    return f"Choose a {dim_words(outlook)} at the top. " if outlook.dim else ""


def whole_note(values: Array, outlook: Outlook) -> str:
    """What is said below a chart that shows the same whatever row is chosen."""
    rows = values[1:]
    return f"Not by {dim_words(outlook)}." if len(rows) and np.isnan(rows).all() else ""


def shown_zones(rows: Sequence[str], zone: str, zones: Mapping[str, str] | None) -> tuple[str, ...]:
    """The zone of every row; none where all share that of the page."""
    each = tuple((zones or {}).get(row, zone) for row in rows)
    return each if any(own != zone for own in each) else ()


def clock_words(rows: Sequence[str], zone: str, zones: Mapping[str, str] | None, dim: str) -> str:
    """By whose clock hours are shown."""
    if not shown_zones(rows, zone, zones):
        return zone
    return f"the clock of each {dim.replace('_', ' ')}, {zone} for all together"
