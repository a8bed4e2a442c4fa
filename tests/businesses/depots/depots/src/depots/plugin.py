"""Registers tables, depots with their clocks, the slot of the week, and first settings."""

import json

from dagcast_core.contract import Calendar, LabelSet
from dagcast_core.data import DataError
from dagcast_core.hooks import hookimpl
from depots.tables import ORDERS, OVERTIME, SHIFTS

SETTINGS = {
    "name": "depots",
    "data": {"heartbeat": "orders"},
    "levers": {"overtime_pay": {"upper": 150.0}},
    "budgets": [{"lever": "overtime_pay", "of_recent": 0.9}],
    "guardrails": [{"quantity": "wait", "of_recent": 1.1, "by": ["depot"], "weight": "orders"}],
    # An order that goes out in time is worth 4 euros.
    "objective": {"weights": {"sent_in_time": 4.0}, "unit": "EUR"},
    "display": {"first": ["sent_in_time", "wait", "orders"]},
}


@hookimpl
def dagcast_tables():
    """Declare the event tables."""
    return [ORDERS, SHIFTS, OVERTIME]


@hookimpl
def dagcast_labels(events):
    """Read depots and their clocks from ``depots.json``: ``{"HAM": "Europe/Berlin", ...}``."""
    path = events / "depots.json"
    if not path.exists():
        return []
    try:
        zones = json.loads(path.read_text(encoding="utf-8"))
        return [LabelSet("depot", tuple(zones), zones=zones)]
    except (ValueError, TypeError) as error:
        raise DataError(f"cannot read {path}: expected a zone by depot; found {error}.") from error


@hookimpl
def dagcast_calendars():
    """Declare the slot of the week, three local hours each: Monday 00:00 begins slot 0."""
    return [Calendar("slot", slot_of_week)]


@hookimpl
def dagcast_project():
    """Give the first settings of a project about depots."""
    return SETTINGS


def slot_of_week(hours, zone):
    """56 slots; ``hours`` are instants, and a depot's own clock says which slot they lie in."""
    local = hours.tz_convert(zone)
    return (local.day_of_week.to_numpy() * 24 + local.hour.to_numpy()) // 3
