"""Experiments move the response; nothing else does."""

import numpy as np
import pandas as pd
import pytest

from dagcast_core import IndexTensor, Panel, Widening, effect_of, fit
from dagcast_core.contract import Arm, Cells, Change, Experiment
from dagcast_incentives import IncentiveResponse

REGIONS = ("SFO", "LAX", "CHI")
TYPES = ("guarantee", "boost")


def test_fit_meets_the_measured_effect_of_each_type(
    hours: pd.DatetimeIndex, hour_of_week: IndexTensor
) -> None:
    def trial(kind: str, estimate: float) -> Experiment:
        def arm(name: str, usd: float) -> Arm:
            where = {"incentive": (kind,)}
            return Arm(name, (Change("incentive_spend", "set", usd, where),))

        return Experiment(
            f"{kind}-hours",
            levers=("incentive_spend",),
            outcome="incremental_driver_hours",
            design="switchback",
            cells=Cells(REGIONS, hours[168].isoformat(), hours[671].isoformat(), dim="region"),
            control=arm("control", 0.0),
            treatment=arm("treatment", 10.0),
            estimate=estimate,
            standard_error=0.1,
        )

    spend = IndexTensor(
        np.zeros((2, *hour_of_week.shape)),
        {"incentive": TYPES, "region": REGIONS, "hour": hours},
        "incentive_spend",
    )
    history = Panel({"incentive_spend": spend, "hour_of_week": hour_of_week})
    model = IncentiveResponse(TYPES, REGIONS)
    measured = (trial("guarantee", 4.0), trial("boost", 1.5))
    before = [effect_of(model, history, experiment).item() for experiment in measured]
    # Trusted as measured: widened, they would leave the prior a say in effects this far from it.
    fit(model, history, measured, widening=Widening.none()).raise_unconverged()
    after = [effect_of(model, history, experiment).item() for experiment in measured]
    assert before[0] == pytest.approx(before[1])
    assert after[0] == pytest.approx(4.0, abs=0.25)
    assert after[1] == pytest.approx(1.5, abs=0.25)
