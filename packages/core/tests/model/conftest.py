"""A small marketplace whose truth is known in closed form, and the models that describe it."""

import numpy as np
import pandas as pd
import pytest
import torch

from dagcast_core.contract import (
    Arm,
    Cells,
    Change,
    Contract,
    Dim,
    Effect,
    Experiment,
    Quantity,
)
from dagcast_core.dims import HOUR, HOUR_OF_WEEK
from dagcast_core.model import (
    Model,
    ModelCollection,
    PartialPooling,
    Poisson,
    Ridge,
    SquaredError,
)
from dagcast_core.tensor import IndexTensor, Panel

INCENTIVE = Dim("incentive")
REGION = Dim("region")

torch.set_num_threads(1)

RATE = (0.0, None)
WEEK_HOUR = Quantity("hour_of_week", (REGION, HOUR), "1", dtype="int64")
SPEND = Quantity("spend", (INCENTIVE, REGION, HOUR), "USD/h", bounds=RATE)
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=RATE)
EXTRA = Quantity("extra_hours", (REGION, HOUR), "driver-hour/h", bounds=RATE)
HOURS = Quantity("driver_hours", (REGION, HOUR), "driver-hour/h", bounds=RATE)
ETA = Quantity("eta", (REGION, HOUR), "min", bounds=RATE)

INCENTIVES = ("bonus", "guarantee")
REGIONS = ("SFO", "LAX", "SEA", "PDX")


class Demand(Model):
    """Sessions by region and hour of week."""

    contract = Contract("demand", inputs=(WEEK_HOUR,), outputs=(SESSIONS,))

    def __init__(self, regions=REGIONS):
        super().__init__()
        self.level = self.parameter(REGION, labels=regions, start=4.0)
        self.profile = self.parameter(HOUR_OF_WEEK, labels=range(168))

    def forward(self, hour_of_week):
        return (self.level + self.profile.sel(hour_of_week=hour_of_week)).exp()

    def loss_terms(self):
        return (Poisson(SESSIONS), Ridge(self.profile, weight=1.0))


class Bonus(Model):
    """Driver hours bought by incentives: ``gain * log(1 + spend / 20)``; no data of its own."""

    contract = Contract(
        "bonus",
        inputs=(SPEND,),
        outputs=(EXTRA,),
        effects=(Effect(SPEND, EXTRA, "+"),),
    )

    def __init__(self, regions=REGIONS):
        super().__init__()
        self.gain = self.parameter(
            INCENTIVE, labels=INCENTIVES, start=[3.0, 3.0], transform="softplus"
        )

    def forward(self, spend):
        return (self.gain * (spend / 20.0).log1p()).sum(INCENTIVE)

    def loss_terms(self):
        return (Ridge(self.gain, toward=3.0, weight=0.25),)


class Supply(Model):
    """Driver hours: own by region and hour of week, plus what incentives bring."""

    contract = Contract(
        "supply",
        inputs=(WEEK_HOUR, EXTRA),
        outputs=(HOURS,),
        effects=(Effect(EXTRA, HOURS, "+"),),
    )

    def __init__(self, regions=REGIONS):
        super().__init__()
        self.level = self.parameter(REGION, labels=regions, start=3.0)
        self.profile = self.parameter(HOUR_OF_WEEK, labels=range(168))

    def forward(self, hour_of_week, extra_hours):
        return (self.level + self.profile.sel(hour_of_week=hour_of_week)).exp() + extra_hours

    def loss_terms(self):
        return (SquaredError(HOURS), Ridge(self.profile, weight=1.0))


class Pickup(Model):
    """ETA as a power law of sessions per driver hour."""

    contract = Contract(
        "pickup",
        inputs=(SESSIONS, HOURS),
        outputs=(ETA,),
        effects=(Effect(HOURS, ETA, "-"), Effect(SESSIONS, ETA, "+")),
    )

    def __init__(self, regions=REGIONS):
        super().__init__()
        self.log_base = self.parameter(REGION, labels=regions, start=1.0)
        self.elasticity = self.parameter(REGION, labels=regions, start=0.3)

    def forward(self, sessions, driver_hours):
        load = (sessions.clamp(min=0.1) / driver_hours.clamp(min=0.1)).log()
        return (self.log_base + self.elasticity * load).exp()

    def loss_terms(self):
        return (
            SquaredError(ETA, log=True),
            PartialPooling(self.elasticity, REGION, scale=0.1),
        )


def market(weeks=4, regions=REGIONS, seed=0, gain=(6.0, 2.0)):
    """History whose spend follows demand, so that spend and demand are confounded."""
    rng = np.random.default_rng(seed)
    hours = pd.date_range("2025-01-06", periods=168 * weeks, freq="h", tz="UTC")
    n, t = len(regions), len(hours)
    week_hour = np.tile(np.arange(t) % 168, (n, 1))
    wave = 0.6 * np.sin(2 * np.pi * week_hour / 24) + 0.2 * np.cos(2 * np.pi * week_hour / 168)
    level = rng.normal(4.0, 0.4, (n, 1))
    shock = rng.normal(0.0, 0.15, (n, t))
    mean = np.exp(level + wave + shock)
    sessions = rng.poisson(mean).astype(float)
    spend = np.stack([np.exp(1.0 + shock * 4 + wave), np.exp(0.5 + shock * 4 + wave)])
    extra = sum(g * np.log1p(s / 20.0) for g, s in zip(gain, spend, strict=True))
    own = np.exp(level - 1.0 + 0.5 * wave)
    driver_hours = own * np.exp(rng.normal(0, 0.05, (n, t))) + extra
    eta = np.exp(1.2 + 0.5 * np.log(np.maximum(sessions, 0.1) / driver_hours))
    eta = eta * np.exp(rng.normal(0, 0.1, (n, t)))
    region_hour = {"region": list(regions), "hour": hours}
    return Panel(
        {
            "hour_of_week": IndexTensor(torch.as_tensor(week_hour), region_hour),
            "sessions": IndexTensor(sessions, region_hour),
            "spend": IndexTensor(spend, {"incentive": list(INCENTIVES), **region_hour}),
            "driver_hours": IndexTensor(driver_hours, region_hour),
            "eta": IndexTensor(eta, region_hour),
        }
    )


def collection(regions=REGIONS):
    return ModelCollection([Pickup(regions), Supply(regions), Bonus(regions), Demand(regions)])


def spend_experiment(
    name="bonus-hours",
    outcome="driver_hours",
    estimate=4.0,
    standard_error=0.2,
    incentive="bonus",
    regions=REGIONS,
    **changes,
):
    """Spend of one incentive raised by 30 USD/h everywhere for a week."""
    return Experiment(
        name,
        ("spend",),
        outcome,
        **{
            "cells": Cells(
                regions, "2025-01-13T00:00:00+00:00", "2025-01-19T23:00:00+00:00", dim="region"
            ),
            "control": Arm("control", (Change("spend", "set", 0.0, {"incentive": (incentive,)}),)),
            "treatment": Arm(
                "treatment", (Change("spend", "set", 30.0, {"incentive": (incentive,)}),)
            ),
            "estimate": estimate,
            "standard_error": standard_error,
            **changes,
        },
    )


class Kit:
    """What tests of this folder build with."""

    Demand, Bonus, Supply, Pickup = Demand, Bonus, Supply, Pickup
    SESSIONS, EXTRA, HOURS, ETA, SPEND, WEEK_HOUR = SESSIONS, EXTRA, HOURS, ETA, SPEND, WEEK_HOUR
    REGIONS, INCENTIVES = REGIONS, INCENTIVES
    market = staticmethod(market)
    collection = staticmethod(collection)
    spend_experiment = staticmethod(spend_experiment)


@pytest.fixture(scope="session")
def kit():
    return Kit


@pytest.fixture(scope="session")
def history():
    return market()
