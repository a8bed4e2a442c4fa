"""A city of 2012: requests and drivers through the pricing team's models of rides.

What stands for what: ``sessions`` are requests (riders who opened the app, saw the quote and asked
for a car), ``conversion`` is then the share of requests that a driver would complete if there were
enough of them, ``driver_hours`` are the drivers seen in the hour. No prices and waits are recorded,
so the appeal of the quote is held at its usual value, 0. A mean of four rides an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _declared import ingest_declared
from numpy.typing import NDArray

from dagcast_core import IndexTensor, ModelCollection, Panel, fit
from dagcast_pricing import Conversion, Rides
from dagcast_pricing.model import RidesHyperparameters

REGION = "city"


@dataclass(frozen=True)
class RidesOfDrivers:
    """What the fitted models say about rides, requests and drivers.

    Attributes:
        exceeding: hours in which the modelled rides exceed the requests.
        hours: hours compared.
        scarce: rides per request in the fifth of hours with the fewest drivers per session,
            observed,
        scarce_model: and modelled.
        ample: the same in the other hours, observed,
        ample_model: and modelled.
        elasticity: of modelled rides to drivers, requests held, over all hours.
        elasticity_scarce: the same over the fifth of hours with the fewest drivers per session.
        least: smallest derivative of rides by drivers in an hour with requests.
    """

    exceeding: int
    hours: int
    scarce: float
    scarce_model: float
    ample: float
    ample_model: float
    elasticity: float
    elasticity_scarce: float
    least: float


def rides_of_drivers(folder: Path | str, data: Path) -> RidesOfDrivers:
    """Fit rides to requests and drivers and ask what another driver does."""
    store, _ = ingest_declared("uber_2012", Path(folder) / "project", data)
    span = store.spans()["uber_2012"]
    recorded = store.read(
        ["sessions", "requests", "rides", "driver_hours"],
        start=span.start, end=span.end, as_of=span.known_until + pd.Timedelta(hours=1),
    )  # fmt: skip
    panel = _stand_ins(recorded)
    # Waiting was not recorded: what drivers do to rides has to be read off the rides themselves.
    rides_model = Rides((REGION,), RidesHyperparameters(sharpness=4, turns_learned=True))
    model = ModelCollection([Conversion((REGION,)), rides_model], name="rides-2012")
    fit(model, panel).raise_unconverged()

    supply = panel["driver_hours"].detach().requires_grad_()
    modelled = model.predict(panel.assign(driver_hours=supply))["rides"]
    modelled.sum().backward()
    assert supply.grad is not None
    slope = supply.grad.values("region", "hour")[0].numpy()
    made = modelled.detach().values("region", "hour")[0].numpy()
    with torch.no_grad():
        more = model.predict(panel.assign(driver_hours=panel["driver_hours"] * 1.1))["rides"]
        more = more.values("region", "hour")[0].numpy()
    requests, rides, drivers, sessions = (
        recorded[n].values("region", "hour")[0].numpy()
        for n in ("requests", "rides", "driver_hours", "sessions")
    )
    per_session = drivers / np.maximum(sessions, 1)
    scarce = per_session <= np.quantile(per_session, 0.2)
    asked = requests > 0

    def elasticity(hours: NDArray[np.bool_]) -> float:
        return float(np.log(more[hours].sum() / made[hours].sum()) / np.log(1.1))

    return RidesOfDrivers(
        exceeding=int((made > requests).sum()),
        hours=len(requests),
        scarce=float(rides[scarce].sum() / requests[scarce].sum()),
        scarce_model=float(made[scarce].sum() / requests[scarce].sum()),
        ample=float(rides[~scarce].sum() / requests[~scarce].sum()),
        ample_model=float(made[~scarce].sum() / requests[~scarce].sum()),
        elasticity=elasticity(np.full(len(requests), True)),
        elasticity_scarce=elasticity(scarce),
        least=float(slope[asked].min()),
    )


def _stand_ins(recorded: Panel) -> Panel:
    requests = recorded["requests"]
    hours = pd.DatetimeIndex(requests.index("hour"))
    clock = torch.as_tensor(np.asarray(hours.day_of_week * 24 + hours.hour))[None]
    labels = {dim: requests.index(dim) for dim in ("region", "hour")}
    return recorded.drop("requests").assign(
        sessions=requests.named("sessions"),
        quote_appeal=requests.zeros_like().named("quote_appeal"),
        hour_of_week=IndexTensor(clock, labels, "hour_of_week"),
    )
