"""Registers the package's contracts and models; torch is imported only to build models."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagcast_core.contract import Contract, Experiment
from dagcast_core.hooks import hookimpl
from dagcast_driver_hours.contract import CONTRACTS

if TYPE_CHECKING:
    from dagcast_core.model import Model


@hookimpl
def dagcast_contracts() -> list[Contract]:
    """Declare what this package's models promise and ask."""
    return list(CONTRACTS)


@hookimpl
def dagcast_models(labels: Mapping[str, Sequence[Any]]) -> "list[Model]":
    """Build this package's models, unfitted."""
    from dagcast_driver_hours.model import driver_hours_collection

    return [driver_hours_collection(labels["region"])]


@hookimpl
def dagcast_experiments() -> list[Experiment]:
    """Bring along no experiment: measured effects come with a project's own data.

    Knowledge from the literature enters as priors of the parameters, stated in the README.
    """
    return []
