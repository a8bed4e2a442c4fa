"""Registers the package's contract and model; torch is imported only to build the model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagcast_core.contract import Contract
from dagcast_core.hooks import hookimpl
from dagcast_rides.contract import CONTRACT

if TYPE_CHECKING:
    from dagcast_core.model import Model


@hookimpl
def dagcast_contracts() -> list[Contract]:
    """Declare what this package's models promise and ask."""
    return [CONTRACT]


@hookimpl
def dagcast_models(labels: Mapping[str, Sequence[Any]]) -> "list[Model]":
    """Build this package's models, unfitted."""
    from dagcast_rides.model import Rides

    return [Rides(tuple(labels["region"]))]
