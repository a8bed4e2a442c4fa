"""The Fisher information against dense Hessians."""

import math

import numpy as np
import pytest
import torch

from dagcast_core.contract import Contract, Dim, Quantity
from dagcast_core.dims import HOUR, HOUR_OF_WEEK
from dagcast_core.model import (
    Model,
    ModelCollection,
    PartialPooling,
    Poisson,
    Ridge,
    Smoothness,
    fit,
)
from dagcast_core.model._fitting import prepared
from dagcast_core.model._precision import VAGUE, precision_of

REGION = Dim("region")
WEEK_HOUR = Quantity("hour_of_week", (REGION, HOUR), "1", dtype="int64")
SESSIONS = Quantity("sessions", (REGION, HOUR), "session/h", bounds=(0.0, None))


class Seasons(Model):
    """Poisson with a log link, where observed and expected information are the same."""

    contract = Contract("seasons", inputs=(WEEK_HOUR,), outputs=(SESSIONS,))

    def __init__(self, regions, centred, own):
        super().__init__()
        self.centred, self.own = centred, own
        self.level = self.parameter(REGION, labels=regions, start=4.0)
        labels = {"region": regions, "hour_of_week": range(168)}
        dims = (REGION, HOUR_OF_WEEK) if own else (HOUR_OF_WEEK,)
        self.profile = self.parameter(*dims, labels=labels)
        self.shape = self.parameter(start=0.1)

    def forward(self, hour_of_week):
        season = self.profile.sel(hour_of_week=hour_of_week)
        if self.centred:
            season = season - self.profile.at(hour_of_week).mean("hour_of_week")
        day = (hour_of_week.double() * (2 * math.pi / 24)).sin()
        return (self.level + season + self.shape * day).exp()

    def loss_terms(self):
        priors = (
            PartialPooling(self.level, REGION, scale=0.5),
            Smoothness(self.profile, HOUR_OF_WEEK, weight=20.0, periodic=True),
            Ridge(self.profile, weight=2.0),
            Ridge(self.shape, toward=0.1, weight=5.0),
        )
        pooled = (PartialPooling(self.profile, REGION, scale=0.3),) if self.own else ()
        return (Poisson(SESSIONS, half_life=500.0), *priors, *pooled)


def dense_hessian(unit):
    at = unit.flat.read()
    sizes = unit.flat.sizes

    with torch.enable_grad():
        slope = torch.autograd.grad(unit.loss(), unit.flat.parameters, create_graph=True)
        flat = torch.cat([part.reshape(-1) for part in slope])
        rows = []
        for value in flat:
            row = torch.autograd.grad(value, unit.flat.parameters, retain_graph=True)
            rows.append(torch.cat([part.reshape(-1) for part in row]))
    assert sum(sizes) == at.numel()
    return torch.stack(rows)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_precision_is_the_dense_hessian(kit, centred, own):
    regions = ("SFO", "LAX")
    history = kit.market(weeks=2, regions=regions)
    model = Seasons(regions, centred, own)
    fit(model, history)
    (unit,), _ = prepared(ModelCollection([model]), history, ())
    precision = precision_of(unit)
    dense = dense_hessian(unit) + torch.eye(unit.flat.size, dtype=torch.float64) / VAGUE**2
    probe = torch.randn(unit.flat.size, generator=torch.Generator().manual_seed(2)).double()
    np.testing.assert_allclose(precision.times(probe), dense @ probe, rtol=1e-5, atol=1e-5)
    expected = torch.linalg.inv(dense).diagonal()
    np.testing.assert_allclose(precision.variances(), expected, rtol=1e-4, atol=1e-8)
    # A profile costs four products and not 168: two forward passes each, and some for the rest.
    assert precision.forwards < 30
    assert precision.mismatch < 1e-6


def test_regions_that_influence_each_other_are_noticed(kit):
    class Spill(Model):
        contract = Contract("spill", inputs=(WEEK_HOUR,), outputs=(SESSIONS,))

        def __init__(self):
            super().__init__()
            self.level = self.parameter(REGION, labels=kit.REGIONS, start=4.0)

        def forward(self, hour_of_week):
            own = self.level.at(hour_of_week)
            return (own + 0.5 * own.mean(REGION) + 0.0 * hour_of_week).exp()

        def loss_terms(self):
            return (Poisson(SESSIONS),)

    (unit,), _ = prepared(ModelCollection([Spill()]), kit.market(weeks=1), ())
    assert precision_of(unit).mismatch > 0.1
