"""How far the optimiser is."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from dagcast.workflow.common._result import Progress

if TYPE_CHECKING:
    from dagcast_core.solver import Progress as Step


def optimising(progress: Progress, tolerance: float) -> "Callable[[Step], None]":
    """Tells of every step of the optimiser, and about how far it is.

    What the next step promises falls by powers of ten from all of the lift to the tolerance: the
    share of these powers that is done never falls, and is close to the share of the time.

    Args:
        progress: told.
        tolerance: of the lift, at which the optimiser ends.
    """
    done = 0.0

    def told(state: "Step") -> None:
        nonlocal done
        if 0.0 < state.predicted < 1.0:
            done = max(done, min(0.99, math.log(state.predicted) / math.log(tolerance)))
        progress(f"optimising, step {state.iteration}", done)

    return told
