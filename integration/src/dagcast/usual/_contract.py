"""Which quantities are forecast by what is usual, and the contracts of that; no torch."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dagcast.plugins import Plugin, Plugins
from dagcast.standing import Aside, Held
from dagcast.vocabulary import decided, known_ahead
from dagcast_core.contract import Contract, Effect, Input, Quantity, Weighted
from dagcast_core.dims import HOUR_OF_WEEK

if TYPE_CHECKING:
    from dagcast_core.model import Model

USUAL = "usual"
"""Name of the entry point that these models are under, as in ``[models.usual]``."""


def with_usual(
    plugins: Plugins, held: Held, aside: Collection[Aside], levers: Collection[str] = ()
) -> Plugins:
    """The packages, and a model of what is usual for each observed quantity that nobody makes.

    A quantity has one where it is never negative, has one dim of labels, is made by models that all
    stand aside, is neither decided nor known ahead, and is read by no model that takes part.

    Args:
        plugins: the installed packages.
        held: what the store offers.
        aside: models that stand aside.
        levers: quantities that the project decides.
    """
    out = {item.model for item in aside}
    active = [item for item in plugins.registrations if item.model not in out]
    read = {entry.quantity.name for item in active for entry in item.contract.inputs}
    made = {name for item in active for name in item.contract.output_names}
    ahead = known_ahead(plugins)
    settled = read | made | ahead | decided(plugins) | set(levers)
    known = {entry.quantity.name: entry.quantity for item in plugins.registrations
             for entry in item.contract.inputs}  # fmt: skip
    calendar = known.get(HOUR_OF_WEEK.name)
    if calendar is None or calendar.name not in held.clocks:
        return plugins
    wanted: dict[str, Quantity] = {}
    for item in plugins.registrations:
        for quantity in item.contract.outputs:
            if item.model not in out or quantity.name in settled:
                continue
            if quantity.name in held.metrics and _fits(quantity, calendar):
                wanted.setdefault(quantity.name, quantity)
    contracts = []
    for quantity in wanted.values():
        helps = [
            known[name]
            for name in sorted(ahead - {calendar.name} - decided(plugins))
            if name in known
            and known[name].dims == quantity.dims
            and known[name].dtype.startswith("float")
            and (name in held.metrics or name in held.clocks)
        ]
        there = made | ahead | set(wanted)
        contracts.append(_contract(_plainly(quantity, there), calendar, helps))
    if not contracts:
        return plugins
    plugin = Plugin(
        USUAL, "dagcast", version("dagcast"), None, tuple(contracts), package="dagcast",
        build=_build(tuple(contracts)),
    )  # fmt: skip
    return replace(plugins, plugins=(*plugins.plugins, plugin))


def _fits(quantity: Quantity, calendar: Quantity) -> bool:
    lower = quantity.bounds[0]
    return (
        quantity.dims == calendar.dims
        and len(quantity.dims) == 2
        and lower is not None
        and lower >= 0
        and quantity.dtype.startswith("float")
    )


def _plainly(quantity: Quantity, there: Collection[str]) -> Quantity:
    """A quantity whose means are weighted by nothing that is not there."""
    how = {
        dim: "mean" if isinstance(way, Weighted) and way.by not in there else way
        for dim, way in quantity.aggregation.items()
    }
    return replace(quantity, aggregation=how)


def _contract(quantity: Quantity, calendar: Quantity, helps: Sequence[Quantity]) -> Contract:
    return Contract(
        model=f"usual-{quantity.name.replace('_', '-')}",
        version="1.0.0",
        inputs=(calendar, *(Input(item, required=False, default=0.0) for item in helps)),
        outputs=(quantity,),
        effects=(
            Effect(calendar, quantity, sign="?", differentiable=False),
            *(Effect(item, quantity, sign="?") for item in helps),
        ),
        description="what is usual at the hour of the week; no causes",
    )


def _build(contracts: tuple[Contract, ...]) -> Any:
    def build(labels: Mapping[str, Sequence[Any]]) -> "list[Model]":
        from dagcast.usual._model import UsualAtTheHour

        return [UsualAtTheHour(contract, labels) for contract in contracts]

    return build
