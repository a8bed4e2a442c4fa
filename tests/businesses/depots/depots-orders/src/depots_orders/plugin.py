"""Registers the contract and the model; torch is imported only to build it."""

from dagcast_core.hooks import hookimpl
from depots_orders.contract import CONTRACT


@hookimpl
def dagcast_contracts():
    """Declare what the model promises and asks."""
    return [CONTRACT]


@hookimpl
def dagcast_models(labels):
    """Build the model, unfitted."""
    from depots_orders.model import Orders

    return [Orders(labels["depot"])]
