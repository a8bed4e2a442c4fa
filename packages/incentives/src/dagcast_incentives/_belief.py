"""What is believed of the response before any experiment: priors, as the history left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from dagcast_incentives._form import Form, Past, form_seen, level_seen, room_seen
from dagcast_incentives._hyperparameters import IncentiveHyperparameters

Array = NDArray[np.float64]

# Hurdles at which the history is asked for the form, in usual offers.
_HURDLES = (0.25, 0.4, 0.6, 0.85, 1.2, 1.7, 2.4, 3.4)
# Shares of wary drivers that stand for nobody and for all.
_NOBODY, _ALL = 1e-6, 1.0 - 1e-6
# Rooms that are tried, in those of the prior.
_ROOMS = (0.3, 0.5, 0.8, 1.25, 2.0, 3.2)
# Replies for which the level is looked at, in those of the prior, and by how much it can be off
# because regions and hours differ from what the form says.
_REPLIES, _SHAPE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 0.1
# Values of a belief that are those of the form.
_OF_FORM = 4


class Account(Protocol):
    """Hours that a response buys in the history, dims (region, hour)."""

    def __call__(
        self, wary: float, hurdle: float, *, room: float = 1.0, reply: float = 1.0
    ) -> Array:
        """Compute driver-hour/h; room and reply are in those of the prior."""


@final
@dataclass(frozen=True)
class Belief:
    """Normal beliefs about the form, and about logarithms of reply and room.

    Attributes:
        form: share of wary drivers and hurdle.
        reply: mean of the logarithm of driver hours that the first dollar adds,
        reply_spread: and its standard deviation.
        room: mean of the logarithm of reach and ceiling in those of the prior,
        room_spread: and its standard deviation.
    """

    form: Form
    reply: float
    reply_spread: float
    room: float
    room_spread: float

    @classmethod
    def usual(cls, prior: IncentiveHyperparameters) -> Belief:
        """The belief before any history."""
        odds = float(np.log(prior.wary / (1.0 - prior.wary)))
        form = Form(odds, prior.wary_spread, float(np.log(prior.hurdle)), prior.hurdle_spread)
        return cls(form, float(np.log(prior.reply)), prior.reply_spread, 0.0, prior.reach_spread)

    @classmethod
    def of(cls, values: Sequence[float]) -> Belief:
        """The belief that ``values`` lays out."""
        reply, reply_spread, room, room_spread = values[_OF_FORM:]
        return cls(Form(*values[:_OF_FORM]), reply, reply_spread, room, room_spread)

    @property
    def values(self) -> tuple[float, ...]:
        """All of it, laid out."""
        further = (self.reply, self.reply_spread, self.room, self.room_spread)
        return (*astuple(self.form), *further)


def learned(prior: IncentiveHyperparameters, past: Past, bought: Account) -> Belief:
    """What the history left of the usual belief.

    Args:
        prior: usual beliefs, and bounds of what habits can do.
        past: the history.
        bought: by the response that is asked about.
    """
    usual = Belief.usual(prior)
    logs = form_seen(
        past,
        bought(_NOBODY, 1.0),
        [bought(_ALL, hurdle) for hurdle in _HURDLES],
        prior.bend,
    )
    form = usual.form if logs is None else usual.form.after(np.array(_HURDLES), logs)
    middle = form.middle
    # A reply that buys as much as the history shows, so that a small room is felt.
    shown = level_seen(past, [bought(*middle, reply=reply) for reply in _REPLIES])
    most = 1.0 if shown is None else float(np.interp(0.0, -np.log(shown[0]), _REPLIES))
    accounts = [bought(*middle, room=room, reply=most) for room in _ROOMS]
    room, room_spread = _room(prior, room_seen(past, accounts, np.log(_ROOMS), prior.full))
    accounts = [bought(*middle, room=float(np.exp(room)), reply=reply) for reply in _REPLIES]
    reply, reply_spread = _reply(prior, level_seen(past, accounts), room_spread)
    return Belief(form, reply, reply_spread, room, room_spread)


def _room(prior: IncentiveHyperparameters, logs: Array | None) -> tuple[float, float]:
    spread = prior.reach_spread
    if logs is None:
        return 0.0, spread
    fine = np.linspace(np.log(_ROOMS[0]), np.log(_ROOMS[-1]), 101)
    weights = np.interp(fine, np.log(_ROOMS), logs) - 0.5 * (fine / spread) ** 2
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    mean = float(weights @ fine)
    return mean, float(weights @ (fine - mean) ** 2) ** 0.5


def _reply(
    prior: IncentiveHyperparameters, seen: tuple[Array, Array, float] | None, room_spread: float
) -> tuple[float, float]:
    usual = float(np.log(prior.reply)), prior.reply_spread
    if seen is None:
        return usual
    given, alone, error = np.log(seen[0]), np.log(np.maximum(seen[1], 1e-9)), seen[2]
    replies = np.log(_REPLIES)
    # A larger reply buys more, of which the history shows less.
    shown = float(np.interp(0.0, given[::-1], replies[::-1]))
    slope = float((given[0] - given[-1]) / (replies[-1] - replies[0]))
    place = int(np.abs(given).argmin())
    habit = prior.habit * abs(float(alone[place] - given[place]))
    level = error**2 + habit**2 + _SHAPE**2
    # With reply and room both twice as large, twice as much is bought: what is uncertain of the
    # level already, for the room is.
    level = max(level - ((1.0 - slope) * room_spread) ** 2, 0.25 * level)
    spread = level**0.5 / max(slope, 0.1)
    # The history is one measurement more beside the prior.
    weight, least = usual[1] ** -2, spread**-2
    return usual[0] + least / (weight + least) * shown, (weight + least) ** -0.5


__all__ = ["Belief", "learned"]
