"""Registers tables, contracts, models, the experiment and first settings."""

from couriers.contract import CARRIED, EXPERIMENT, SUPPLY
from couriers.tables import BOOKINGS, DELIVERIES, PREMIUMS
from dagcast_core.hooks import hookimpl


@hookimpl
def dagcast_tables():
    """Declare the event tables."""
    return [BOOKINGS, DELIVERIES, PREMIUMS]


@hookimpl
def dagcast_contracts():
    """Declare what the models promise and ask."""
    return [SUPPLY, CARRIED]


@hookimpl
def dagcast_models(labels):
    """Build the models, unfitted."""
    from couriers.model import CourierSupply, Deliveries

    return [CourierSupply(labels["vehicle"]), Deliveries(labels["vehicle"])]


@hookimpl
def dagcast_experiments():
    """Bring along what was measured."""
    return [EXPERIMENT]


@hookimpl
def dagcast_project():
    """Add a lever, its budget, a promise to shops, and what a parcel is worth."""
    return {
        "levers": {"courier_premium": {"upper": 100.0}},
        "budgets": [{"lever": "courier_premium", "of_recent": 1.5}],
        "guardrails": [
            {"quantity": "deliveries", "sense": ">=", "of_recent": 1.0, "by": ["vehicle"]}
        ],
        "objective": {"weights": {"deliveries": 6.0}},
        "display": {"first": ["deliveries"]},
    }
