"""Fitting the ETA model to a history made by its own identity."""

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, Panel, fit
from dagcast_eta import EtaFromIdleHours

REGIONS = ("SFO", "LAX", "CHI")


def test_fit_recovers_the_exponent_and_the_pickup(hour_of_week: IndexTensor) -> None:
    rng = np.random.default_rng(0)
    truth = EtaFromIdleHours(REGIONS)
    truth.usual.assign([4.0, 5.0, 6.0])
    truth.exponent.assign([0.4, 0.45, 0.5])
    truth.usual_idle.copy_(torch.tensor([30.0, 30.0, 30.0]))
    truth.share.fill_(0.5)
    sessions = IndexTensor(rng.uniform(30, 90, hour_of_week.shape), hour_of_week.indexes)
    hours = IndexTensor(rng.uniform(30, 80, hour_of_week.shape), hour_of_week.indexes)
    with torch.no_grad():
        eta = truth(sessions, hours, hour_of_week)
    noisy = eta.with_tensor(eta.tensor * torch.tensor(rng.lognormal(0.0, 0.05, eta.shape)))
    history = Panel(
        {
            "sessions": sessions,
            "driver_hours": hours,
            "hour_of_week": hour_of_week,
            "eta": noisy,
            "rides": sessions * 0.5,
        }
    )
    model = EtaFromIdleHours(REGIONS)
    fit(model, history).raise_unconverged()
    assert np.allclose(model.exponent.value().numpy(), [0.4, 0.45, 0.5], rtol=0.1)
    with torch.no_grad():
        again = model(sessions, hours, hour_of_week)
    assert (again / eta).log().abs().mean().item() < 0.01


def test_missing_etas_do_not_count(hour_of_week: IndexTensor) -> None:
    rng = np.random.default_rng(1)
    sessions = IndexTensor(rng.uniform(30, 90, hour_of_week.shape), hour_of_week.indexes)
    hours = IndexTensor(rng.uniform(30, 80, hour_of_week.shape), hour_of_week.indexes)
    with torch.no_grad():
        eta = EtaFromIdleHours(REGIONS)(sessions, hours, hour_of_week)
    gone = torch.rand(eta.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    observed = eta.with_tensor(torch.where(gone, torch.nan, eta.tensor))
    model = EtaFromIdleHours(REGIONS)
    history = {"sessions": sessions, "driver_hours": hours, "hour_of_week": hour_of_week}
    report = fit(model, Panel({**history, "eta": observed}))
    report.raise_unconverged()
    with torch.no_grad():
        again = model(sessions, hours, hour_of_week)
    assert (again / eta).log().abs().max().item() == pytest.approx(0.0, abs=0.05)
