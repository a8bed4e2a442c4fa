"""Shapley values of a game: what each player adds, averaged over all orders of joining.

Source: Shapley (1953), doi:10.1515/9781400881970-018.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch

__all__ = ["shapley_coefficients", "shapley_values"]

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
        exact = dict.fromkeys(players, 0.0)
        for player, inside, weight in _exact(players):
            exact[player] += weight * (worth(inside | {player}) - worth(inside))
        return {player: (value, 0.0) for player, value in exact.items()}
    draws: dict[str, list[float]] = {player: [] for player in players}
    for pair in _pairs(n, samples, seed):
        added: dict[str, float] = dict.fromkeys(players, 0.0)
        for player, inside in _joining(players, pair):
            added[player] += 0.5 * (worth(inside | {player}) - worth(inside))
        for player in players:
            draws[player].append(added[player])
    out = {}
    for player, found in draws.items():
        values = torch.tensor(found, dtype=torch.float64)
        error = float(values.std() / math.sqrt(len(found))) if len(found) > 1 else float("inf")
        out[player] = (float(values.mean()), error)
    return out


def shapley_coefficients(
    players: Sequence[str], *, samples: int = 64, seed: int = 0
) -> dict[str, dict[frozenset[str], float]]:
    """By player, how much each coalition's worth counts in its value.

    Values are linear in worths: with these, whatever a worth is a sum of is shared out alike, such
    as an objective cell by cell. The arguments are those of ``shapley_values``.
    """
    found: dict[str, dict[frozenset[str], float]] = {player: {} for player in players}

    def count(player: str, inside: frozenset[str], weight: float) -> None:
        for coalition, signed in ((inside | {player}, weight), (inside, -weight)):
            found[player][coalition] = found[player].get(coalition, 0.0) + signed

    n = len(players)
    if n <= _EXACT:
        for player, inside, weight in _exact(players):
            count(player, inside, weight)
        return found
    pairs = list(_pairs(n, samples, seed))
    for pair in pairs:
        for player, inside in _joining(players, pair):
            count(player, inside, 0.5 / len(pairs))
    return found


def _exact(players: Sequence[str]) -> Iterator[tuple[str, frozenset[str], float]]:
    """Each player, a coalition that it joins, and the share of orders in which it does."""
    n = len(players)
    for player in players:
        others = [p for p in players if p != player]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for chosen in itertools.combinations(others, size):
                yield player, frozenset(chosen), weight


def _pairs(n: int, samples: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Orders and their reverses."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(max(1, samples // 2)):
        order = torch.randperm(n, generator=generator).tolist()
        yield order, order[::-1]


def _joining(
    players: Sequence[str], orders: Sequence[Sequence[int]]
) -> Iterator[tuple[str, frozenset[str]]]:
    """Each player as it joins in each order, and who was there before it."""
    for order in orders:
        inside: frozenset[str] = frozenset()
        for at in order:
            yield players[at], inside
            inside = inside | {players[at]}
