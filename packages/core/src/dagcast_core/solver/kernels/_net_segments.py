"""Which limits hold the cells of a net, and where cells that are held so lie.

Cells glued to one another by links at their limit form a segment, which moves as one; its place has
a closed form. What is at rest there, breaks no other limit, and pulls at no limit the wrong way is
the solution: exact to rounding, which interior points are not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dagcast_core.solver.kernels._banded import linked, substitute

__all__ = ["Net", "guess_net", "polish"]

# In units of the net's width: what is no violation, and how far polishing may move cells.
_TIE = 1e-13
_FAR = 1e-5
_ROUNDS = 10
# Sets of limits tried before interior points are called; most nets that are found need three.
_GUESSES = 12
# Share of the largest force that has no sign, and a diagonal that keeps segments at rest in place.
_NO_FORCE = 1e-12
_LOOSE = 1e-13


class Net(NamedTuple):
    """Minimise sum D/2 (x - z)^2 over bounds and |x_right - x_left| <= limit of every link.

    Attributes:
        z: (n,) unconstrained minimiser.
        metric: (n,) positive curvature.
        lower: (n,).
        upper: (n,), may hold inf.
        left: (links,) the earlier cell of each link.
        right: (links,) the later one, ``right > left``.
        limit: (links,) nonnegative.
    """

    z: np.ndarray
    metric: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    left: np.ndarray
    right: np.ndarray
    limit: np.ndarray


@njit(cache=True)
def _neighbours(net: Net) -> tuple[np.ndarray, np.ndarray]:
    """Links of each cell: those of cell i are ``mine[start[i]:start[i + 1]]``."""
    n, links = net.z.size, net.left.size
    start = np.zeros(n + 1, dtype=np.int64)
    for e in range(links):
        start[net.left[e] + 1] += 1
        start[net.right[e] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    mine = np.empty(2 * links, dtype=np.int64)
    filled = start[:n].copy()
    for e in range(links):
        for i in (net.left[e], net.right[e]):
            mine[filled[i]] = e
            filled[i] += 1
    return start, mine


@njit(cache=True)
def _place(
    net: Net,
    start: np.ndarray,
    mine: np.ndarray,
    glued: np.ndarray,
    held: np.ndarray,
    strength: np.ndarray,
    segment: np.ndarray,
    placed: np.ndarray,
) -> None:
    """Place every segment at its strongest held cell or, where none is held, at rest.

    Args:
        net: the net.
        start: of `_neighbours`.
        mine: of `_neighbours`.
        glued: (links,) 1 where right = left + limit, -1 where right = left - limit, 0 where free.
        held: (n,) -1 at the lower bound, 1 at the upper, 0 where free.
        strength: (n,) of held cells.
        segment: out; (2, n) the first cell of each cell's segment, and 1 where a bound holds it.
        placed: out; (n,).
    """
    n = net.z.size
    offset = np.zeros(n)
    stack = np.empty(n, dtype=np.int64)
    segment[0, :n] = -1
    for root in range(n):
        if segment[0, root] >= 0:
            continue
        segment[0, root] = root
        stack[0] = root
        # ``stack[:height]`` lists the segment; its first ``done`` cells have been looked at.
        height, done = 1, 0
        mass, moment = 0.0, 0.0
        fast = -1
        while done < height:
            i = stack[done]
            done += 1
            mass += net.metric[i]
            moment += net.metric[i] * (net.z[i] - offset[i])
            if held[i] != 0 and (fast < 0 or strength[i] > strength[fast]):
                fast = i
            for k in range(start[i], start[i + 1]):
                e = mine[k]
                j = net.left[e] + net.right[e] - i
                if glued[e] == 0 or segment[0, j] >= 0:
                    continue
                segment[0, j] = root
                step = glued[e] * net.limit[e]
                offset[j] = offset[i] + (step if net.right[e] == j else -step)
                stack[height] = j
                height += 1
        if fast >= 0:
            place = (net.lower[fast] if held[fast] < 0 else net.upper[fast]) - offset[fast]
        else:
            place = moment / mass
        for k in range(height):
            placed[stack[k]] = place + offset[stack[k]]
            segment[1, stack[k]] = 1 if fast >= 0 else 0


@njit(cache=True)
def _add_broken(
    net: Net, placed: np.ndarray, tie: float, glued: np.ndarray, held: np.ndarray
) -> bool:
    """Hold the free cells and glue the free links that are broken; whether there were any."""
    missed = False
    for i in range(net.z.size):
        low, high = placed[i] < net.lower[i] - tie, placed[i] > net.upper[i] + tie
        if held[i] == 0 and (low or high):
            held[i] = -1 if low else 1
            missed = True
    for e in range(net.left.size):
        move = placed[net.right[e]] - placed[net.left[e]]
        if glued[e] == 0 and abs(move) > net.limit[e] + tie:
            glued[e] = 1 if move > 0.0 else -1
            missed = True
    return missed


@njit(cache=True)
def _settle(net: Net, placed: np.ndarray, x: np.ndarray) -> None:
    for i in range(net.z.size):
        x[i] = min(max(placed[i], net.lower[i]), net.upper[i])


@njit(cache=True)
def polish(
    net: Net,
    slack: np.ndarray,
    price: np.ndarray,
    size: float,
    x: np.ndarray,
    segment: np.ndarray,
    glued: np.ndarray,
    held: np.ndarray,
) -> None:
    """Glue cells along the links that carry a force, and place every segment exactly.

    Interior points know a stiff segment's place only up to rounding of its links' weights. A limit
    that carries next to no force may go unnoticed; placed without it, cells would break it, so that
    it is added and they are placed again.

    Args:
        net: the net.
        slack: (4, .) of lower and upper bounds and of both sides of the links.
        price: (4, .) of the same.
        size: the net's width.
        x: (n,) in and out.
        segment: out, see `_place`.
        glued: out, see `_place`.
        held: out, see `_place`.
    """
    n = net.z.size
    for e in range(net.left.size):
        glued[e] = 0
        if price[2, e] > slack[2, e] and price[2, e] >= price[3, e]:
            glued[e] = 1
        elif price[3, e] > slack[3, e]:
            glued[e] = -1
    strength = np.empty(n)
    for i in range(n):
        held[i] = 0
        if price[0, i] > slack[0, i] and price[0, i] >= price[1, i]:
            held[i] = -1
        elif price[1, i] > slack[1, i]:
            held[i] = 1
        strength[i] = max(price[0, i], price[1, i])
    start, mine = _neighbours(net)
    placed = np.empty(n)
    for _ in range(_ROUNDS):
        _place(net, start, mine, glued, held, strength, segment, placed)
        if not _add_broken(net, placed, _TIE * size, glued, held):
            break
    for i in range(n):
        # Where it is far from what was found, a force was misread: keep what was found.
        if abs(placed[i] - x[i]) > _FAR * size:
            return
    _settle(net, placed, x)


@njit(cache=True)
def guess_net(
    net: Net,
    width: int,
    x: np.ndarray,
    band: np.ndarray,
    segment: np.ndarray,
    pull: np.ndarray,
    glued: np.ndarray,
    held: np.ndarray,
) -> bool:
    """Solve a net from the limits that held it last; whether a solution was found, and proved.

    Limits that are broken are added and those that pull the wrong way are dropped until there are
    none of either, which may never be. Forces are those of least squares among all that keep the
    segments at rest: the right signs prove that the cells are placed optimally.

    Args:
        net: the net.
        width: largest distance right - left.
        x: out; (n,) the minimiser.
        band: scratch of shape (>= n, width + 1).
        segment: out, see `_place`.
        pull: out; (links,) multiplier of each link, positive where the later cell is held down.
        glued: in and out, see `_place`.
        held: in and out, see `_place`.

    Source: Hintermueller, Ito & Kunisch (2003), doi:10.1137/S1052623401383558.
    """
    n, links = net.z.size, net.left.size
    start, mine = _neighbours(net)
    placed, push, ties = np.empty(n), np.empty(n), np.empty(links)
    same = np.ones(n)
    size = 0.0
    for i in range(n):
        reach = net.upper[i] if np.isfinite(net.upper[i]) else net.z[i]
        size = max(size, abs(net.lower[i]), abs(reach))
    tie = _TIE * size
    for _ in range(_GUESSES):
        _place(net, start, mine, glued, held, same, segment, placed)
        wrong = False
        strongest = 0.0
        for i in range(n):
            push[i] = net.metric[i] * (net.z[i] - placed[i])
            strongest = max(strongest, abs(push[i]))
        for e in range(links):
            ties[e] = abs(glued[e])
        linked(band, _LOOSE + np.abs(held), ties, width, net.left, net.right)
        substitute(band, n, width, push)
        # Where cells are tied in a circle, not all of the ties can be kept.
        for e in range(links):
            pull[e] = 0.0
            if glued[e] == 0:
                continue
            pull[e] = push[net.right[e]] - push[net.left[e]]
            move = placed[net.right[e]] - placed[net.left[e]]
            off = abs(move - glued[e] * net.limit[e]) > tie
            if off or glued[e] * pull[e] < -_NO_FORCE * strongest:
                wrong = True
                if abs(move) <= net.limit[e] + tie:
                    glued[e] = 0
        for i in range(n):
            if held[i] == 0:
                continue
            bound = net.lower[i] if held[i] < 0 else net.upper[i]
            if abs(placed[i] - bound) > tie or held[i] * push[i] < -_NO_FORCE * strongest:
                wrong = True
                held[i] = 0
        if not _add_broken(net, placed, tie, glued, held) and not wrong:
            _settle(net, placed, x)
            return True
    return False
