"""What the history tells of the response: its form, its room and its level, and what it cannot."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from dagcast_core import IndexTensor, Panel
from dagcast_incentives import IncentiveResponse
from dagcast_incentives._form import SHARES, Form

REGIONS = ("SFO", "LAX", "CHI")
TYPES = ("guarantee", "boost")
SIZE = np.array([[80.0], [60.0], [40.0]])
# Where values of ``believed`` stand.
ODDS, ODDS_SPREAD, HURDLE, _, REPLY, REPLY_SPREAD, ROOM, ROOM_SPREAD = range(8)


def history(
    hours: pd.DatetimeIndex,
    hour_of_week: IndexTensor,
    *,
    seed: int = 0,
    habit: float = 0.0,
    demand: float = 0.0,
    recorded: bool = True,
    **truth: float,
) -> Panel:
    """Hours of drivers who answer as ``truth`` says; spend follows demand by ``habit``."""
    rng = np.random.default_rng(seed)
    busy = rng.normal(size=len(hours) // 6).repeat(6) * np.ones((3, 1))
    offer = 0.25 * rng.lognormal(0.0, 0.6, (2, 3, len(hours))) * np.exp(habit * busy)
    offer *= rng.uniform(size=offer.shape) < 0.7
    labels = {"region": REGIONS, "hour": hours}
    spend = IndexTensor(offer * SIZE, {"incentive": TYPES, **labels}, "incentive_spend")
    usual = SIZE * (1.0 + 0.4 * np.sin(hour_of_week.numpy() * 2 * np.pi / 24))
    noise = rng.lognormal(0.0, 0.05, usual.shape)
    known = {"incentive_spend": spend, "hour_of_week": hour_of_week}
    plain = IndexTensor(usual, labels, "driver_hours")
    true = IncentiveResponse(TYPES, REGIONS)
    true.warm_start(Panel({**known, "driver_hours": plain}))
    for name, value in {"wary": 1e-6, **truth}.items():
        getattr(true, name).assign(value)
    bought = true.predict(Panel(known))["incremental_driver_hours"].detach().numpy()
    driven = usual * noise * np.exp(demand * busy) + bought
    known["driver_hours"] = plain.with_tensor(plain.tensor.new_tensor(driven))
    if recorded:
        riders = 5.0 * usual * np.exp(0.15 * busy) * rng.lognormal(0.0, 0.02, usual.shape)
        known["sessions"] = IndexTensor(riders, labels, "sessions")
    return Panel(known)


def believed(known: Panel) -> np.ndarray:
    model = IncentiveResponse(TYPES, REGIONS)
    model.warm_start(known)
    values: np.ndarray = model.believed.numpy()
    return values


USUAL = IncentiveResponse(TYPES, REGIONS).believed.numpy().copy()


def test_wary_drivers_are_seen_by_how_small_offers_compare(hours, hour_of_week):
    wary = believed(history(hours, hour_of_week, wary=0.9, hurdle=1.2, reply=0.7))
    none = believed(history(hours, hour_of_week, reply=0.7))
    # Log odds: most of the drivers, and hardly any.
    assert wary[ODDS] > 0.5
    assert none[ODDS] < USUAL[ODDS]
    assert wary[ODDS_SPREAD] < USUAL[ODDS_SPREAD]
    low = believed(history(hours, hour_of_week, wary=0.9, hurdle=0.5, reply=0.7))
    assert wary[HURDLE] > low[HURDLE] + 0.2


def test_habits_make_nobody_wary(hours, hour_of_week):
    """Who spends where demand is foreseen makes bonuses look stronger, not drivers choosier."""
    found = believed(history(hours, hour_of_week, habit=0.5, demand=0.08, reply=0.7))
    assert found[ODDS] < USUAL[ODDS] + 0.5


@pytest.mark.parametrize("reply", [0.3, 0.8])
def test_the_level_is_seen_where_demand_is_recorded(hours, hour_of_week, reply):
    found = believed(history(hours, hour_of_week, reply=reply, demand=0.02, habit=0.2))
    # As much is bought at usual offers, whichever of reply and room it comes from.
    bought = [
        level / (1.0 + level / room * 0.25 / 0.35)
        for level, room in ((np.exp(found[REPLY]), np.exp(found[ROOM])), (reply, 1.0))
    ]
    assert bought[0] == pytest.approx(bought[1], rel=0.2)
    assert found[REPLY_SPREAD] < 0.5


def test_what_demand_explains_widens_the_level(hours, hour_of_week):
    """The more bonuses look weaker once demand is known, the less the history is believed."""
    few, many = (
        believed(history(hours, hour_of_week, reply=0.7, demand=demand, habit=0.5))
        for demand in (0.0, 0.1)
    )
    assert many[REPLY_SPREAD] > 1.3 * few[REPLY_SPREAD]


def test_unrecorded_demand_tells_no_level(hours, hour_of_week):
    found = believed(history(hours, hour_of_week, reply=0.7, recorded=False))
    assert found[[REPLY, REPLY_SPREAD]] == pytest.approx(USUAL[[REPLY, REPLY_SPREAD]])


@pytest.mark.parametrize("what", ["nothing was paid", "two weeks", "nobody answered"])
def test_a_history_that_cannot_say_leaves_the_belief(hours, hour_of_week, what):
    known = history(hours, hour_of_week, reply=1e-6 if what == "nobody answered" else 0.7)
    if what == "nothing was paid":
        known = known.assign(incentive_spend=known["incentive_spend"] * 0.0)
    if what == "two weeks":
        known = Panel({name: item.isel(hour=range(336)) for name, item in known.items()})
    found = believed(known)
    assert np.isfinite(found).all()
    assert found == pytest.approx(USUAL)


def test_priors_are_what_the_history_left(hours, hour_of_week):
    model = IncentiveResponse(TYPES, REGIONS)
    model.warm_start(history(hours, hour_of_week, wary=0.9, hurdle=1.2, reply=0.7))
    # Where the belief has its middle no prior pulls.
    pulls = [term.value().detach().item() for term in model.loss_terms()[:9]]
    assert sum(pulls) == pytest.approx(0.0, abs=1e-12)
    restored = IncentiveResponse(TYPES, REGIONS)
    restored.load_state_dict(model.state_dict())
    assert restored.believed.tolist() == model.believed.tolist()


def test_evidence_of_nothing_leaves_a_belief_as_it_is():
    belief = Form(-3.5, 3.0, -0.3, 0.7)
    hurdles = np.array([0.25, 0.6, 1.2, 2.4])
    after = belief.after(hurdles, np.zeros((len(SHARES), len(hurdles))))
    assert astuple(after) == pytest.approx(astuple(belief))
    # A likelihood that knows the share moves it there.
    logs = np.tile(-0.5 * ((SHARES[:, None] - 0.8) / 0.05) ** 2, (1, len(hurdles)))
    moved = belief.after(hurdles, logs)
    assert moved.odds > 0.0
    assert moved.odds_spread < 1.0
