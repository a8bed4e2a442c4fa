"""What it cost not to know the future, and whose errors it was."""

from dagcast_core.decide.hindsight._retrospect import Retrospective, Share, retrospect
from dagcast_core.decide.hindsight._shapley import shapley_values

__all__ = [
    "Retrospective",
    "Share",
    "retrospect",
    "shapley_values",
]
