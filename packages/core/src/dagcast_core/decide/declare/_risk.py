"""What a plan makes best when parameters are only known by draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

__all__ = ["Risk"]


@final
@dataclass(frozen=True)
class Risk:
    """What a plan makes best when its models' parameters are only known by draws.

    Args:
        measure: "mean" of the objective over the draws; "cvar", its mean over the worst ``tail``
            of them; "quantile", the value that all but the worst ``tail`` of them reach. The first
            two keep a concave problem concave; a quantile does not, so its plan is best known at
            most. The CVaR plan's objective is never above its quantile: it is the cautious choice.
        tail: share of the draws that counts as the worst.
        smoothing: draws closer to the edge of the tail than this share of the lift count in part
            while solving; what that costs is part of the gap that the plan reports.
    """

    measure: Literal["mean", "cvar", "quantile"] = "mean"
    tail: float = 0.1
    smoothing: float = 1e-3
