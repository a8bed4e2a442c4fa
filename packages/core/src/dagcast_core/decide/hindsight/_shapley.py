"""Shapley values of a game: what each player adds, averaged over all orders of joining.

Source: Shapley (1953), doi:10.1515/9781400881970-018.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch

__all__ = ["shapley_values"]

_EXACT = 8


def shapley_values(
    players: Sequence[str],
    worth: Callable[[frozenset[str]], float],
    *,
    samples: int = 64,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Shapley values with standard errors: exact for up to eight players, else drawn.

    Permutations are drawn in pairs of one and its reverse, which cancels much of the variance. The
    values always sum to worth(all) - worth(none).
    """
    n = len(players)
    if n <= _EXACT:
        exact = {}
        for player in players:
            others = [p for p in players if p != player]
            total = 0.0
            for size in range(n):
                weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
                for chosen in itertools.combinations(others, size):
                    inside = frozenset(chosen)
                    total += weight * (worth(inside | {player}) - worth(inside))
            exact[player] = (total, 0.0)
        return exact
    generator = torch.Generator().manual_seed(seed)
    draws: dict[str, list[float]] = {player: [] for player in players}
    for _ in range(max(1, samples // 2)):
        order = torch.randperm(n, generator=generator).tolist()
        pair: dict[str, float] = dict.fromkeys(players, 0.0)
        for path in (order, order[::-1]):
            inside = frozenset()
            before = worth(inside)
            for at in path:
                inside = inside | {players[at]}
                now = worth(inside)
                pair[players[at]] += 0.5 * (now - before)
                before = now
        for player in players:
            draws[player].append(pair[player])
    out = {}
    for player, found in draws.items():
        values = torch.tensor(found, dtype=torch.float64)
        error = float(values.std() / math.sqrt(len(found))) if len(found) > 1 else float("inf")
        out[player] = (float(values.mean()), error)
    return out
