"""What a plan forecasts and shows: its objective, its limits, and what its levers move."""

from typing import TYPE_CHECKING

from dagcast.config import Config
from dagcast.figures import listed, words
from dagcast_core.contract import Weighted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagcast.workflow.common._session import Session
    from dagcast_core.contract import Quantity


def shown_quantities(session: "Session") -> "tuple[Quantity, ...]":
    """Outputs to show, those that the settings put first in front, then in the models' order.

    Besides the objective and the limits these are the outputs downstream of a lever, and whatever
    weighs one of them: a mean ETA cannot be told without sessions. Where there are none of all
    these, it is what the store observes.
    """
    config = session.project.config
    made = {
        quantity.name: quantity
        for item in session.assembly.registrations
        for quantity in item.contract.outputs
    }
    wanted = {*named_outcomes(config), *downstream(session)}
    wanted |= {
        how.by
        for name in wanted & set(made)
        for how in made[name].aggregation.values()
        if isinstance(how, Weighted)
    }
    order = dict.fromkeys((*config.display.first, *made))
    shown = tuple(
        made[name]
        for name in order
        if name in made
        and (name in wanted or name in config.display.first)
        and made[name].time_dim is not None
    )
    # Settings that name none of what is here leave all that is observed to show.
    held = session.store.metrics() if not shown else ()
    return shown or tuple(item for item in made.values() if item.name in held and item.time_dim)


def named_outcomes(config: Config) -> tuple[str, ...]:
    """What the objective and the limits name."""
    return tuple(
        dict.fromkeys(
            (
                *config.objective.weights,
                *(rail.quantity for rail in config.guardrails),
                *(rail.weight for rail in config.guardrails if rail.weight),
            )
        )
    )


def downstream(session: "Session") -> set[str]:
    """Outputs that a lever moves, by the effects that the contracts claim."""
    claims = [
        (effect.lever, effect.outcome)
        for item in session.assembly.registrations
        for effect in item.contract.effects
    ]
    reached = set(session.project.config.levers)
    # A loop that is lagged in time may lead backwards: repeat until nothing is added.
    while more := {outcome for lever, outcome in claims if lever in reached} - reached:
        reached |= more
    return reached - set(session.project.config.levers)


def least(levers: "Mapping[str, Quantity]") -> str:
    """What doing nothing is called: ``no spend``; empty where no lever is an amount to leave out.

    Args:
        levers: declarations by name.
    """
    summed = [item for item in levers.values() if adds_up(item)]
    if not summed:
        return ""
    if all(item.currency for item in summed):
        return "no spend"
    return f"no {listed(words(item.heading) for item in summed)}"


def adds_up(quantity: "Quantity") -> bool:
    """Whether a lever is an amount, which can be left out, and not a price."""
    time = quantity.time_dim
    return time is not None and quantity.aggregated(time.name) == "sum"
