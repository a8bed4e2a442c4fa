"""Registers both models; torch is imported only to build them."""

from dagcast_core.hooks import hookimpl
from depots_picking.contract import HANDS, PICKING


@hookimpl
def dagcast_contracts():
    """Declare what the models promise and ask."""
    return [HANDS, PICKING]


@hookimpl
def dagcast_models(labels):
    """Build the models, unfitted."""
    from depots_picking.model import ExtraHands, Picking

    return [ExtraHands(labels["depot"]), Picking(labels["depot"])]
