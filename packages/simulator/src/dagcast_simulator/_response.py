"""How strongly drivers answer bonuses as time passes: breaks, drift, and tiring.

The laws of the bonuses themselves are in ``_levers``; this is the factor on what they add.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from dagcast_simulator._scenario import Scenario

Array = NDArray[np.float64]


def response(scenario: Scenario, offer: Array) -> Array:
    """Factor on what bonuses add; exactly 1 where no law of change is on.

    Args:
        scenario: parameters.
        offer: (incentive, region, hour) over the whole horizon, USD per typical driver hour.

    Returns:
        dims (incentive, region, hour), dimensionless.
    """
    weeks = np.arange(offer.shape[2]) / 168
    broken = np.where(weeks >= scenario.break_week, 1 - scenario.break_loss, 1.0)
    factor: Array = np.ones_like(offer) * broken * np.exp(scenario.response_trend * weeks)
    if scenario.tiring:
        keep = 0.5 ** (1 / scenario.tiring_half_life)
        # Mean offer of late, up to the hour before.
        memory = lfilter([0.0, 1 - keep], [1.0, -keep], offer, axis=2)
        factor = factor / (1 + scenario.tiring * memory)
    return factor
