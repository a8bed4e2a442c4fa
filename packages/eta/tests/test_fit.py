"""Fitting the ETA models: what the history moves, and what only an experiment does."""

import numpy as np
import pytest
import torch

from dagcast_core import IndexTensor, ModelCollection, Panel, fit
from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_core.model import effect_of
from dagcast_eta import PickupStretch, StretchedEta, eta_collection

REGIONS = ("SFO", "LAX", "CHI")


def _history(hour_of_week: IndexTensor, **stretch: float) -> tuple[Panel, ModelCollection]:
    """Sessions and driver hours at random, and the ETA that a known market makes of them."""
    rng = np.random.default_rng(0)
    truth = eta_collection(REGIONS)
    for name, value in stretch.items():
        getattr(truth.leaves["pickup-stretch"], name).assign(value)
    truth.leaves["eta"].usual.assign([4.0, 5.0, 6.0])
    history = Panel(
        {
            "sessions": IndexTensor(rng.uniform(30, 90, hour_of_week.shape), hour_of_week.indexes),
            "driver_hours": IndexTensor(
                rng.uniform(15, 40, hour_of_week.shape), hour_of_week.indexes
            ),
            "hour_of_week": hour_of_week,
        }
    )
    history = history.assign(rides=history["sessions"] * 0.6)
    # Units are read off the history, so that the truth has those that a fit will find.
    with torch.no_grad():
        for _ in range(20):
            eta = truth.predict(history)["eta"]
            truth.leaves["pickup-stretch"].warm_start(history.assign(eta=eta))
        eta = truth.predict(history)["eta"]
    noisy = eta.tensor * torch.tensor(rng.lognormal(0.0, 0.05, eta.shape))
    return history.assign(eta=eta.with_tensor(noisy)), truth


def test_history_moves_what_is_usual_and_not_what_a_driver_hour_does(
    hour_of_week: IndexTensor,
) -> None:
    history, truth = _history(hour_of_week)
    model = eta_collection(REGIONS)
    fit(model, history).raise_unconverged()
    stretch = model.leaves["pickup-stretch"]
    assert stretch.exponent.value().numpy() == pytest.approx([0.5] * 3)
    assert stretch.calm.value().tensor.item() == pytest.approx(0.5)
    with torch.no_grad():
        again, true = (m.predict(history)["eta"] for m in (model, truth))
    assert (again / true).log().abs().mean().item() < 0.01
    # The same where the truth is another: nothing in the history turns the priors.
    history, _ = _history(hour_of_week, exponent=0.3, calm=1.0)
    fit(model, history)
    assert stretch.exponent.value().numpy() == pytest.approx([0.5] * 3)


def test_an_experiment_on_driver_hours_moves_the_stretch(hour_of_week: IndexTensor) -> None:
    """The prior says -0.9 here; what was measured decides."""
    history, truth = _history(hour_of_week, exponent=0.35)
    hours = history["eta"].index("hour")
    experiment = Experiment(
        "supply-eta",
        ("driver_hours",),
        "eta",
        cells=Cells(REGIONS, hours[0].isoformat(), hours[4 * 168].isoformat(), dim="region"),
        treatment=Arm("more", (Change("driver_hours", "scale", 1.2),)),
        estimate=0.0,
        standard_error=0.02,
        scale="elasticity",
    )
    with torch.no_grad():
        true = float(effect_of(truth, history, experiment))
        prior = float(effect_of(_fitted(history), history, experiment))
    measured = Experiment.from_json({**experiment.to_json(), "estimate": true})
    model = _fitted(history, measured)
    with torch.no_grad():
        calibrated = float(effect_of(model, history, measured))
    assert prior < true - 0.1
    assert calibrated == pytest.approx(true, abs=0.03)


def test_the_history_moves_the_stretch_where_it_is_let(hour_of_week: IndexTensor) -> None:
    history, truth = _history(hour_of_week, exponent=0.4)
    model = ModelCollection(
        [PickupStretch(REGIONS), StretchedEta(REGIONS, learn_stretch=True)], name="eta"
    )
    fit(model, history).raise_unconverged()
    with torch.no_grad():
        steeper, true, learned = (
            m.predict(history.assign(driver_hours=history["driver_hours"] * 1.1))["eta"].mean()
            / m.predict(history)["eta"].mean()
            for m in (_fitted(history), truth, model)
        )
    assert steeper.item() < true.item() - 0.01
    assert learned.item() == pytest.approx(true.item(), abs=0.004)


def test_missing_etas_do_not_count(hour_of_week: IndexTensor) -> None:
    history, truth = _history(hour_of_week)
    with torch.no_grad():
        eta = truth.predict(history)["eta"]
    gone = torch.rand(eta.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    model = _fitted(history.assign(eta=eta.with_tensor(torch.where(gone, torch.nan, eta.tensor))))
    with torch.no_grad():
        again = model.predict(history)["eta"]
    assert (again / eta).log().abs().max().item() == pytest.approx(0.0, abs=0.05)


def _fitted(history: Panel, *experiments: Experiment) -> ModelCollection:
    model = eta_collection(REGIONS)
    fit(model, history, experiments).raise_unconverged()
    return model
